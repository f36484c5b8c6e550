"""Read aloud: let a reader say what stands on one page, or on one line of it."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from glyph.api import Source, as_document, make_config
from glyph.asking import default_reader, own_preset
from glyph.config import RenderConfig
from glyph.errors import ConfigError, DocumentError
from glyph.pages import Page, page_of_pixels
from glyph.readers import open_reader
from glyph.readers.protocol import LineReader, Reader, Transcript
from glyph.render import render_pages


def read(
    source: Source,
    *,
    page: int = 1,
    line: int | None = None,
    reader: str | Reader | None = None,
    preset: str | Path | RenderConfig | None = None,
    **fields: Any,
) -> Transcript:
    """Let a reader read one page of a document, or one line of it, from the pixels alone.

    Args:
        source: As for `render`; or the path of a PNG file, which is read as it is.
        page: Number of the page, from 1.
        line: Number of the line, from 1; None reads the page. Readers of their own presets count
            blank lines too, others the lines they find.
        reader: As for `ask`.
        preset: As for `ask`; readers of single lines take one that keeps lines apart.
        fields: Fields of `RenderConfig` to change.

    Raises:
        ConfigError: There is no such page or line.
        ReaderError: The reader cannot read the page.
    """
    named = reader or default_reader(preset=preset, is_changed=bool(fields))
    opened = open_reader(named) if isinstance(named, str) else named
    own = opened.lines_preset if isinstance(opened, LineReader) else own_preset(opened)
    shown = _page_of(source, page, preset or own, fields)
    if line is None:
        return opened.transcribe(shown)
    if isinstance(opened, LineReader):
        return Transcript((opened.read_line(shown, line),))
    lines = opened.transcribe(shown).lines
    if not 1 <= line <= len(lines):
        raise ConfigError(f"no line {line} was read on page {page}, which has {len(lines)} lines.")
    return Transcript((lines[line - 1],))


def _page_of(
    source: Source, number: int, preset: str | Path | RenderConfig | None, fields: dict[str, Any]
) -> Page:
    if isinstance(source, str | Path) and str(source).lower().endswith(".png"):
        if number != 1:
            raise ConfigError(f"an image is one page, and page {number} was asked for; give 1.")
        return page_of_image(Path(source))
    document = as_document(source)
    config = make_config(preset, is_code=document.kind == "code", **fields)
    count = 0
    for page in render_pages(document, config):
        count += 1
        if count == number:
            return page
    raise ConfigError(f"there is no page {number}; the document has pages 1 to {count}.")


def page_of_image(path: Path) -> Page:
    """Return an image file as a page of pixels, of whose text nothing is known.

    Raises:
        DocumentError: The file is no image.
    """
    try:
        with Image.open(path) as image:
            plane_HW = np.asarray(image.convert("L"))
    except (OSError, UnidentifiedImageError) as error:
        reason = getattr(error, "strerror", None) or "not an image"
        raise DocumentError(f"cannot read {path}: {reason}.") from None
    return page_of_pixels(plane_HW)
