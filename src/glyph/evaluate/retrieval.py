"""Text at the price of pages: the beginning and end of a context, or what BM25 finds in it."""

import math
from collections import Counter
from collections.abc import Callable, Sequence

from glyph.evaluate.fitting import fit, sentences_of
from glyph.readers.extract import STOP_WORDS, terms
from glyph.readers.passages import is_wide

BM25_K1, BM25_B = 1.2, 0.75
CHUNK_WORDS = 100
"""Length of the chunks that are ranked; whole sentences, so they may be longer. Three ideographs
count as two words: they have no blanks between them."""


def truncate(text: str, budget: int, count: Callable[[str], int]) -> str:
    """Return the first and last part of a text, alike in length, within a budget of tokens.

    The middle is what is cut out, as LongBench does.
    """
    if count(text) <= budget:
        return text

    def halves(number: int) -> str:
        half = number // 2
        return f"{text[:half]}\n{text[len(text) - half :]}" if half else ""

    return halves(fit(halves, budget, count, 0, len(text)))


def retrieve(text: str, question: str, budget: int, count: Callable[[str], int]) -> str:
    """Return the chunks that BM25 ranks highest for a question, in the order of the text.

    Args:
        text: The context.
        question: What is asked.
        budget: Tokens the result may have.
        count: Tokens of a text.

    Source:
        Robertson and Zaragoza 2009, equation 3.15.
    """
    if count(text) <= budget:
        return text
    pieces = chunks(text)
    order = rank(pieces, question)

    def best(number: int) -> str:
        return "\n".join(pieces[i] for i in sorted(order[:number]))

    number = fit(best, budget, count, 0, len(pieces))
    # A chunk that is longer than all there is room for is cut, not left out.
    return best(number) if number else truncate(pieces[order[0]], budget, count)


def chunks(text: str) -> list[str]:
    """Return a text in runs of whole sentences of about `CHUNK_WORDS` words; lines stay whole."""
    found: list[str] = []
    pieces: list[str] = []
    words = 0
    for line in text.split("\n"):
        for sentence in sentences_of(line) or [line]:
            size = len(sentence.split()) + sum(map(is_wide, sentence)) * 2 // 3
            if pieces and words + size > CHUNK_WORDS:
                found.append(" ".join(pieces))
                pieces, words = [], 0
            pieces.append(sentence)
            words += size
    if pieces:
        found.append(" ".join(pieces))
    return found


def rank(pieces: Sequence[str], question: str) -> list[int]:
    """Return the numbers of pieces, the best for a question first; equals keep their order."""
    wanted = set(terms(question)) - STOP_WORDS
    counts = [Counter(terms(piece)) for piece in pieces]
    lengths = [max(each.total(), 1) for each in counts]
    mean = sum(lengths) / max(len(lengths), 1)
    spread = Counter(word for each in counts for word in each if word in wanted)
    weights = {
        word: math.log(1 + (len(pieces) - spread[word] + 0.5) / (spread[word] + 0.5))
        for word in wanted
    }

    def score(i: int) -> float:
        damp = BM25_K1 * (1 - BM25_B + BM25_B * lengths[i] / mean)
        return sum(
            weights[word] * counts[i][word] * (BM25_K1 + 1) / (counts[i][word] + damp)
            for word in sorted(wanted)
        )

    return sorted(range(len(pieces)), key=lambda i: (-score(i), i))
