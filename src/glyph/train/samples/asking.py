"""Families of questions whose answer is planted in prose, so that every answer can be checked.

A thought quotes the lines that the answer follows from, in the order in which one needs them; the
answer alone follows. Distractors look like what is asked for.
"""

import re
import string
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from glyph.readers.nano.prompts import Prompt, key_prompt, text_ids
from glyph.readers.nano.spec import load_spec
from glyph.train.nano.tasks import NEEDLE_HEAD, NEEDLE_MIDDLE
from glyph.train.samples import wording
from glyph.train.samples.desk import Desk, Made
from glyph.train.samples.looks import Shown

HARD_SHARE = 0.3
"""Keys that begin like another key."""

LETTER_VALUE_SHARE = 0.4
LARGEST_SHARE = 0.4
MAX_COUNT = 9
MAX_TOLLS = 4

_WORD = re.compile(r"\b[a-z]{4,9}\b")


def needle(desk: Desk) -> Made | None:
    """Ask for the number a sentence gives a key; several sentences look alike."""
    entries = _entries(desk, desk.between(1, min(desk.data.max_keys, 16)), digits=True)
    if desk.is_nano:
        said = f"{NEEDLE_HEAD}{{key}}{NEEDLE_MIDDLE}{{value}}."
        asked = ""
    else:
        said, asked = desk.pick(wording.NEEDLES)
    lines = [said.format(key=key, value=value) for key, value in entries]
    shown = _planted(desk, lines, "line" if desk.is_nano else "inline")
    if shown is None:
        return None
    which = desk.below(len(entries))
    key, value = entries[which]
    if not desk.is_nano:
        return desk.answered((shown,), asked.format(key=key), lines[which], value)
    quote = lines[which][len(NEEDLE_HEAD) :]
    in_words = desk.chance(0.25)
    return _nano_quoted(desk, shown, key_prompt(key, needle=True, in_words=in_words), quote, value)


def key_value(desk: Desk) -> Made | None:
    """Ask for the value beside a key."""
    entries = _entries(desk, desk.between(1, desk.data.max_keys), digits=False)
    lines = [f"{key}: {value}" for key, value in entries]
    shown = _planted(desk, lines, "line")
    if shown is None:
        return None
    which = desk.below(len(entries))
    key, value = entries[which]
    if not desk.is_nano:
        question = desk.pick(wording.KEY_VALUES).format(key=key)
        return desk.answered((shown,), question, lines[which], value)
    prompt = key_prompt(key, in_words=desk.chance(0.25))
    return _nano_quoted(desk, shown, prompt, lines[which], value)


def multi_hop(desk: Desk) -> Made | None:
    """Ask for the number a variable holds through a chain of assignments."""
    planted = _chains(desk)
    if planted is None:
        return None
    shown, chain, value = planted
    name, trace = chain[-1], _assignments(chain, value)
    # One goes back from the variable to its number.
    thought = "\n".join(reversed(trace))
    if desk.is_nano:  # it quotes the line that gives the number
        prompt = wording.nano_words(_variable_prompt(name))
        return desk.answered((shown,), prompt, thought, trace[0], (value,), is_asked=True)
    return desk.answered((shown,), desk.pick(wording.RESOLVE).format(name=name), thought, value)


def trace(desk: Desk) -> Made | None:
    """Ask for all variables that hold a number in the end."""
    planted = _chains(desk)
    if planted is None:
        return None
    shown, chain, value = planted
    if desk.is_nano:
        prompt = wording.nano_words(_variable_prompt(value))
    else:
        prompt = desk.pick(wording.TRACE).format(value=value)
    said = "\n".join(_assignments(chain, value))
    answer = "\n".join(chain) if desk.is_nano else ", ".join(chain)
    return desk.answered((shown,), prompt, said, answer, tuple(chain), is_asked=desk.is_nano)


def aggregate(desk: Desk) -> Made | None:
    """Count lines that are alike, or name the thing that most lines name."""
    kinds = _words(desk, 2 + desk.below(3))
    counts = [1 + desk.below(MAX_COUNT) for _ in kinds]
    most = max(counts)
    if len(set(kinds)) < len(kinds) or counts.count(most) > 1:
        return None
    words = [word for word, count in zip(kinds, counts, strict=True) for _ in range(count)]
    order = desk.rng.random(len(words)).argsort()
    shown = _planted(desk, [wording.SIGHTING.format(word=words[int(k)]) for k in order], "line")
    if shown is None:
        return None
    if desk.chance(0.5):
        which = desk.below(len(kinds))
        line = wording.SIGHTING.format(word=kinds[which])
        question = desk.pick(wording.COUNT).format(line=line)
        numbers = ", ".join(map(str, range(1, counts[which] + 1)))
        return desk.answered((shown,), question, f"{line} {numbers}", str(counts[which]))
    ranked = Counter(dict(zip(kinds, counts, strict=True))).most_common()
    told = ", ".join(f"{word} {count}" for word, count in ranked)
    return desk.answered((shown,), desk.pick(wording.MOST), told, ranked[0][0])


def cross_page(desk: Desk) -> Made | None:
    """Add up, or compare, numbers that stand on different pages."""
    count = 2 + desk.below(MAX_TOLLS - 1)
    keys = _keys(desk, count)
    tolls = [11 + desk.below(980) for _ in keys]
    lines = [
        wording.TOLL.format(key=key, value=toll) for key, toll in zip(keys, tolls, strict=True)
    ]
    planted = desk.planted(lines, "line" if desk.is_nano else "inline", even=True)
    shown = desk.show(planted[0]) if planted else None
    if planted is None or shown is None:
        return None
    pages = {shown.page_of(offset) for offset in planted[1]}
    if len(pages) < count or len(set(tolls)) < count:
        return None
    asked = [keys[int(k)] for k in desk.rng.random(count).argsort()]
    by_key = dict(zip(keys, tolls, strict=True))
    said = " ".join(lines[keys.index(key)] for key in asked)
    if desk.chance(LARGEST_SHARE):
        question = desk.pick(wording.LARGEST).format(keys=wording.named(asked))
        return desk.answered((shown,), question, said, max(keys, key=by_key.__getitem__))
    question = desk.pick(wording.ADD).format(keys=wording.named(asked))
    total = str(sum(tolls))
    added = " + ".join(str(by_key[key]) for key in asked)
    return desk.answered((shown,), question, f"{said} {added} = {total}", total)


# -- what is planted ---------------------------------------------------------------------------


def _planted(desk: Desk, lines: Sequence[str], joint: str) -> Shown | None:
    planted = desk.planted(lines, "line" if joint == "line" else "inline")
    return desk.show(planted[0]) if planted else None


def _entries(desk: Desk, count: int, *, digits: bool) -> list[tuple[str, str]]:
    return [(key, _value(desk, digits)) for key in _keys(desk, count)]


def _value(desk: Desk, digits: bool) -> str:
    if digits:
        return desk.letters(string.digits, 7)
    if desk.chance(LETTER_VALUE_SHARE):
        return desk.letters(string.ascii_letters + string.digits, 3 + desk.below(8))
    return desk.letters(string.digits, 4 + desk.below(4))


def _keys(desk: Desk, count: int) -> list[str]:
    """Return keys of random letters for nano, and for others mostly of two words of the text."""
    words = [] if desk.is_nano else _words(desk, 2 * count)
    keys: list[str] = []
    while len(keys) < count:
        key = desk.letters(string.ascii_lowercase, 3 + desk.below(6))
        if words and desk.chance(0.7):
            key = f"{words.pop()}-{words.pop()}" if len(words) > 1 else key
        if keys and desk.chance(HARD_SHARE):
            model = desk.pick(keys)
            key = model[: 1 + desk.below(3)] + key[2:]
        keys += [] if key in keys else [key]
    return keys


def _words(desk: Desk, count: int) -> list[str]:
    """Return words of the documents, or random ones where these have none."""
    found = sorted(set(_WORD.findall(desk.prose().take(4_000))))
    if len(found) < count:
        return [desk.letters(string.ascii_lowercase, 4 + desk.below(5)) for _ in range(count)]
    return [found[int(k)] for k in desk.rng.random(len(found)).argsort()[:count]]


# -- chains of assignments ---------------------------------------------------------------------


def _chains(desk: Desk) -> tuple[Shown, list[str], str] | None:
    """Plant a chain among others; return its variables in order and their number."""
    # Alone on its pages a chain need not be followed: any number there would be the answer.
    num_others = desk.between(1, max(desk.data.max_keys // desk.data.max_hops, 1))
    lengths = [1 + desk.below(desk.data.max_hops) for _ in range(num_others)]
    # A chain of k + 1 variables takes k hops from the last one to the one with the number.
    lengths.insert(0, 1 + 1 + desk.below(desk.data.max_hops))
    size = 3 if desk.is_nano else 5
    names: list[str] = []
    while len(names) < sum(lengths):
        name = desk.letters(string.ascii_uppercase, size)
        names += [] if name in names else [name]
    values = [str(10_000 + desk.below(90_000)) for _ in lengths]
    if len(set(values)) < len(values):
        return None
    chains = [[names.pop() for _ in range(length)] for length in lengths]
    waiting = [_assignments(chain, value) for chain, value in zip(chains, values, strict=True)]
    lines: list[str] = []
    while any(waiting):
        # Chains are mixed with each other; each keeps its order.
        lines.append(desk.pick([chain for chain in waiting if chain]).pop(0))
    shown = _planted(desk, lines, "line")
    return (shown, chains[0], values[0]) if shown else None


def _assignments(chain: Sequence[str], value: str) -> list[str]:
    lines = [f"VAR {chain[0]} = {value}"]
    return lines + [f"VAR {new} = VAR {old}" for old, new in pairwise(chain)]


def _variable_prompt(key: str) -> Prompt:
    special = load_spec().special
    return Prompt((special("VAR"), *text_ids(key), special("VAL")), 1, len(key))


def _nano_quoted(desk: Desk, shown: Shown, prompt: Prompt, quote: str, value: str) -> Made:
    """Return a question the nano reader answers by quoting from the key to the end of its line."""
    words = wording.nano_words(prompt)
    if desk.chance(desk.data.think_share):
        return Made((shown,), words, wording.thought(quote, value), (value,), "match")
    return Made((shown,), words, quote, (value,), "match")
