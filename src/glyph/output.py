"""Write pages to a folder, so that a run is there whole or not at all.

Everything is written into a hidden folder beside the results and moved into place at the end, the
manifest last. When the disk fills up, or someone presses Ctrl-C, an earlier run in the same folder
is still intact and nothing half-written is left.
"""

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from glyph.config import RenderConfig
from glyph.documents import Document
from glyph.encode import Format, encode_page, write_pdf
from glyph.errors import RenderError
from glyph.pages import Page
from glyph.tokens import Cost, image_cost

MANIFEST = "manifest.json"
MANIFEST_VERSION = 1
REPORT = "report.html"
DOCUMENT = "document.pdf"
OWN_FILES = re.compile(r"page-\d{5,}\.(png|webp)|document\.pdf|manifest\.json|report\.html")
"""What a run leaves behind; a folder that holds nothing else may be written again."""

HARMLESS_FILES = re.compile(r"\..*partial-.*|\.DS_Store|Thumbs\.db")
"""Left by a run that was killed, or by a desktop."""

PageHook = Callable[[Page], None]
"""Called with every page when it has been handed on for writing."""


@dataclass(frozen=True, slots=True)
class PageRecord:
    """One page as the manifest lists it; offsets count characters of the rendered text.

    Attributes:
        file: File name within the folder.
        number: Page number, from 1.
        width_px: Width in pixels.
        height_px: Height in pixels.
        start: First character on the page.
        end: One past the last.
        num_bytes: Size of the image file; 0 for pages inside a PDF.
        digest: SHA-256 of the pixels.
    """

    file: str
    number: int
    width_px: int
    height_px: int
    start: int
    end: int
    num_bytes: int
    digest: str


@dataclass(frozen=True, eq=False)
class Saved:
    """A document as page files in a folder, with its price.

    Attributes:
        folder: Where the files are, `manifest.json` among them.
        document: What was rendered.
        config: How.
        preset: Name of the preset the config came from.
        format: Of the files.
        pages: The files, in order; for a PDF, its pages.
        costs: Tokens as text and as pages, one for each model asked for.
        missing: Characters that no font has, drawn as boxes.
    """

    folder: Path
    document: Document
    config: RenderConfig
    preset: str
    format: Format
    pages: tuple[PageRecord, ...]
    costs: tuple[Cost, ...]
    missing: Counter[str]

    @property
    def num_bytes(self) -> int:
        """Size of all page files together."""
        if self.format == "pdf":
            return (self.folder / DOCUMENT).stat().st_size
        return sum(page.num_bytes for page in self.pages)


def save_pages(
    pages: Iterable[Page],
    folder: Path,
    *,
    format: Format = "png",
    bits: Literal[8, 4] = 8,
    dpi: float = 72,
    manifest: Callable[[list[PageRecord]], dict[str, Any]],
    on_page: PageHook | None = None,
) -> list[PageRecord]:
    """Write pages and their manifest into a folder.

    Args:
        pages: Consumed one by one.
        folder: Made when absent. One that holds an earlier run is replaced; one that holds
            anything else is refused.
        format: `png` and `webp` write a file a page, `pdf` one document.
        bits: Bits a pixel of grey PNGs.
        dpi: Pixels per inch, for the size of PDF pages.
        manifest: Makes the manifest's content when all pages are known.
        on_page: Shown each page, to tell how far rendering is or to keep a few for a report.

    Raises:
        RenderError: The folder cannot be used, or the disk is full.
    """
    with _staging(folder) as staging:
        seen = _showing(pages, on_page)
        if format == "pdf":
            records = _write_document(seen, staging, dpi)
        else:
            records = list(_write_files(seen, staging, format, bits))
        content = {"manifest_version": MANIFEST_VERSION, **manifest(records)}
        text = json.dumps(content, ensure_ascii=False, indent=1)
        # A file name that is no Unicode holds surrogates; as backslash escapes they are JSON.
        (staging / MANIFEST).write_bytes(f"{text}\n".encode("utf-8", "backslashreplace"))
        _move_into(staging, folder)
    return records


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file aside and rename it, so that readers see the old one or the new one.

    Raises:
        RenderError: It cannot be written.
    """
    partial = path.with_name(f".{path.name}.partial-{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(data)
        partial.replace(path)
    except OSError as error:
        raise RenderError(f"cannot write {path}: {error.strerror}. Choose another place.") from None
    finally:
        partial.unlink(missing_ok=True)


def _showing(pages: Iterable[Page], on_page: PageHook | None) -> Iterator[Page]:
    for page in pages:
        yield page
        if on_page is not None:
            on_page(page)


def _write_files(
    pages: Iterable[Page], staging: Path, format: Format, bits: Literal[8, 4]
) -> Iterator[PageRecord]:
    # Deflate releases the interpreter lock, so pages are encoded beside the rendering of others;
    # few are in flight at a time, which bounds memory.
    workers = max(os.cpu_count() or 1, 1)
    waiting: deque[Future[PageRecord]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        for page in pages:
            waiting.append(pool.submit(_write_page, page, staging, format, bits))
            if len(waiting) > 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _write_page(page: Page, staging: Path, format: Format, bits: Literal[8, 4]) -> PageRecord:
    name = f"page-{page.index + 1:05d}.{format}"
    data = encode_page(page, format, bits=bits)
    (staging / name).write_bytes(data)
    return _record(page, name, len(data))


def _record(page: Page, name: str, num_bytes: int) -> PageRecord:
    return PageRecord(
        file=name,
        number=page.index + 1,
        width_px=page.width_px,
        height_px=page.height_px,
        start=page.start,
        end=page.end,
        num_bytes=num_bytes,
        digest=page.digest,
    )


def _write_document(pages: Iterable[Page], staging: Path, dpi: float) -> list[PageRecord]:
    records: list[PageRecord] = []

    def recorded() -> Iterator[Page]:
        for page in pages:
            records.append(_record(page, DOCUMENT, 0))
            yield page

    with (staging / DOCUMENT).open("wb") as file:
        write_pdf(recorded(), file, dpi=dpi)
    return records


@contextmanager
def _staging(folder: Path) -> Generator[Path]:
    """Give a hidden folder inside `folder`; it is gone afterwards, whatever happens."""
    made: list[Path] = []
    staging: Path | None = None
    try:
        made = [path for path in (folder, *folder.parents) if not path.exists()]
        _check_reusable(folder)
        folder.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=".partial-", dir=folder))
        yield staging
    except OSError as error:
        raise RenderError(
            f"cannot write to {folder}: {error.strerror or error}. Nothing was changed there; "
            "free space, or choose another folder."
        ) from None
    finally:
        if staging is not None:
            shutil.rmtree(staging, ignore_errors=True)
        for path in made:
            # A folder with something in it stays: it holds the run.
            with suppress(OSError):
                path.rmdir()


def _check_reusable(folder: Path) -> None:
    if not folder.exists():
        return
    if not folder.is_dir():
        raise RenderError(f"{folder} is a file; name a folder for the pages.")
    foreign = sorted(
        path.name
        for path in folder.iterdir()
        if not (OWN_FILES.fullmatch(path.name) or HARMLESS_FILES.fullmatch(path.name))
    )
    if foreign:
        raise RenderError(
            f"{folder} holds files that are not pages of an earlier run, such as {foreign[0]}; "
            "name an empty or a new folder."
        )


def _move_into(staging: Path, folder: Path) -> None:
    """Put a finished run in the place of the earlier one; when that fails, put the latter back."""
    made = sorted((path.name for path in staging.iterdir()), key=lambda name: name == MANIFEST)
    old = [path.name for path in folder.iterdir() if OWN_FILES.fullmatch(path.name)]
    backup = staging / "earlier"
    backup.mkdir()
    try:
        for name in old:
            (folder / name).replace(backup / name)
        for name in made:
            (staging / name).replace(folder / name)
    except BaseException:
        # Ctrl-C, or on Windows a page that is open in a viewer.
        for name in made:
            if not (staging / name).exists():
                (folder / name).replace(staging / name)
        for path in backup.iterdir():
            path.replace(folder / path.name)
        raise


def manifest_of(run: Saved) -> dict[str, Any]:
    """Return what `manifest.json` says of a run; the same run gives the same content anywhere."""
    document, to_source = run.document, run.document.source.to_source
    model = run.costs[0].model
    return {
        "glyph_version": metadata.version("glyph-context"),
        "document": {
            "name": document.name,
            "kind": document.kind,
            "language": document.language,
            "encoding": document.encoding,
            "characters": len(document.text),
            "source_characters": document.source.source_length,
            "text_sha256": sha256_of(document.text),
            "notes": document.notes,
        },
        "preset": run.preset,
        "config_digest": run.config.digest,
        "config": run.config.to_dict(),
        "format": run.format,
        "dpi": run.config.dpi,
        "costs": [asdict(cost) | {"ratio": cost.ratio} for cost in run.costs],
        "missing_glyphs": run.missing.total(),
        "missing": dict(run.missing),
        "pages": [
            {
                **asdict(page),
                "source_start": int(to_source(page.start)),
                "source_end": int(to_source(page.end)),
                "visual_tokens": image_cost(page.width_px, page.height_px, model).visual_tokens,
            }
            for page in run.pages
        ],
    }


def sha256_of(text: str) -> str:
    """Return the SHA-256 of a text, lone surrogates included."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def size_text(num_bytes: int) -> str:
    """Return a size as people say it.

    Example:
        >>> size_text(940), size_text(13_700_000)
        ('1 kB', '13.7 MB')
    """
    if num_bytes < 1_000_000:
        return f"{max(round(num_bytes / 1e3), 1):,} kB"
    return f"{num_bytes / 1e6:,.1f} MB"
