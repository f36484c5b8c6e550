"""Pages to read, and the reader that reads them."""

import importlib.util
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from chat_endpoint import Endpoint, serving

from glyph import Page, RenderConfig, render_pages
from glyph.readers.ocr import OcrReader

PagesOf = Callable[..., list[Page]]


@pytest.fixture(scope="session")
def pages_of() -> PagesOf:
    """Return a function that renders a text with some fields changed."""

    def render(text: str, **fields: Any) -> list[Page]:
        return list(render_pages(text, RenderConfig(**fields)))

    return render


@pytest.fixture(scope="session")
def ocr() -> OcrReader:
    """Return one reader for all tests, since what it has read it remembers."""
    for package in ("onnxruntime", "rapidocr"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed: pip install 'glyph-context[ocr]'")
    return OcrReader(threads=1)


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    """Return a chat endpoint on loopback; the test tells it what to reply."""
    with serving() as served:
        yield served
