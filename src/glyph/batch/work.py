"""What a worker does: one shard of texts becomes one Parquet file of pages.

Pages are written in groups as they are made, so memory is that of one text and some images.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from glyph.api import make_config
from glyph.batch.plan import ROWS_SUFFIXES, Shard
from glyph.batch.tables import (
    REPORT_KEY,
    Piece,
    open_table,
    page_schema,
    texts_of_lines,
    texts_of_rows,
)
from glyph.documents import Document, document_from_text
from glyph.encode import encode_png
from glyph.errors import DocumentError, RenderError
from glyph.intake import open_document
from glyph.render import render_pages
from glyph.text_tokens import count_text_tokens
from glyph.tokens import image_cost, resolve_model

if TYPE_CHECKING:
    from pyarrow.parquet import ParquetWriter

PAGES_A_GROUP = 32
MAX_NAMED_SKIPS = 20


@dataclass(frozen=True, slots=True)
class Job:
    """What all shards of a run have in common.

    Attributes:
        folder: Where the files go; all workers see it.
        preset: Name or file; None is the model's own, code apart from prose.
        settings: `field=value` texts that change the preset.
        model: Whose visual tokens are counted.
        tokenizer: Whose text tokens are counted.
        text_field: Column of the texts in JSONL and Parquet.
        keeps_text: Whether rows hold the text of their page.
        bits: Bits a pixel of grey PNGs.
    """

    folder: str
    preset: str | None
    settings: tuple[str, ...]
    model: str
    tokenizer: str
    text_field: str = "text"
    keeps_text: bool = True
    bits: Literal[8, 4] = 8


@dataclass(slots=True)
class Report:
    """What is in a shard.

    Attributes:
        number: Of the shard.
        documents: Texts rendered.
        pages: Rows.
        characters: Of the rendered texts.
        text_tokens: What they cost as text.
        visual_tokens: What they cost as pages.
        missing_glyphs: Characters that no font has, drawn as boxes.
        num_skipped: Texts that could not be taken in.
        skipped: Reasons of the first of them.
    """

    number: int
    documents: int = 0
    pages: int = 0
    characters: int = 0
    text_tokens: int = 0
    visual_tokens: int = 0
    missing_glyphs: int = 0
    num_skipped: int = 0
    skipped: list[str] = field(default_factory=list[str])

    def skip(self, reason: str) -> None:
        """Count a text that cannot be taken in."""
        self.num_skipped += 1
        if len(self.skipped) < MAX_NAMED_SKIPS:
            self.skipped.append(reason)


def shard_path(folder: str | Path, number: int, num_shards: int) -> Path:
    """Return the file of a shard.

    Example:
        >>> shard_path("out", 3, 12).name
        'pages-00003-of-00012.parquet'
    """
    return Path(folder) / f"pages-{number:05d}-of-{num_shards:05d}.parquet"


def render_shard(shard: Shard, job: Job, num_shards: int) -> Report:
    """Render one shard into its file.

    Raises:
        DocumentError: A table has no such column.
        ConfigError: A setting is not accepted.
        RenderError: The file cannot be written; nothing of it is left.
    """
    import pyarrow as pa
    from pyarrow.parquet import ParquetWriter

    report = Report(shard.number)
    path = shard_path(job.folder, shard.number, num_shards)
    partial = path.with_name(f".{path.name}.partial-{os.getpid()}")
    try:
        # PNGs do not shrink again.
        with ParquetWriter(partial, page_schema(), compression="none") as writer:
            for document in _documents(shard, job, report):
                _write(document, job, writer, report)
            writer.add_key_value_metadata({REPORT_KEY: json.dumps(asdict(report))})
        partial.replace(path)
    except (OSError, pa.ArrowException) as error:
        why = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise RenderError(
            f"cannot write {path}: {why}. Finished shards are kept; free space and run it again."
        ) from None
    finally:
        partial.unlink(missing_ok=True)
    return report


def read_report(path: Path) -> Report | None:
    """Return what a finished shard says of itself, None when there is no such file.

    Raises:
        RenderError: The file is not a shard.
    """
    if not path.exists():
        return None
    try:
        footer = open_table(path).metadata.metadata or {}
        return Report(**json.loads(footer[REPORT_KEY.encode()]))
    except (DocumentError, KeyError, ValueError, TypeError):
        raise RenderError(
            f"{path} is no shard of a batch; move it away, or name another folder."
        ) from None


def _documents(shard: Shard, job: Job, report: Report) -> Iterator[Document]:
    for piece in shard.pieces:
        for name, text in _texts(piece, job):
            try:
                yield _document(name, text)
            except DocumentError as error:
                report.skip(str(error))


def _document(name: str, text: str | Path | DocumentError) -> Document:
    if isinstance(text, DocumentError):
        raise text
    if isinstance(text, Path):
        return open_document(text, name=name)
    return document_from_text(text, kind="prose", name=name)


def _texts(piece: Piece, job: Job) -> Iterator[tuple[str, str | Path | DocumentError]]:
    path = Path(piece.path)
    if path.suffix.lower() not in ROWS_SUFFIXES:
        yield piece.name, path
    elif path.suffix.lower() == ".jsonl":
        yield from texts_of_lines(piece, job.text_field)
    else:
        yield from texts_of_rows(piece, job.text_field)


def _write(document: Document, job: Job, writer: "ParquetWriter", report: Report) -> None:
    import pyarrow as pa

    rows, schema = _rows(document, job, report), page_schema()
    while group := list(islice(rows, PAGES_A_GROUP)):
        writer.write_table(pa.Table.from_pylist(group, schema=schema))
    report.documents += 1
    report.characters += len(document.text)
    report.text_tokens += count_text_tokens(document.text, job.tokenizer)


def _rows(document: Document, job: Job, report: Report) -> Iterator[dict[str, Any]]:
    config = make_config(
        job.preset, model=job.model, is_code=document.kind == "code", settings=job.settings
    )
    model, to_source = resolve_model(job.model), document.source.to_source
    stream = render_pages(document, config)
    for page in stream:
        tokens = image_cost(page.width_px, page.height_px, model).visual_tokens
        report.pages += 1
        report.visual_tokens += tokens
        yield {
            "document": document.name,
            "page": page.index + 1,
            "image": {"bytes": encode_png(page, bits=job.bits), "path": None},
            "text": document.text[page.start : page.end] if job.keeps_text else None,
            "start": page.start,
            "end": page.end,
            "source_start": int(to_source(page.start)),
            "source_end": int(to_source(page.end)),
            "width_px": page.width_px,
            "height_px": page.height_px,
            "visual_tokens": tokens,
            "digest": page.digest,
        }
    report.missing_glyphs += stream.missing.total()
