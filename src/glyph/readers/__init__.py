"""Readers: anything that answers from pages.

Importing this package loads no recogniser and no client library; `open_reader` does.
"""

from typing import Any

from glyph.errors import ConfigError, nearest
from glyph.readers.protocol import Answer, Reader, ReadLine, Request, Transcript, Usage

__all__ = [
    "NANO_PRESETS",
    "Answer",
    "ReadLine",
    "Reader",
    "Request",
    "Transcript",
    "Usage",
    "open_reader",
]

NANO_PRESETS = ("nano", "nano-dense")
"""Presets of the styles that the nano reader was trained on."""

_OPTIONS = {
    "nano": ("threads", "on_text", "on_page", "cache"),
    "ocr": ("threads", "on_page", "cache"),
    "openai": ("base_url", "api_key", "timeout_s", "on_text", "client"),
}


def open_reader(spec: str, **options: Any) -> Reader:
    """Return a reader by name.

    Args:
        spec: `ocr`; `nano`, or `nano:FOLDER` for another model folder; or `openai:MODEL` for a
            model behind an OpenAI-compatible endpoint.
        options: Of `ocr`: `threads`, `on_page`, `cache`. Of `nano`: `threads`, `on_text`,
            `on_page`, `cache`. Of `openai`: `base_url`, `api_key`, `timeout_s`, `on_text`,
            `client`.

    Raises:
        ConfigError: The name or an option is not known, or the model is not named.
        ReaderError: A package the reader needs is not installed.
    """
    name, _, model = spec.partition(":")
    if name not in _OPTIONS:
        hint = nearest(name, _OPTIONS)
        raise ConfigError(
            f"unknown reader '{spec}'; "
            + (f"did you mean {hint}? " if hint else "")
            + "known readers: nano, ocr, openai:MODEL."
        )
    for option in options:
        if option not in _OPTIONS[name]:
            known = ", ".join(_OPTIONS[name])
            raise ConfigError(f"reader '{name}' has no option '{option}'; it takes {known}.")
    if name == "ocr":
        if model:
            raise ConfigError(f"reader 'ocr' takes no model, but '{spec}' names one; write 'ocr'.")
        from glyph.readers.ocr import OcrReader

        return OcrReader(**options)
    if name == "nano":
        from glyph.readers.nano.reader import NanoReader

        return NanoReader(model or None, **options)
    if not model:
        raise ConfigError(
            "reader 'openai' needs a model; write openai:MODEL, such as openai:gpt-5.4."
        )
    from glyph.readers.openai import OpenAIReader

    return OpenAIReader(model, **options)
