"""The pages' tools for clients with a loop of their own, over the Model Context Protocol.

The same shelf as behind the gateway: a client shows a model the pages and lets it read single ones
again as text. Files are rendered when the server starts, and nothing else can be read through it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from mcp.server.mcpserver import Image, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ToolAnnotations

from glyph.api import make_config, preset_of
from glyph.documents import load_document
from glyph.encode import encode_png
from glyph.errors import ConfigError, DocumentError
from glyph.render import render_pages
from glyph.serve.expand.shelf import Shelf, Volume

T = TypeVar("T")
_READS = ToolAnnotations(read_only_hint=True, idempotent_hint=True, open_world_hint=False)


@dataclass(frozen=True)
class Library:
    """Files as pages and as text.

    Attributes:
        volumes: One for each file, named like it.
        pngs: Files of its pages, in the same order.
    """

    volumes: tuple[Volume, ...]
    pngs: tuple[tuple[bytes, ...], ...]

    @cached_property
    def shelf(self) -> Shelf:
        """The texts."""
        return Shelf(self.volumes)

    def contents(self) -> str:
        """Return a line for each document."""
        return "\n".join(f"document {v.name}: {v.num_pages} pages" for v in self.volumes)

    def png(self, page: int, document: str) -> bytes:
        """Return a page as PNG.

        Raises:
            DocumentError: There is no such page or document.
        """
        self.shelf.read_page(page, document)  # the same words for what does not exist
        names = [volume.name for volume in self.volumes]
        return self.pngs[names.index(document) if document else 0][page - 1]


def open_library(
    files: Sequence[Path], *, model: str | None = None, preset: str | None = None
) -> Library:
    """Render files; their names must differ.

    Raises:
        ConfigError: Two files have the same name, or model and preset do not exist.
        DocumentError: A file cannot be read, or is blank.
    """
    names = [path.name for path in files]
    if len(set(names)) < len(names):
        raise ConfigError("two files have the same name; documents are told apart by it.")
    config = make_config(preset or (preset_of(model) if model else None), model=model)
    volumes: list[Volume] = []
    pngs: list[tuple[bytes, ...]] = []
    for path in files:
        document = load_document(path)
        pages = [(page.start, encode_png(page)) for page in render_pages(document, config)]
        if not pages:
            raise DocumentError(f"{path} fills no page; there is nothing to read.")
        starts = (0, *[start for start, _ in pages[1:]])
        volumes.append(Volume(path.name, "the file", document.text, starts))
        pngs.append(tuple(png for _, png in pages))
    return Library(tuple(volumes), tuple(pngs))


def _told(ask: Callable[[], T]) -> T:
    """Return what a tool found; words of our own errors reach the model, others do not."""
    try:
        return ask()
    except DocumentError as error:
        raise ToolError(str(error)) from None


def make_server(library: Library) -> MCPServer:
    """Return the server; `run()` serves standard input and output."""
    server = MCPServer(
        "glyph",
        instructions="Documents as page images, and their exact text by page:\n"
        + library.contents(),
        log_level="WARNING",
    )

    @server.tool(annotations=_READS)
    def show_page(page: int, document: str = "") -> Image:
        """Return one page of a document as an image, which takes a fraction of the text's tokens.

        Pages count from 1; the document may be left out when there is one only.
        """
        return Image(data=_told(lambda: library.png(page, document)), format="png")

    @server.tool(annotations=_READS)
    def read_page(page: int, document: str = "") -> str:
        """Return the exact text of one page, for numbers, names and identifiers.

        Pages count from 1; the document may be left out when there is one only.
        """
        return _told(lambda: library.shelf.read_page(page, document))

    @server.tool(annotations=_READS)
    def search_pages(query: str, document: str = "") -> str:
        """Find words in the documents; returns page numbers with the text around."""
        return _told(lambda: library.shelf.search_pages(query, document))

    # Registered by their decorators.
    del show_page, read_page, search_pages
    return server
