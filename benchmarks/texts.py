"""Texts that the benchmarks share.

English is the documentation that every Python ships unless GLYPH_DATA names a folder with books;
Chinese and Arabic come from that folder only, and a benchmark that needs them says when they are
absent.
"""

import json
import os
from pathlib import Path

DATA = Path(os.environ.get("GLYPH_DATA", Path(__file__).parents[2] / "shared" / "data"))


def english(num_chars: int) -> tuple[str, str]:
    """Return English prose of this length and its name."""
    book = DATA / "books" / "jane_eyre.txt"
    if book.exists():
        name, text = "Jane Eyre", book.read_text("utf-8")
    else:
        from pydoc_data.topics import topics

        name, text = "Python's documentation", "\n\n".join(topics[k] for k in sorted(topics))
    return _stretch(text, num_chars), name


def without_newlines(num_chars: int) -> tuple[str, str]:
    """Return the same prose as one paragraph."""
    text, name = english(num_chars)
    return " ".join(text.split()), f"{name}, one paragraph"


def chinese(num_chars: int) -> tuple[str, str] | None:
    """Return Chinese prose, or None when GLYPH_DATA has none."""
    book = DATA / "books" / "sanguo_yanyi.txt"
    if not book.exists():
        return None
    return _stretch(book.read_text("utf-8"), num_chars), "Sanguo yanyi"


def arabic(num_chars: int) -> tuple[str, str] | None:
    """Return Arabic prose, or None when GLYPH_DATA has none."""
    articles = DATA / "multilingual" / "xquad.ar.first12.json"
    if not articles.exists():
        return None
    data = json.loads(articles.read_text("utf-8"))["data"]
    text = "\n".join(part["context"] for article in data for part in article["paragraphs"])
    return _stretch(text, num_chars), "XQuAD, Arabic"


def _stretch(text: str, num_chars: int) -> str:
    return (text * (num_chars // len(text) + 1))[:num_chars]
