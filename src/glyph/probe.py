"""Probe: can this reader read this preset? Words can be guessed, random strings cannot.

Lines of ordinary words and lines of random strings are drawn, read back, and compared character
by character. A reader that knows the language repairs what it did not see, so that the words alone
say too much; hashes, ids and numbers are misread silently, and that is what the second rate shows.
"""

import random
import string
import time
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glyph.config import RenderConfig
from glyph.documents import document_from_text
from glyph.errors import ConfigError
from glyph.readers import Reader
from glyph.render import render_pages

MAX_LINES = 100
MAX_LINE_CHARS = 72
RESAMPLES = 2_000
GOOD_WORDS, POOR_WORDS = 0.02, 0.10
GOOD_STRINGS = 0.002
MAX_CONFUSIONS = 8

# A sentence is: article, adjective, noun, verb, article, adjective, noun, place.
ARTICLES = ("a", "the", "every", "another", "one", "this")
ADJECTIVES = (
    *("quiet", "narrow", "golden", "patient", "northern", "curious", "broken", "gentle", "heavy"),
    *("modern", "hidden", "simple", "famous", "yellow", "brave", "crowded", "wooden", "distant"),
)
NOUNS = (
    *("teacher", "bridge", "garden", "letter", "window", "captain", "village", "machine", "river"),
    *(
        "painter",
        "journey",
        "library",
        "question",
        "kitchen",
        "doctor",
        "evening",
        "market",
        "boat",
    ),
    *("jacket", "wizard", "quarry", "zebra", "fox", "expert", "voyage", "puzzle", "equation"),
)
VERBS = (
    *("watched", "carried", "found", "described", "painted", "followed", "measured", "opened"),
    *("repaired", "joined", "explained", "visited", "questioned", "sketched", "organized", "kept"),
)
PLACES = (
    *("before the rain", "near the old harbour", "after breakfast", "without a word", "by hand"),
    *("in the next valley", "at the end of June", "behind the mill", "for two whole weeks"),
)


@dataclass(frozen=True, slots=True)
class Confusion:
    """Something on the page that was read as something else, and how often; "" is nothing."""

    expected: str
    read: str
    count: int


@dataclass(frozen=True, slots=True)
class Legibility:
    """How well one kind of text was read.

    Attributes:
        cer: Character errors over characters; above 1 when much is read that is not there.
        cer_low: Lower end of its 95 % interval, by bootstrap over lines.
        cer_high: Upper end.
        exact: Share of the words or strings that were read without any error.
        num_chars: Characters drawn, one blank between lines included.
        num_errors: Characters replaced, left out or added.
        confusions: The most frequent errors.
    """

    cer: float
    cer_low: float
    cer_high: float
    exact: float
    num_chars: int
    num_errors: int
    confusions: tuple[Confusion, ...]


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """What a reader makes of a preset.

    Attributes:
        reader: Name of the reader.
        config_digest: Which config was probed.
        words: Ordinary words.
        strings: Hex, base62, digits and UUIDs.
        num_pages: Pages read.
        seconds: Wall time of reading.
        verdict: What follows from it, in a sentence.
    """

    reader: str
    config_digest: str
    words: Legibility
    strings: Legibility
    num_pages: int
    seconds: float
    verdict: str


def probe(
    reader: Reader,
    config: RenderConfig,
    *,
    seed: int = 0,
    lines: int = 24,
    on_page: Callable[[int], None] | None = None,
) -> ProbeResult:
    """Measure how well a reader reads pages of a config.

    Newline markers and page labels are left out, since they come from no character of the text.

    Args:
        reader: Whoever reads the pages aloud.
        config: How the pages look.
        seed: Of the texts; one seed gives one text for a config.
        lines: Lines of each of the two kinds of text, 2 to 100.
        on_page: Called with the number of pages read so far.

    Returns:
        Character error rates with intervals, the worst confusions and a verdict.

    Raises:
        ConfigError: `lines` is out of range.
        ReaderError: The reader cannot read.
    """
    if not 2 <= lines <= MAX_LINES:
        raise ConfigError(f"lines is {lines}; 2 to {MAX_LINES} are accepted.")
    plain = config.replace(newline_marker="", page_label="none")
    generator = random.Random(seed)
    room = min(int(plain.line_width_px / (0.66 * plain.font_size_px)), MAX_LINE_CHARS)
    drawn = [
        [_line_of(_sentence, generator, room) for _ in range(lines)],
        [_line_of(_random_string, generator, room) for _ in range(lines)],
    ]
    begin = time.perf_counter()
    num_pages = 0
    found: list[Legibility] = []
    for kind, truth in enumerate(drawn):
        read: list[str] = []
        for page in render_pages(document_from_text("\n".join(truth), unwrap=False), plain):
            read.append(reader.transcribe(page).text)
            num_pages += 1
            if on_page is not None:
                on_page(num_pages)
        found.append(legibility(truth, "\n".join(read), seed=seed + kind))
    words, strings = found
    return ProbeResult(
        reader=reader.name,
        config_digest=config.digest,
        words=words,
        strings=strings,
        num_pages=num_pages,
        seconds=time.perf_counter() - begin,
        verdict=_verdict(words, strings),
    )


def _verdict(words: Legibility, strings: Legibility) -> str:
    if words.cer > POOR_WORDS:
        return "cannot read this preset: raise dpi or font_size_pt."
    reads = "reads words" if words.cer <= GOOD_WORDS else "reads words with errors"
    if strings.cer <= GOOD_STRINGS:
        return f"{reads} and exact strings."
    return f"{reads}, misreads exact strings: give those as text beside the pages."


# -- texts -----------------------------------------------------------------------------------


def _line_of(make: Callable[[random.Random], str], generator: random.Random, room: int) -> str:
    """Return as many pieces as fit on a line, at least one."""
    line = make(generator)
    for _ in range(16):
        if len(line) <= room:
            break
        line = make(generator)
    while len(line) <= room:
        piece = make(generator)
        if len(line) + 1 + len(piece) > room:
            break
        line = f"{line} {piece}"
    return line


def _sentence(generator: random.Random) -> str:
    pick = generator.choice
    words = (
        *(pick(ARTICLES), pick(ADJECTIVES), pick(NOUNS), pick(VERBS)),
        *(pick(ARTICLES), pick(ADJECTIVES), pick(NOUNS), pick(PLACES)),
    )
    sentence = " ".join(words)
    return f"{sentence[0].upper()}{sentence[1:]}."


def _random_string(generator: random.Random) -> str:
    base62 = string.digits + string.ascii_letters
    kind = generator.randrange(4)
    if kind == 0:
        return "".join(generator.choices("0123456789abcdef", k=generator.choice((8, 12, 16))))
    if kind == 1:
        return "".join(generator.choices(base62, k=generator.choice((8, 11, 16))))
    if kind == 2:
        return "".join(generator.choices(string.digits, k=generator.choice((6, 9, 12))))
    return str(uuid.UUID(int=generator.getrandbits(128), version=4))


# -- comparison ------------------------------------------------------------------------------


def legibility(truth: Sequence[str], read: str, *, seed: int = 0) -> Legibility:
    """Compare lines with what was read of them.

    Line breaks count as blanks, and runs of white space as one: where a reader breaks lines is
    not held against it.

    Args:
        truth: The lines drawn, in order; none is empty.
        read: Everything that was read; what is longer than three times the truth is cut off.
        seed: Of the bootstrap.
    """
    lines = [" ".join(line.split()) for line in truth]
    expected = " ".join(lines)
    steps = alignment(expected, " ".join(read.split())[: 3 * len(expected)])
    starts = np.cumsum([0, *(len(line) + 1 for line in lines)])
    position_E = np.array([at for at, _, _ in steps], np.int64)
    line_E = np.clip(np.searchsorted(starts, position_E, side="right") - 1, 0, len(lines) - 1)
    errors_L = np.bincount(line_E, minlength=len(lines))
    chars_L = np.array([len(line) + 1 for line in lines])
    chars_L[-1] -= 1
    wrong = set(position_E.tolist())
    words = _spans_of_words(expected)
    is_exact = [not any(i in wrong for i in range(start, end + 1)) for start, end in words]
    low, high = bootstrap_interval(errors_L, chars_L, seed=seed)
    pairs = Counter((old, new) for _, old, new in steps)
    return Legibility(
        cer=len(steps) / len(expected),
        cer_low=low,
        cer_high=high,
        exact=sum(is_exact) / len(words),
        num_chars=len(expected),
        num_errors=len(steps),
        confusions=tuple(
            Confusion(old, new, count) for (old, new), count in pairs.most_common(MAX_CONFUSIONS)
        ),
    )


def _spans_of_words(text: str) -> list[tuple[int, int]]:
    spans: list[tuple[int, int]] = []
    start = 0
    for word in text.split(" "):
        spans.append((start, start + len(word)))
        start += len(word) + 1
    return spans


def bootstrap_interval(
    errors_L: NDArray[np.int64], chars_L: NDArray[np.int64], *, seed: int = 0
) -> tuple[float, float]:
    """Return the 95 % interval of an error rate, lines drawn again with replacement.

    Source:
        Bisani and Ney 2004, "Bootstrap estimates for confidence intervals in ASR performance
        evaluation": lines are the units, since errors within a line are not independent.
    """
    rng = np.random.default_rng(seed)
    drawn_RL = rng.integers(0, len(errors_L), (RESAMPLES, len(errors_L)))
    rates_R = errors_L[drawn_RL].sum(axis=1) / chars_L[drawn_RL].sum(axis=1)
    low, high = np.quantile(rates_R, [0.025, 0.975])
    return float(low), float(high)


def alignment(expected: str, read: str) -> list[tuple[int, str, str]]:
    """Return the edits that lead from one string to the other, as few as possible.

    Args:
        expected: What was drawn, below 65,536 characters.
        read: What was read of it, as long at the most.

    Returns:
        Position in `expected`, what stands there ("" where something was added) and what was read
        ("" where it was left out), in order.

    Example:
        >>> alignment("cat", "chat"), alignment("cat", "ca7")
        ([(1, '', 'h')], [(2, 't', '7')])
    """
    table = _distances(expected, read)
    steps: list[tuple[int, str, str]] = []
    i, j = len(expected), len(read)
    while i or j:
        cost = int(table[i, j])
        if i and j and table[i - 1, j - 1] == cost - (expected[i - 1] != read[j - 1]):
            i, j = i - 1, j - 1
            if expected[i] != read[j]:
                steps.append((i, expected[i], read[j]))
        elif i and table[i - 1, j] == cost - 1:
            i -= 1
            steps.append((i, expected[i], ""))
        else:
            j -= 1
            steps.append((i, "", read[j]))
    return steps[::-1]


def _distances(one: str, other: str) -> NDArray[np.uint16]:
    """Return the edit distances of all prefixes of two strings (Levenshtein 1966).

    A row follows from the one above: along a row, d[j] = min over k <= j of best[k] + (j - k), so
    that d - j is a running minimum.
    """
    assert max(len(one), len(other)) < 1 << 16
    codes = np.array([ord(char) for char in other], np.int32)
    columns = np.arange(len(other) + 1, dtype=np.int32)
    row = columns
    table = np.empty((len(one) + 1, len(other) + 1), np.uint16)
    table[0] = row
    for i, char in enumerate(one):
        best = row + 1
        best[1:] = np.minimum(best[1:], row[:-1] + (codes != ord(char)))
        row = np.minimum.accumulate(best - columns) + columns
        table[i + 1] = row
    return table
