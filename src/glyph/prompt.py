"""What is said to a model around the pages, and how pages are dealt out to requests.

The words before the pages describe, they do not command: a model that takes pages for
instructions refuses or obeys them. The question comes last, after everything that stays the same
from question to question, so that prompt caches hold the pages.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from glyph.encode import encode_png
from glyph.errors import BudgetError
from glyph.pages import Page

TRANSCRIBE = (
    "Transcribe the text of this page word for word, line by line as printed. Keep spelling, "
    "letter case, punctuation, numbers and line breaks exactly. Answer with the transcription only."
)
ANSWER_FROM_PAGES = (
    "Answer from the pages. Copy names, numbers and codes exactly as printed. If the pages do not "
    "hold the answer, say so. Be brief."
)
ANSWER_FROM_TEXT = ANSWER_FROM_PAGES.replace("the pages", "the text")

_THOUGHT = re.compile(r"\A\s*<think>.*?</think>\s*", re.DOTALL)
_ENVELOPE = re.compile(r"\A\s*<answer>\s*(?P<inner>.*?)\s*</answer>\s*\Z", re.DOTALL)
_BOXED = re.compile(r"<\|(?:begin|end)_of_box\|>")


@dataclass(frozen=True, slots=True)
class EncodedPage:
    """A page and its PNG file."""

    page: Page
    png: bytes


def reading_prompt(
    question: str, num_pages: int | None, sidecar: str = "", numbers: Sequence[int] = ()
) -> tuple[str, str]:
    """Return the text before the pages and the text after them.

    Args:
        question: The user's question, unchanged.
        num_pages: Pages of the document; None when not known.
        sidecar: Exact strings of the pages, given as text; "" for none.
        numbers: Page numbers from 0 of the pages shown; empty when all are.

    Example:
        >>> lead, _ = reading_prompt("Who is Ishmael?", 12)
        >>> lead
        'Pages 1-12 of 12 of the document follow as images.'
    """
    shown = list(numbers) or list(range(num_pages or 0))
    total = f" of {num_pages}" if num_pages else ""
    if len(shown) == 1:
        lead = f"Page {shown[0] + 1}{total} of the document follows as an image."
    else:
        lead = f"Pages {_ranges(shown)}{total} of the document follow as images."
    parts = [ANSWER_FROM_PAGES, f"Question: {question.strip()}"]
    if sidecar.strip():
        parts.insert(0, f"Exact strings from these pages, as text:\n{sidecar.strip()}")
    return lead, "\n\n".join(parts)


def text_prompt(question: str) -> str:
    """Return the words after a context that is given as text: those after pages, but for one.

    Example:
        >>> text_prompt("Who is Ishmael?").splitlines()[-1]
        'Question: Who is Ishmael?'
    """
    return f"{ANSWER_FROM_TEXT}\n\nQuestion: {question.strip()}"


def _ranges(numbers: Sequence[int]) -> str:
    """Return page numbers from 0 as people write them, from 1: '1-3, 7'."""
    breaks = [0, *(i + 1 for i, (a, b) in enumerate(pairwise(numbers)) if b != a + 1)]
    spans = [(numbers[a], numbers[b - 1]) for a, b in pairwise([*breaks, len(numbers)])]
    return ", ".join(
        str(first + 1) if first == last else f"{first + 1}-{last + 1}" for first, last in spans
    )


def page_groups(
    pages: Iterable[Page],
    max_images: int | None = None,
    max_bytes: int | None = None,
    max_image_bytes: int | None = None,
) -> Iterator[tuple[EncodedPage, ...]]:
    """Deal pages out to requests, in order, each as full as the limits allow.

    Args:
        pages: The pages; taken one by one, so that a long document is never held whole.
        max_images: Pages one request may hold; None for no limit.
        max_bytes: Bytes of PNG one request may hold, before base64; None for no limit.
        max_image_bytes: Bytes of one PNG, before base64; None for no limit.

    Yields:
        The pages of one request with their PNG files.

    Raises:
        BudgetError: One page alone is over a limit.
    """
    if max_images is not None and max_images < 1:
        raise BudgetError(f"max_images is {max_images}; a request holds at least 1 page.")
    single = min((limit for limit in (max_bytes, max_image_bytes) if limit), default=None)
    group: list[EncodedPage] = []
    num_bytes = 0
    for page in pages:
        encoded = EncodedPage(page, encode_png(page))
        size = len(encoded.png)
        if single is not None and size > single:
            raise BudgetError(
                f"page {page.index + 1} is {size:,} bytes as PNG; the limit is {single:,} bytes. "
                "Render smaller pages: lower dpi or the page size."
            )
        is_full = max_images is not None and len(group) >= max_images
        if group and (is_full or (max_bytes is not None and num_bytes + size > max_bytes)):
            yield tuple(group)
            group, num_bytes = [], 0
        group.append(encoded)
        num_bytes += size
    if group:
        yield tuple(group)


def final_answer(text: str) -> str:
    """Return a model's answer without the marks some models put around it.

    Thinking models lead with `<think>...</think>`, and GLM puts `<answer>` or box marks around
    the result. All else is the answer.

    Example:
        >>> final_answer("<think>Page 3 says so.</think><answer>42</answer>")
        '42'
    """
    text = _BOXED.sub("", _THOUGHT.sub("", text))
    envelope = _ENVELOPE.match(text)
    return (envelope["inner"] if envelope else text).strip()
