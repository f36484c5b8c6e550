"""Answers cut out of transcripts, with no model: look up a key, or rank sentences.

A question for a key's value is answered by the words beside the key. Any other question is
answered by the sentence that shares its rare words (BM25, with the neighbours counted a little),
and, where the question asks for a person, place, date or number, by the span of that kind nearest
to the shared words. It is a reader for tests, demos and legibility, and says how sure it is.

All steps are linear in the length of the transcripts.
"""

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from glyph.pages import Box
from glyph.readers.keys import KeyHit, KeyQuestion, find_key, parse_key_question
from glyph.readers.passages import IDEOGRAPHS, Passages
from glyph.readers.protocol import Transcript
from glyph.readers.spans import AnswerKind, answer_kind, best_span, has_span, words_of

NOT_FOUND = "not found on these pages"
MIN_COVERAGE = 0.25
"""Share of the question's rare words, by weight, that a sentence and its neighbours must hold."""

BM25_K1, BM25_B = 0.8, 0.5
NEIGHBOUR_WEIGHT = 0.2
NO_SPAN_FACTOR = 0.75
"""For a sentence without a name, date or number where the question asks for one."""
FUZZY_KEY_PENALTY = 0.15

_STOP_TEXT = """a an and are as at be been but by can could did do does for from had has have he her
him his how i if in into is it its me my no not of on or our over s said shall she should so some
such t than that the their them then there these they this those to up upon us was we were what when
where which while who whom whose why will with would you your please tell according text document
page pages passage provided mentioned many much
的 了 吗 呢 么 什 多 少 几 谁 哪 是 在 何 又 叫 怎 样 为 之 所"""
STOP_WORDS = frozenset(_STOP_TEXT.split())
_WORD = re.compile(rf"[{IDEOGRAPHS}]|[^\W_{IDEOGRAPHS}]+(?:['’][^\W_]+)?")
_SUFFIXES = ("ations", "ation", "ings", "ing", "edly", "ies", "ied", "ed", "es", "ly", "s", "e")


@dataclass(frozen=True, slots=True)
class Extraction:
    """An answer with the words it was cut from.

    Attributes:
        answer: The answer, or `NOT_FOUND`.
        quote: The sentence or clause it comes from, or "".
        pages: Transcripts that hold the quote, by number from 0; empty when nothing was found.
        box: Of the quote on the first of them, or None.
        confidence: From 0 to 1; 0 when nothing was found.
    """

    answer: str
    quote: str
    pages: tuple[int, ...]
    box: Box | None
    confidence: float


NOTHING = Extraction(NOT_FOUND, "", (), None, 0.0)


def extract_answer(
    question: str, transcripts: Sequence[Transcript], numbers: Sequence[int] | None = None
) -> Extraction:
    """Answer a question from transcripts.

    Args:
        question: In words; a question mark is not needed.
        transcripts: One for each page, in order.
        numbers: Page numbers from 0 of the transcripts, so that page labels are not taken for
            text; by default 0, 1, 2...

    Returns:
        The answer, or `NOTHING` when no passage has enough of the question's words.
    """
    passages = Passages(transcripts, numbers)
    asked = parse_key_question(question)
    if asked is not None:
        found = _look_up(passages, asked)
        if found is not None:
            return found
    return _rank(passages, question)


def has_definite_answer(
    question: str, transcripts: Sequence[Transcript], numbers: Sequence[int] | None = None
) -> bool:
    """Whether later pages cannot change the answer: one key, spelled exactly, with its value.

    A value that ends where the transcripts end is not definite, since it may go on.
    """
    asked = parse_key_question(question)
    if asked is None or asked.wants_all:
        return False
    passages = Passages(transcripts, numbers)
    hits = find_key(passages.text, asked.keys[0], asked.kind)
    return any(
        hit.value and hit.num_edits == 0 and hit.end < len(passages.text.rstrip()) for hit in hits
    )


# -- keys ------------------------------------------------------------------------------------


def _look_up(passages: Passages, asked: KeyQuestion) -> Extraction | None:
    hits: list[KeyHit] = []
    rivals = 0
    for key in asked.keys:
        found = [hit for hit in find_key(passages.text, key, asked.kind) if hit.value]
        hits += found if asked.wants_all else found[:1]
        rivals = len({hit.value for hit in found})
    if not hits:
        return None
    values = list(dict.fromkeys(hit.value for hit in hits))
    start, end = _clause(passages.text, hits[0])
    pages, box = passages.place_of(start, end)
    for hit in hits[1:]:
        more, _ = passages.place_of(hit.start, hit.end)
        pages = tuple(dict.fromkeys(pages + more))
    sure = min(passages.confidence_of(hit.start, hit.end) for hit in hits)
    sure -= FUZZY_KEY_PENALTY * max(hit.num_edits for hit in hits)
    if rivals > 1 and not asked.wants_all:
        sure /= rivals
    quote = passages.text[start:end]
    return Extraction(", ".join(values), quote, pages, box, round(max(sure, 0.01), 4))


def _clause(text: str, hit: KeyHit) -> tuple[int, int]:
    """Return the sentence around a key and its value, at most a line or two on either side."""
    start = max(text.rfind(mark, max(hit.start - 160, 0), hit.start) for mark in (". ", "? ", "\n"))
    start = start + 1 if start >= 0 else max(hit.start - 160, 0)
    end = hit.end
    if text[end : end + 1] in (".", '"', "'", "”"):
        end += 1
    return start + len(text[start:]) - len(text[start:].lstrip()), end


# -- sentences -------------------------------------------------------------------------------


def terms(text: str) -> list[str]:
    """Return the words of a text, stemmed; of ideographs, each one and each pair of neighbours.

    Example:
        >>> terms("The coachman's dogs were running")
        ['the', 'coachman', 'dog', 'wer', 'runn']
    """
    words: list[str] = []
    before = ""
    for match in _WORD.finditer(text):
        word = match.group()
        if len(word) == 1 and word > "\u2e7f":
            words += [word, before + word] if before else [word]
            before = word
        else:
            words.append(_stem(word.lower()))
            before = ""
    return words


def _stem(word: str) -> str:
    word = re.sub(r"['’]s?$", "", word)
    for suffix in _SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= 3:
            return word[: -len(suffix)]
    return word


def _rank(passages: Passages, question: str) -> Extraction:
    wanted = _question_terms(question)
    sentences = passages.sentences()
    if not wanted or not sentences:
        return NOTHING
    counts = [_count(passages.text[start:end], wanted) for start, end in sentences]
    weights = _weights(wanted, [count for count, _ in counts])
    lengths = [max(length, 1) for _, length in counts]
    mean_length = sum(lengths) / len(lengths)
    scores = [
        _bm25(count, length / mean_length, weights)
        for (count, _), length in zip(counts, lengths, strict=True)
    ]
    kind = answer_kind(question)
    asked = words_of(question)
    texts = [passages.text[start:end] for start, end in sentences]
    order = _best_first(scores, texts, kind, asked)
    best, next_best = order[0], order[1] if len(order) > 1 else (0.0, -1)
    coverage = _coverage([count for count, _ in counts], best[1], weights)
    if coverage < MIN_COVERAGE:
        return NOTHING
    start, end = sentences[best[1]]
    quote = passages.text[start:end]
    span = best_span(quote, kind, question)
    margin = (best[0] - next_best[0]) / best[0]
    pages, box = passages.place_of(start, end)
    sure = coverage * (0.5 + 0.5 * margin) * passages.confidence_of(start, end)
    sure *= 1.0 if has_span(quote, kind, asked) else NO_SPAN_FACTOR
    answer = span or quote.replace("\n", " ")
    return Extraction(answer, quote, pages, box, round(max(sure, 0.01), 4))


def _question_terms(question: str) -> set[str]:
    kept = _WORD.sub(lambda m: " " if m.group().lower() in STOP_WORDS else m.group(), question)
    return set(terms(kept)) or set(terms(question))


def _count(sentence: str, wanted: set[str]) -> tuple[Counter[str], int]:
    words = terms(sentence)
    return Counter(word for word in words if word in wanted), len(words)


def _weights(wanted: set[str], counts: Sequence[Counter[str]]) -> dict[str, float]:
    """Return how rare each word is among the sentences (inverse document frequency)."""
    spread = Counter(word for count in counts for word in count)
    total = len(counts)
    return {
        word: math.log(1 + (total - spread[word] + 0.5) / (spread[word] + 0.5)) for word in wanted
    }


def _bm25(count: Counter[str], relative_length: float, weights: dict[str, float]) -> float:
    """Score a sentence (Robertson and Zaragoza 2009, equation 3.15)."""
    damp = BM25_K1 * (1 - BM25_B + BM25_B * relative_length)
    return sum(weights[word] * n * (BM25_K1 + 1) / (n + damp) for word, n in count.items())


def _best_first(
    scores: Sequence[float], texts: Sequence[str], kind: AnswerKind, asked: set[str]
) -> list[tuple[float, int]]:
    """Return score and number of the best sentences; those without a fitting span lose."""
    padded = [0.0, *scores, 0.0]
    around = [
        score + NEIGHBOUR_WEIGHT * (padded[i] + padded[i + 2]) if score else 0.0
        for i, score in enumerate(scores)
    ]
    top = sorted(range(len(around)), key=lambda i: -around[i])[:20]
    ranked = [
        (around[i] * (1.0 if has_span(texts[i], kind, asked) else NO_SPAN_FACTOR), i) for i in top
    ]
    return sorted(ranked, key=lambda pair: (-pair[0], pair[1]))


def _coverage(counts: Sequence[Counter[str]], best: int, weights: dict[str, float]) -> float:
    """Return the share of the question's weight that a sentence and its neighbours hold."""
    inside = set(counts[best])
    around = {word for count in counts[max(best - 1, 0) : best + 2] for word in count} - inside
    held = sum(weights[word] for word in inside) + 0.5 * sum(weights[word] for word in around)
    total = sum(weights.values())
    return min(held / total, 1.0) if total else 0.0
