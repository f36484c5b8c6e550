"""Text for training and evaluation: prose, Python documentation and code, random strings.

Random strings are at least a quarter of the mixture: without them a reader guesses words instead
of looking at glyphs. The novels used for evaluation never occur in training.
"""

import pydoc_data.topics
import re
import string
import sysconfig
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from glyph.errors import DocumentError

LETTERS = string.ascii_letters
PRINTABLE = "".join(map(chr, range(33, 127)))
SECTION_CHARS = (120, 700)
ASCII_OF = str.maketrans(
    {
        "\u2018": "'", "\u2019": "'", "\u201a": "'", "\u201c": '"', "\u201d": '"', "\u201e": '"',
        "\u2013": "-", "\u2014": "--", "\u2015": "--", "\u2212": "-", "\u2026": "...",
        "\u00a0": " ", "\u2009": " ", "\u2022": "*", "\u00d7": "x", "\t": "    ", "\r": "",
        "\ufeff": "", "\u00ad": "",
    }
)  # fmt: skip
OUTSIDE = re.compile(r"[^\n -~\u00a1-\u00ff]")
TYPESET_SHARE = 0.3
"""Share of sections with typographic quotes and dashes; books have them, text files may not."""

OTHER_CHAR = "\u00a4"
"""Shown for characters beyond Latin-1, so that every character has the style's advance."""


def plain_text(text: str) -> str:
    """Return a text in printable ASCII, Latin-1 letters and line feeds.

    Typographic quotes and dashes become their ASCII forms; what is beyond Latin-1 becomes one
    sign that stands for "other".

    Example:
        >>> plain_text("\u201cna\u00efve\u201d\u2014\u03b1")
        '"na\u00efve"--\u00a4'
    """
    return OUTSIDE.sub(OTHER_CHAR, text.translate(ASCII_OF))


def unwrap_lines(text: str) -> str:
    """Join hard-wrapped lines; a blank line ends a paragraph.

    Example:
        >>> unwrap_lines("one\\ntwo\\n\\nthree")
        'one two\\nthree'
    """
    joined = re.sub(r"(?<!\n)\n(?!\n)", " ", text)
    return re.sub(r"\n\s*\n", "\n", joined)


@dataclass(frozen=True, slots=True)
class TextMixture:
    """Long texts and the shares in which sections are cut from them.

    Attributes:
        sources: Long texts.
        weights: Share of each source.
        random_share: Share of random strings, 0 to 1.
    """

    sources: tuple[str, ...]
    weights: tuple[float, ...]
    random_share: float

    def sample(self, rng: np.random.Generator, num_chars: int) -> str:
        """Return sections of the mixture in a row, `num_chars` characters or more."""
        sections: list[str] = []
        total = 0
        shares = np.array(self.weights) / sum(self.weights) if self.weights else None
        while total < num_chars:
            size = int(rng.integers(*SECTION_CHARS))
            if shares is None or rng.random() < self.random_share:
                section = random_section(rng, size)
            else:
                source = self.sources[int(rng.choice(len(self.sources), p=shares))]
                start = int(rng.integers(0, max(len(source) - size, 1)))
                section = source[start : start + size]
            if rng.random() < TYPESET_SHARE:
                section = typeset(rng, section)
            sections.append(section)
            total += len(section) + 1
        return "\n".join(sections)


SIGNS = {'"': "\u201c\u201d\u201e\u00ab\u00bb", "'": "\u2019\u2019\u2018", "*": "\u2022"}


def typeset(rng: np.random.Generator, text: str) -> str:
    """Return a text with typographic quotes, dashes and dots, as books have them."""
    dash = "\u2014" if rng.random() < 0.7 else "\u2013"
    chars = list(text.replace("--", dash).replace("...", "\u2026"))
    for index, char in enumerate(chars):
        if char in SIGNS:
            chars[index] = SIGNS[char][int(rng.integers(len(SIGNS[char])))]
    return "".join(chars)


def random_section(rng: np.random.Generator, num_chars: int) -> str:
    """Return strings nobody can guess: words, keys, digits, identifiers, punctuation.

    Args:
        rng: Source of chance.
        num_chars: About how long.
    """
    kind = int(rng.integers(0, 6))
    if kind == 0:
        return _hex_keys(rng, num_chars)
    if kind == 1:
        return _key_values(rng, num_chars)
    alphabets = (
        PRINTABLE,
        LETTERS + string.digits,
        string.ascii_lowercase,
        string.digits + string.digits + ".,:;+-*/=%$()",
    )
    return _words(rng, alphabets[kind - 2], num_chars)


def _letters(rng: np.random.Generator, alphabet: str, num_chars: int) -> str:
    codes_N = np.frombuffer(alphabet.encode("ascii"), np.uint8)
    return codes_N[rng.integers(0, len(codes_N), num_chars)].tobytes().decode("ascii")


def _words(rng: np.random.Generator, alphabet: str, num_chars: int) -> str:
    text = _letters(rng, alphabet, num_chars)
    parts: list[str] = []
    start = 0
    while start < num_chars:
        size = int(rng.integers(1, 13))
        parts.append(text[start : start + size])
        start += size
    breaks = rng.random(len(parts)) < 0.05
    return "".join(p + ("\n" if b else " ") for p, b in zip(parts, breaks, strict=True))


def _hex_keys(rng: np.random.Generator, num_chars: int) -> str:
    digits = _letters(rng, string.hexdigits[:16], num_chars + 32)
    keys: list[str] = []
    for start in range(0, num_chars, 32):
        d = digits[start : start + 32]
        keys.append(f"{d[:8]}-{d[8:12]}-{d[12:16]}-{d[16:20]}-{d[20:]}")
    return (" " if rng.random() < 0.5 else "\n").join(keys)


def _key_values(rng: np.random.Generator, num_chars: int) -> str:
    lines: list[str] = []
    total = 0
    while total < num_chars:
        key = _letters(rng, string.ascii_lowercase, int(rng.integers(3, 9)))
        if rng.random() < 0.25:
            key += "-" + _letters(rng, string.ascii_lowercase, int(rng.integers(2, 6)))
        alphabet = string.digits if rng.random() < 0.6 else LETTERS + string.digits
        lines.append(f"{key}: {_letters(rng, alphabet, int(rng.integers(3, 11)))}")
        total += len(lines[-1]) + 1
    return "\n".join(lines)


def training_mixture(novels: Path | None, *, random_share: float = 0.35) -> TextMixture:
    """Return the training text: novels, the Python documentation and the standard library.

    Args:
        novels: Folder of hard-wrapped novels, one `.txt` file each, searched in its subfolders;
            None for none.
        random_share: Share of random strings, at least 0.25.

    Raises:
        DocumentError: The folder holds no novel.
    """
    manual = plain_text("\n".join(pydoc_data.topics.topics.values()))
    library = Path(sysconfig.get_paths()["stdlib"])
    code = "\n".join(
        plain_text(path.read_text("utf-8", errors="replace"))
        for path in sorted(library.glob("*.py"))
    )
    if novels is None:
        return TextMixture((manual, code), (0.6, 0.4), random_share)
    return TextMixture((_novels(novels), manual, code), (0.6, 0.2, 0.2), random_share)


def _novels(folder: Path) -> str:
    prose = "\n".join(
        unwrap_lines(plain_text(path.read_text("utf-8", errors="replace")))
        for path in sorted(folder.rglob("*.txt"))
    )
    if not prose:
        raise DocumentError(
            f"no .txt file under {folder}; give the folder of the unpacked training novels."
        )
    return prose


def book_mixture(books: Path) -> TextMixture:
    """Return held-out prose: English books that training never sees.

    Args:
        books: Folder of `.txt` files; those that are mostly not Latin script are left out.

    Raises:
        DocumentError: The folder holds no English book.
    """
    texts = [unwrap_lines(plain_text(p.read_text("utf-8"))) for p in sorted(books.glob("*.txt"))]
    english = tuple(text for text in texts if text.count(OTHER_CHAR) < 0.01 * len(text))
    if not english:
        raise DocumentError(f"no English .txt file in {books}; give the folder of held-out books.")
    return TextMixture(english, (1.0,) * len(english), 0.0)


def random_mixture() -> TextMixture:
    """Return random strings only."""
    return TextMixture((), (), 1.0)
