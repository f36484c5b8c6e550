"""Words and prose for generated tasks, drawn from what every installation has.

The prose is the language reference that comes with Python (`pydoc_data.topics`); the words are
its words. So every machine with the same Python draws the same tasks; a haystack of one's own is
given by path.
"""

import random
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from glyph.documents import document_from_text
from glyph.errors import DocumentError

_ADJECTIVE_TEXT = """amber ancient azure
bitter bold brass brave brief bright brisk broad calm careful
clever coarse cold copper crisp curious damp daring dark deep distant dusty eager early elder
empty faint famous fierce final firm fragile fresh gentle giant golden grand grave hasty hidden
hollow honest humble idle iron ivory jolly keen late lively lonely loyal lucky merry mild modern
narrow noble odd old pale patient plain proud quick quiet rapid rare rough royal rural sacred
scarlet serious shallow sharp silent silver simple slender small smooth solid spare steady steep
stern strange strong subtle sudden sunny swift tall tame tender thin tidy tiny tough vast velvet
vivid warm wary weary wide wild wise wooden young"""
_NOUN_TEXT = """acorn anchor apple arrow autumn badge banner barley basin basket beacon bell birch
blanket bottle branch bridge bucket butter cabin candle canyon captain carpet castle cattle cedar
chapel cherry circle cliff cloud coast comet copper coral cottage cotton cradle crane creek crown
dagger daisy desert diamond dolphin dragon eagle ember engine falcon feather fiddle field flame
forest fountain garden garnet glacier granite hammer harbor harvest hazel helmet heron hill honey
island ivory jacket jasmine jungle kettle kitten ladder lantern leather lemon letter lilac lion
magnet maple marble market meadow mirror mitten monkey mountain needle nickel oasis ocean olive
orchard otter palace parrot pebble pencil pepper pigeon pillow planet pocket poplar potato prairie
quarry rabbit raven ribbon river saddle sailor salmon scarf shadow shepherd shovel spider spruce
squirrel statue summer sunset tailor temple thistle thunder tiger timber tower tulip tunnel turtle
valley vessel village violin walnut whistle willow window winter wolf yarn"""
_ADJECTIVES, _NOUNS = _ADJECTIVE_TEXT.split(), _NOUN_TEXT.split()


def pair_key(generator: random.Random, used: set[str]) -> str:
    """Return a key such as `amber-falcon` that was not used before, and note it as used."""
    key = f"{generator.choice(_ADJECTIVES)}-{generator.choice(_NOUNS)}"
    while key in used:
        key += f"-{generator.choice(_NOUNS)}"
    used.add(key)
    return key


def noun(generator: random.Random) -> str:
    """Return a common noun."""
    return generator.choice(_NOUNS)


def adjective(generator: random.Random) -> str:
    """Return an adjective."""
    return generator.choice(_ADJECTIVES)


@cache
def reference_prose() -> str:
    """Return the paragraphs of Python's language reference that are prose, in order."""
    from pydoc_data.topics import topics

    kept: list[str] = []
    for name in sorted(topics):
        # Its lines are wrapped by hand; the pages wrap for themselves.
        for paragraph in document_from_text(topics[name], kind="prose", unwrap=True).text.split(
            "\n"
        ):
            line = paragraph.strip()
            if len(line) > 60 and line[-1] in ".!?" and line[0].isalpha() and "::=" not in line:
                kept.append(line)
    return "\n".join(dict.fromkeys(kept))


@cache
def single_words() -> tuple[str, ...]:
    """Return distinct lower-case words of four to twelve letters, sorted."""
    found = set(re.findall(r"(?<![\w.])[a-z]{4,12}(?![\w.(])", reference_prose()))
    return tuple(sorted(found | {word for word in (*_ADJECTIVES, *_NOUNS) if len(word) > 3}))


def distinct_words(number: int, generator: random.Random) -> list[str]:
    """Return so many distinct words; once the list is used up, two are put together."""
    pool = list(single_words())
    generator.shuffle(pool)
    known = set(pool)
    while len(pool) < number:
        word = generator.choice(_NOUNS) + generator.choice(pool[: len(_NOUNS)])
        if word not in known:
            known.add(word)
            pool.append(word)
    return pool[:number]


def haystack_text(data: Sequence[Path]) -> tuple[str, str]:
    """Return the text that needles are hidden in, and what it is.

    Args:
        data: Text files and folders of them; when none is there, Python's language reference.

    Raises:
        DocumentError: A path does not exist, or a file is no UTF-8 text.
    """
    files: list[Path] = []
    for path in data:
        if path.is_dir():
            files += sorted(path.rglob("*.txt"))
        elif not path.exists():
            raise DocumentError(f"{path} does not exist; check --data.")
        elif path.suffix == ".txt":
            files.append(path)
    if not files:
        return reference_prose(), "Python's language reference"
    texts: list[str] = []
    for path in files:
        try:
            texts.append(path.read_text("utf-8"))
        except UnicodeDecodeError:
            raise DocumentError(f"{path} is no UTF-8 text; convert it first.") from None
    names = f"{files[0].name}" if len(files) == 1 else f"{len(files)} texts of {files[0].parent}"
    return "\n".join(texts), names
