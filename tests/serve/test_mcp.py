"""The MCP server over standard input and output, through the protocol's own client."""

import asyncio
import base64
import io
import os
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("mcp", reason="the extra [serve] is not installed")

from mcp import Client, StdioServerParameters, stdio_client
from PIL import Image

from glyph.documents import load_document
from glyph.errors import ConfigError
from glyph.serve.mcp_server import open_library

TEXT = "\n\n".join(f"Clause {i}. The tenant pays {i}.50 a week for room {i}." for i in range(600))


def talk(files: list[Path], *calls: tuple[str, dict[str, Any]]) -> tuple[list[str], list[Any]]:
    command = StdioServerParameters(
        command=sys.executable,
        args=["-m", "glyph", "mcp", *map(str, files)],
        env=dict(os.environ),
    )

    async def run() -> tuple[list[str], list[Any]]:
        async with Client(stdio_client(command)) as client:
            tools = [tool.name for tool in (await client.list_tools()).tools]
            return tools, [await client.call_tool(name, given) for name, given in calls]

    return asyncio.run(run())


@pytest.fixture(scope="module")
def lease(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("mcp") / "lease.txt"
    path.write_text(TEXT)
    return path


def test_pages_are_shown_read_and_searched(lease: Path):
    tools, results = talk(
        [lease],
        ("read_page", {"page": 2}),
        ("search_pages", {"query": "clause 599."}),
        ("show_page", {"page": 2}),
        ("read_page", {"page": 999}),
        ("read_page", {"page": 1, "document": "../../etc/passwd"}),
    )
    assert tools == ["show_page", "read_page", "search_pages"]
    read, found, shown, missing, elsewhere = results
    library = open_library([lease])
    (volume,) = library.volumes
    assert "".join(volume.pages) == load_document(lease).text
    assert read.content[0].text.endswith(volume.page(2))
    assert f"page {volume.num_pages}: " in found.content[0].text
    png = base64.b64decode(shown.content[0].data)
    assert png == library.pngs[0][1]
    assert Image.open(io.BytesIO(png)).height == 840
    assert missing.is_error
    assert f"1 to {volume.num_pages} are accepted" in missing.content[0].text
    assert elsewhere.is_error
    assert "give one of: lease.txt" in elsewhere.content[0].text


def test_files_of_one_name_are_refused(tmp_path: Path, lease: Path):
    other = tmp_path / lease.name
    other.write_text("a")
    with pytest.raises(ConfigError, match="same name"):
        open_library([lease, other])
