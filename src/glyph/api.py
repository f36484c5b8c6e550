"""The verbs without a reader: render a text to pages, save them, measure what they cost.

Each is a few lines over the stages below it, and the command line is a few lines over these.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

from glyph.config import RenderConfig, parse_setting
from glyph.documents import Document, document_from_text
from glyph.encode import Format
from glyph.errors import DocumentError
from glyph.intake import open_document
from glyph.output import PageHook, PageRecord, Saved, manifest_of, save_pages
from glyph.pages import Page
from glyph.presets import load_preset
from glyph.render import render_pages
from glyph.text_tokens import count_text_tokens
from glyph.tokens import Cost, VisionModel, document_cost, image_cost, resolve_model

DEFAULT_PRESET = "aligned-28"
FLOW_PRESET = "aligned-28-flow"
PRESETS_OF_GRID = {
    1: ("aligned-28-small",),
    16: ("aligned-16",),
    28: (DEFAULT_PRESET,),
    32: ("aligned-32",),
    48: ("aligned-48", "aligned-48-280", "aligned-48-560", "aligned-48-2240", "aligned-48-140",
         "aligned-48-70"),
    64: ("aligned-1024", "aligned-640-large"),
    256: ("aligned-512",),
    336: ("aligned-336",),
    448: ("aligned-448",),
    512: ("aligned-512-square",),
    640: ("aligned-640", "aligned-640-small"),
    768: ("aligned-768",),
    896: ("aligned-896",),
}  # fmt: skip
"""Presets by the side of a model's grid in pixels; of several, the first whose pages it keeps."""

CODE_PRESETS = {DEFAULT_PRESET: "code", "aligned-32": "code-32", "aligned-48": "code-48"}
"""The twin of a preset for source code: monospaced and highlighted."""

MAX_PATH_CHARS = 1024
DEFAULT_MODEL = "glm-4.1v"
DEFAULT_MODELS = (
    "glm-4.1v", "qwen2.5-vl", "qwen3-vl", "claude-sonnet-4.6", "gpt-5.4", "gemini-3-flash",
)  # fmt: skip

Source = str | Path | bytes | IO[bytes] | Document


@dataclass(frozen=True, eq=False)
class Rendering:
    """A document as pages in memory, with its price.

    Attributes:
        document: What was rendered.
        config: How.
        pages: The pages.
        cost: Tokens as text and as pages, for the model asked for.
        missing: Characters that no font has, drawn as boxes.
    """

    document: Document
    config: RenderConfig
    pages: tuple[Page, ...]
    cost: Cost
    missing: Counter[str]


@dataclass(frozen=True, slots=True)
class Measurement:
    """What a document costs as text and as pages.

    Attributes:
        characters: Length of the rendered text.
        costs: One for each model asked for.
        missing: Characters that no font has.
        page_sizes_px: Width and height of every page.
    """

    characters: int
    costs: tuple[Cost, ...]
    missing: Counter[str]
    page_sizes_px: tuple[tuple[int, int], ...]


def make_config(
    preset: str | Path | RenderConfig | None = None,
    *,
    model: str | None = None,
    is_code: bool = False,
    settings: Iterable[str] = (),
    **fields: Any,
) -> RenderConfig:
    """Return the config that a preset, a model and single settings ask for.

    Args:
        preset: Name, file or config; by default the aligned preset of the model's patch grid.
        model: The model that will read the pages.
        is_code: Whether source code is rendered, which has a preset of its own.
        settings: `field=value` texts, as on the command line.
        fields: Fields of `RenderConfig` by name; they win over everything.

    Raises:
        ConfigError: A name, field or value that is not accepted.
    """
    changes = {**dict(map(parse_setting, settings)), **fields}
    if isinstance(preset, RenderConfig):
        config = preset
    else:
        config = load_preset(preset or preset_of(model, is_code=is_code))
    return config.replace(**changes)


def preset_of(model: str | None = None, *, is_code: bool = False) -> str:
    """Return the preset that is used when none is named: its pages reach the model as they are.

    Example:
        >>> preset_of("qwen3-vl"), preset_of("gemma-4"), preset_of("gemma-4@1120")
        ('aligned-32', 'aligned-48-280', 'aligned-48')
    """
    vision = resolve_model(model or DEFAULT_MODEL)
    presets = PRESETS_OF_GRID.get(vision.grid_px, (DEFAULT_PRESET,))
    found = next((name for name in presets if _is_kept(name, vision)), presets[0])
    return CODE_PRESETS.get(found, found) if is_code else found


def _is_kept(preset: str, vision: VisionModel) -> bool:
    """Whether a model sees a full page of a preset as it is."""
    return not image_cost(*load_preset(preset).page_size_px, vision).resampled


def render(
    source: Source,
    *,
    preset: str | Path | RenderConfig | None = None,
    model: str = DEFAULT_MODEL,
    tokenizer: str | None = None,
    **fields: Any,
) -> Rendering:
    """Render a document to pages in memory and price them.

    For documents of many megabytes use `glyph.render_pages`, which yields one page at a time.

    Args:
        source: A text with line breaks or blanks in it, a path, bytes, an open file or a Document.
        preset: Name or file of a preset; by default the aligned one of the model.
        model: Whose visual tokens to count.
        tokenizer: Whose text tokens to count; by default the model's own or its nearest.
        fields: Fields of `RenderConfig` to change.

    Raises:
        DocumentError: The source cannot be taken in.
        ConfigError: A setting is not accepted.

    Example:
        >>> rendering = render("Call me Ishmael. Some years ago - never mind how long precisely")
        >>> len(rendering.pages), rendering.cost.visual_tokens
        (1, 24)
    """
    document = as_document(source)
    config = make_config(preset, model=model, is_code=document.kind == "code", **fields)
    stream = render_pages(document, config)
    pages = tuple(stream)
    sizes = [(page.width_px, page.height_px) for page in pages]
    (cost,) = price(document, sizes, [model], tokenizer)
    return Rendering(document, config, pages, cost, stream.missing)


def save(
    source: Source,
    folder: str | Path,
    *,
    preset: str | Path | RenderConfig | None = None,
    models: Sequence[str] = (DEFAULT_MODEL,),
    tokenizer: str | None = None,
    format: Format = "png",
    bits: Literal[8, 4] = 8,
    on_page: PageHook | None = None,
    **fields: Any,
) -> Saved:
    """Render a document of any size into a folder, page by page, with a manifest.

    The folder holds the whole run or what it held before: files are written aside and moved into
    place at the end. The manifest says where every page stands in the text and in the source.

    Args:
        source: As for `render`.
        folder: Made when absent; one that holds anything but an earlier run is refused.
        preset: As for `render`.
        models: Whose visual tokens to count; the first decides the preset when none is named,
            and its tokens are listed page by page.
        tokenizer: As for `render`.
        format: `png` or `webp`, a file a page, or `pdf`, one document.
        bits: Bits a pixel of grey PNGs.
        on_page: Called with each page, as for `glyph.output.save_pages`.
        fields: Fields of `RenderConfig` to change.

    Raises:
        DocumentError: The source cannot be taken in.
        ConfigError: A setting is not accepted.
        RenderError: The folder cannot be used, or the disk is full.
    """
    _check_names(models, tokenizer)
    document = as_document(source)
    is_code = document.kind == "code"
    config = make_config(preset, model=models[0], is_code=is_code, **fields)
    if isinstance(preset, RenderConfig):
        name = "custom"
    else:
        name = str(preset) if preset else preset_of(models[0], is_code=is_code)
    stream = render_pages(document, config)
    runs: list[Saved] = []

    def manifest(records: list[PageRecord]) -> dict[str, Any]:
        sizes = [(record.width_px, record.height_px) for record in records]
        num_bytes = None if format == "pdf" else [record.num_bytes for record in records]
        costs = price(document, sizes, models, tokenizer, num_bytes)
        run = Saved(
            Path(folder), document, config, name, format, tuple(records), costs, stream.missing
        )
        runs.append(run)
        return manifest_of(run)

    save_pages(
        stream, Path(folder), format=format, bits=bits, dpi=config.dpi, manifest=manifest,
        on_page=on_page,
    )  # fmt: skip
    return runs[0]


def measure(
    source: Source,
    *,
    preset: str | Path | RenderConfig | None = None,
    models: Sequence[str] = DEFAULT_MODELS,
    tokenizer: str | None = None,
    settings: Iterable[str] = (),
    **fields: Any,
) -> Measurement:
    """Count what a document costs, as text and as pages, without drawing a pixel.

    Args:
        source: As for `render`.
        preset: Used for all models, so that a table compares one set of pages.
        models: Whose visual tokens to count.
        tokenizer: Whose text tokens to count; by default each model's own or its nearest.
        settings: `field=value` texts.
        fields: Fields of `RenderConfig` to change.

    Raises:
        DocumentError: The source cannot be taken in.
        UnknownModelError: A model has no known rule; nothing is guessed.
    """
    _check_names(models, tokenizer)
    document = as_document(source)
    is_code = document.kind == "code"
    config = make_config(preset, is_code=is_code, settings=settings, **fields)
    stream = render_pages(document, config)
    sizes = tuple((layout.width_px, layout.height_px) for layout in stream.layouts())
    costs = price(document, sizes, models, tokenizer)
    return Measurement(len(document.text), costs, stream.missing, sizes)


def as_document(source: Source) -> Document:
    """Return the document of a source.

    A string is a path when such a file exists, and else the text itself; a word without blanks
    that names no file is refused, since it is most likely a path with a slip in it.

    Raises:
        DocumentError: The source cannot be taken in.
    """
    if isinstance(source, Document):
        return source
    if not isinstance(source, str):
        return open_document(source)
    is_short = 0 < len(source) < MAX_PATH_CHARS and "\n" not in source and "\0" not in source
    if is_short and (source == "-" or _exists(source)):
        return open_document(source)
    if is_short and not any(char.isspace() for char in source):
        raise DocumentError(
            f"'{source}' is no file, and too short to be a text. Check the path, or pass "
            "glyph.document_from_text(...) to render just this word."
        )
    return document_from_text(source)


def _exists(path: str) -> bool:
    try:
        return Path(path).exists()
    except OSError:  # a text may be too long for a name
        return False


def price(
    document: Document,
    page_sizes_px: Sequence[tuple[int, int]],
    models: Sequence[str],
    tokenizer: str | None = None,
    page_bytes: Sequence[int] | None = None,
) -> tuple[Cost, ...]:
    """Return what a document costs models as text and as pages of these sizes.

    Args:
        document: Its text is counted once for each tokenizer.
        page_sizes_px: Width and height of every page.
        models: Whose visual tokens to count.
        tokenizer: Whose text tokens to count; by default each model's own or its nearest.
        page_bytes: Size of every image file, to warn about limits of a request.
    """
    visions = [resolve_model(model) for model in models]
    names = [tokenizer or vision.tokenizer for vision in visions]
    counts = {name: count_text_tokens(document.text, name) for name in dict.fromkeys(names)}
    return tuple(
        document_cost(page_sizes_px, counts[name], vision, name, page_bytes)
        for vision, name in zip(visions, names, strict=True)
    )


def _check_names(models: Sequence[str], tokenizer: str | None) -> None:
    """Refuse unknown models and tokenizers before any work is done for them."""
    for model in models:
        resolve_model(model)
    if tokenizer is not None:
        count_text_tokens("", tokenizer)
