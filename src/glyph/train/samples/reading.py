"""Families that ask nothing: transcribing, and going on with a text that is partly pages."""

import re

from glyph.readers.nano.prompts import line_prompt, quote_prompt, read_prompt
from glyph.train.samples import wording
from glyph.train.samples.desk import Desk, Made, Prose
from glyph.train.samples.looks import Shown
from glyph.train.samples.sample import IMAGE_MARK

WHOLE_SHARE = 0.6
"""Transcriptions of everything; the others are of one page or line among several."""

BACK_SHARE = 0.3
MIN_PASSAGE_CHARS = 120
QUOTE_KEY, QUOTE_REST = 8, 16
MAX_SPANS = 4

_SENTENCE_END = re.compile(r"[.!?。！？][\"'”’)\]]*(?=\s)|\n")


def ocr(desk: Desk) -> Made | None:
    """Transcribe all pages, or one of them; for nano, a page or one of its lines."""
    is_whole = desk.chance(WHOLE_SHARE)
    text = desk.filled()
    if is_whole and not desk.is_nano and len(text) > desk.data.max_response_chars:
        text = text[: desk.between(MIN_PASSAGE_CHARS, desk.data.max_response_chars)].rstrip()
    shown = desk.show(text)
    if shown is None:
        return None
    if desk.is_nano:
        return _nano_ocr(desk, shown, is_whole)
    if is_whole or len(shown.images) == 1:
        return _transcript(desk, shown, desk.pick(wording.READ_ALL), shown.text)
    page = desk.below(len(shown.images))
    prompt = desk.pick(wording.READ_PAGE).format(page=page + 1)
    return _transcript(desk, shown, prompt, shown.page_text(page))


def _nano_ocr(desk: Desk, shown: Shown, is_whole: bool) -> Made | None:
    lines = shown.lines(0)
    text = "\n".join(lines)
    if is_whole and len(text) <= desk.data.max_response_chars and len(shown.images) == 1:
        return _transcript(desk, shown, wording.nano_words(read_prompt()), text)
    line = desk.below(len(lines))
    prompt = line_prompt(shown.line_number(0, line))
    return _transcript(desk, shown, wording.nano_words(prompt), lines[line])


def _transcript(desk: Desk, shown: Shown, prompt: str, response: str) -> Made | None:
    if not response.strip() or len(response) > desk.data.max_response_chars:
        return None
    return Made((shown,), prompt, response, (response,), "ocr")


def go_on(desk: Desk) -> Made | None:
    """Write how a text goes on after its pages, or what led up to them; nano goes on quoting."""
    if desk.is_nano:
        return _nano_quote(desk)
    prose = desk.prose()
    is_before = desk.chance(BACK_SHARE)
    missing = _passage(desk, prose) if is_before else ""
    shown = desk.show(desk.filled(prose=prose))
    if shown is None:
        return None
    prompt = desk.pick(wording.GO_BACK if is_before else wording.GO_ON)
    return _generated((shown,), prompt, missing or _passage(desk, prose))


def fill(desk: Desk) -> Made | None:
    """Write what is missing between two runs of pages."""
    prose = desk.prose()
    first = desk.show(desk.filled(0.3 + 0.4 * desk.rng.random(), prose))
    missing = _passage(desk, prose)
    second = desk.show(desk.filled(0.3 + 0.4 * desk.rng.random(), prose))
    if first is None or second is None or not desk.fits(first, second):
        return None
    prompt = f"{IMAGE_MARK}\n[...]\n{IMAGE_MARK}\n{desk.asked(desk.pick(wording.FILL))}"
    return _generated((first, second), prompt, missing)


def interleaved(desk: Desk) -> Made | None:
    """Go on with a text of which some spans are pages."""
    prose = desk.prose()
    count = 1 + desk.below(MAX_SPANS)
    parts: list[str] = []
    spans: list[Shown] = []
    for number in range(count):
        if number or desk.chance(0.5):
            parts.append(_passage(desk, prose))
        shown = desk.show(desk.filled(1 / count, prose))
        if shown is None:
            return None
        spans.append(shown)
        parts.append(IMAGE_MARK)
    if desk.chance(0.5):
        parts.append(_passage(desk, prose))
    if not desk.fits(*spans):
        return None
    body = "\n".join(parts)
    prompt = f"{body}\n\n{desk.asked(wording.INTERLEAVED)}"
    return _generated(tuple(spans), prompt, _passage(desk, prose))


def _passage(desk: Desk, prose: Prose) -> str:
    """Take a passage of text, to the end of a sentence where there is one."""
    text = prose.take(desk.between(MIN_PASSAGE_CHARS, desk.data.max_response_chars))
    ends = [match.end() for match in _SENTENCE_END.finditer(text)]
    last = next((end for end in reversed(ends) if end > len(text) // 2), len(text))
    prose.put_back(text[last:])
    return text[:last].strip()


def _generated(shown: tuple[Shown, ...], prompt: str, missing: str) -> Made | None:
    return Made(shown, prompt, missing, (missing,), "judge") if missing else None


def _nano_quote(desk: Desk) -> Made | None:
    """Go on with a quotation from the page: what follows a few characters that stand there once."""
    shown = desk.show(desk.filled())
    if shown is None:
        return None
    lines = [line for line in shown.lines(0) if len(line) >= QUOTE_KEY + QUOTE_REST // 2]
    if not lines:
        return None
    line = desk.pick(lines)
    at = desk.below(len(line) - QUOTE_KEY - QUOTE_REST // 2 + 1)
    key = line[at : at + QUOTE_KEY]
    rest = line[at + QUOTE_KEY : at + QUOTE_KEY + QUOTE_REST]
    if "\n".join(shown.lines(0)).count(key) != 1 or not (key + rest).isascii():
        return None
    return Made((shown,), wording.nano_words(quote_prompt(key)), rest, (rest,), "ocr")
