"""Tasks on text lines: what stands on a page, what is asked, and where each answer letter stands.

A page is a list of lines; a query is a prompt, an answer and the place of every answer character.
Answers quote the page wherever they can, so that a reader re-finds the text and copies it. All
chance comes from one generator: the same seed gives the same pages.
"""

import string
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from glyph.errors import ConfigError
from glyph.readers.nano.prompts import (
    key_prompt,
    line_prompt,
    presence_prompt,
    quote_prompt,
    read_prompt,
    text_ids,
)
from glyph.readers.nano.spec import char_ids, chars_of, load_spec
from glyph.train.nano.corpus import TextMixture
from glyph.train.nano.oracle import MonoGrid

NEEDLE_HEAD = "One of the special magic numbers for "
NEEDLE_MIDDLE = " is: "
TRACE_LINE = "VAR ABC = VAR DEF"
TASKS = ("lookup", "question", "needle", "line", "read", "quote", "present", "trace")


@dataclass(frozen=True, slots=True)
class Query:
    """One question about a page.

    Attributes:
        task: One of TASKS.
        prompt: Vocabulary ids; the last is VAL, where the answer starts.
        answer: Vocabulary ids; the last is EOS.
        places: Line and column of each answer id on the page; None where it stands nowhere.
            EOS after a quote has the place just behind it.
        key_at: Index in `prompt` of the first key id; -1 without a key.
        key_size: Number of key ids.
        key_place: Line and column of the key on the page; None without a key there.
        num_keys: Keys on the page that look alike.
    """

    task: str
    prompt: tuple[int, ...]
    answer: tuple[int, ...]
    places: tuple[tuple[int, int] | None, ...]
    key_at: int = -1
    key_size: int = 0
    key_place: tuple[int, int] | None = None
    num_keys: int = 0


@dataclass(frozen=True, slots=True)
class TaskPage:
    """Text lines of a page and the questions about it."""

    lines: tuple[str, ...]
    queries: tuple[Query, ...]


@dataclass(frozen=True, slots=True)
class TaskMix:
    """Shares in which pages and queries are drawn.

    Attributes:
        page_weights: Share of pages by what they hold: `keys`, `needles`, `prose`, `trace`.
        hard_share: Share of keys that begin like another key of the page.
        letter_values: Share of values of letters and digits; the rest are digits.
        max_value: Longest value.
        max_queries: Queries of a page.
        line_queries: Line queries of a page beside the key queries.
        question_share: Share of key queries in words instead of a bare key.
        extra_share: Share of pages with a query of presence or quotation.
        few_keys: 1 draws the number of keys uniformly on a logarithmic scale, more favours few:
            a page of one key asks one query, so that few keys are seldom asked for otherwise.
    """

    page_weights: tuple[tuple[str, float], ...] = (
        ("keys", 0.72),
        ("needles", 0.1),
        ("prose", 0.18),
    )
    hard_share: float = 0.3
    letter_values: float = 0.5
    max_value: int = 10
    max_queries: int = 9
    line_queries: int = 2
    question_share: float = 0.25
    extra_share: float = 0.0
    few_keys: float = 1.0


@dataclass(frozen=True, slots=True)
class Entry:
    """A key and its value on a line."""

    line: int
    key: str
    value: str
    text: str
    column: int


class TaskMaker:
    """Makes pages of one geometry.

    Args:
        grid: Style and page size.
        text: Where prose comes from.
        mix: Shares.
        rng: The only source of chance.
    """

    def __init__(self, grid: MonoGrid, text: TextMixture, mix: TaskMix, rng: np.random.Generator):
        self.grid = grid
        self.text = text
        self.mix = mix
        self.rng = rng
        self.special = load_spec().special

    def page(self) -> TaskPage:
        """Return a page of the mixture."""
        kinds = [kind for kind, _ in self.mix.page_weights]
        shares = np.array([share for _, share in self.mix.page_weights])
        kind = kinds[int(self.rng.choice(len(kinds), p=shares / shares.sum()))]
        if kind == "trace" and self.grid.num_columns >= len(TRACE_LINE):
            return self.trace_page()
        if kind in ("prose", "trace"):
            return self.prose_page()
        num_keys = log_uniform(self.rng, self.grid.num_lines, self.mix.few_keys)
        return self.key_page(num_keys, needles=kind == "needles" and needles_fit(self.grid))

    def key_page(
        self,
        num_keys: int,
        *,
        needles: bool = False,
        num_queries: int | None = None,
    ) -> TaskPage:
        """Return a page with keys among prose, asked for by lookup, question and needle queries.

        Args:
            num_keys: Keys on the page, at least 1; the other lines are prose.
            needles: Keys stand in sentences instead of `key: value` lines.
            num_queries: Keys asked for; by default what the mixture says.

        Raises:
            ConfigError: More keys than lines.
        """
        if not 1 <= num_keys <= self.grid.num_lines:
            raise ConfigError(
                f"{num_keys} keys on a page of {self.grid.num_lines} lines; give 1 to "
                f"{self.grid.num_lines}, or a larger page."
            )
        entries = self._entries(num_keys, needles)
        lines = self._fill({entry.line: entry.text for entry in entries}, entries)
        room = self.mix.max_queries if num_queries is None else num_queries
        asked = self.rng.permutation(num_keys)[:room]
        queries = [self.key_query(entries[int(k)], num_keys, needles=needles) for k in asked]
        if num_queries is None:
            extra = self.mix.line_queries if len(queries) > 2 else self.mix.line_queries + 2
            numbers = self.rng.permutation(self.grid.num_lines)[:extra]
            queries += [self.line_query(lines, int(n)) for n in numbers]
            if self.rng.random() < self.mix.extra_share:
                queries.append(self.presence_query(entries))
        return TaskPage(tuple(lines), tuple(queries))

    def prose_page(self) -> TaskPage:
        """Return a page of prose, asked for line by line, now and then as a whole."""
        lines = self._fill({}, [])
        count = min(self.mix.max_queries - 2, self.grid.num_lines)
        numbers = self.rng.permutation(self.grid.num_lines)[:count]
        queries = [self.line_query(lines, int(n)) for n in numbers]
        if self.rng.random() < self.mix.extra_share:
            queries.append(self.read_query(lines))
            quote = self.quote_query(lines)
            queries += [quote] if quote else []
        return TaskPage(tuple(lines), tuple(queries))

    def trace_page(self) -> TaskPage:
        """Return a page where variables get their value from each other."""
        count = min(max(2, log_uniform(self.rng, self.grid.num_lines)), self.grid.num_lines)
        where = sorted(self.rng.permutation(self.grid.num_lines)[:count].tolist())
        names: list[str] = []
        while len(names) < count:
            name = self._letters(string.ascii_uppercase, 3)
            names += [] if name in names else [name]
        value = self._letters(string.digits, 5)
        texts = [f"VAR {names[0]} = {value}"]
        texts += [f"VAR {names[k]} = VAR {names[k - 1]}" for k in range(1, count)]
        lines = self._fill(dict(zip(where, texts, strict=True)), [])
        answer = text_ids("\n".join(names))
        places: list[tuple[int, int] | None] = []
        for line in where:
            places += [(line, 4), (line, 5), (line, 6), None]
        prompt = (self.special("VAR"), *text_ids(value), self.special("VAL"))
        query = Query("trace", prompt, (*answer, self.special("EOS")), tuple(places))
        return TaskPage(tuple(lines), (query,))

    def key_query(self, entry: Entry, num_keys: int, *, needles: bool) -> Query:
        """Return the query for a key: the answer quotes from the key to the end of its line."""
        in_words = self.rng.random() < self.mix.question_share
        prompt = key_prompt(entry.key, needle=needles, in_words=in_words)
        quote = entry.text[entry.column :]
        return Query(
            task="needle" if needles else "question" if in_words else "lookup",
            prompt=prompt.ids,
            answer=(*text_ids(quote), self.special("EOS")),
            places=self._places(entry.line, entry.column, len(quote)),
            key_at=prompt.key_at,
            key_size=prompt.key_size,
            key_place=(entry.line, entry.column),
            num_keys=num_keys,
        )

    def line_query(self, lines: Sequence[str], number: int) -> Query:
        """Return the query that reads line `number`, counted from 0."""
        text = lines[number]
        return Query(
            task="line",
            prompt=line_prompt(number).ids,
            answer=(*text_ids(text), self.special("EOS")),
            places=self._places(number, 0, len(text)),
            key_place=(number, 0),
        )

    def read_query(self, lines: Sequence[str]) -> Query:
        """Return the query that reads the whole page."""
        places: list[tuple[int, int] | None] = []
        for number, text in enumerate(lines):
            places += self._places(number, 0, len(text))
        text = "\n".join(lines)
        return Query(
            task="read",
            prompt=read_prompt().ids,
            answer=(*text_ids(text), self.special("EOS")),
            places=tuple(places),
        )

    def quote_query(self, lines: Sequence[str]) -> Query | None:
        """Return the query that continues a quotation; None when no snippet is unique."""
        # Typographic signs are read as ASCII, so two snippets may differ on paper only.
        lines = [chars_of(char_ids(line)) for line in lines]
        page = "\n".join(lines)
        for number in map(int, self.rng.permutation(len(lines))):
            text = lines[number]
            if len(text) < 16:
                continue
            start = int(self.rng.integers(0, len(text) - 12))
            snippet = text[start : start + 8]
            if page.count(snippet) != 1:
                continue
            end = min(start + 24, len(text))
            return Query(
                task="quote",
                prompt=quote_prompt(snippet).ids,
                answer=(*text_ids(text[start + 8 : end]), self.special("EOS")),
                places=self._places(number, start + 8, end - start - 8),
                key_at=1,
                key_size=8,
                key_place=(number, start),
            )
        return None

    def presence_query(self, entries: Sequence[Entry]) -> Query:
        """Return the query whether a key stands on the page; half of the keys do not."""
        present = self.rng.random() < 0.5
        entry = entries[int(self.rng.integers(len(entries)))]
        key = entry.key if present else self._new_key([e.key for e in entries])
        return Query(
            task="present",
            prompt=presence_prompt(key).ids,
            answer=(self.special("YES" if present else "NO"), self.special("EOS")),
            places=(None, None),
            key_at=1,
            key_size=len(key),
            key_place=(entry.line, entry.column) if present else None,
            num_keys=len(entries),
        )

    def _entries(self, num_keys: int, needles: bool) -> list[Entry]:
        width = self.grid.num_columns
        entries: list[Entry] = []
        for line in self.rng.permutation(self.grid.num_lines)[:num_keys].tolist():
            key = self._new_key([entry.key for entry in entries])
            if needles:
                column = len(NEEDLE_HEAD)
                room = width - column - len(key) - len(NEEDLE_MIDDLE) - 1
                value = self._letters(string.digits, min(7, room))
                text = f"{NEEDLE_HEAD}{key}{NEEDLE_MIDDLE}{value}."
            else:
                column, value = 0, self._value(width - len(key) - 2)
                text = f"{key}: {value}"
            entries.append(Entry(line, key, value, text, column))
        return entries

    def _new_key(self, taken: Sequence[str]) -> str:
        while True:
            key = self._letters(string.ascii_lowercase, int(self.rng.integers(3, 9)))
            if self.rng.random() < 0.25:
                head = int(self.rng.integers(2, 5))
                key = f"{key[:head]}-{key[-4:]}"
            if taken and self.rng.random() < self.mix.hard_share:
                model = taken[int(self.rng.integers(len(taken)))]
                shared = int(self.rng.integers(1, 4))
                key = model[:shared] + key[shared:]
            if key not in taken:
                return key

    def _value(self, room: int) -> str:
        if self.rng.random() < self.mix.letter_values:
            size = min(room, int(self.rng.integers(3, self.mix.max_value + 1)))
            return self._letters(string.ascii_letters + string.digits, size)
        return self._letters(string.digits, min(room, int(self.rng.integers(4, 8))))

    def _fill(self, fixed: dict[int, str], entries: Sequence[Entry]) -> list[str]:
        """Return all lines: the fixed ones, and prose that sometimes begins like a key."""
        count, width = self.grid.num_lines, self.grid.num_columns
        missing = count - len(fixed)
        prose = iter(wrap(self.text.sample(self.rng, missing * width + 1), width, missing))
        lines: list[str] = []
        for number in range(count):
            line = fixed[number] if number in fixed else next(prose, "")
            if number not in fixed and entries and self.rng.random() < 0.3 * self.mix.hard_share:
                model = entries[int(self.rng.integers(len(entries)))]
                line = (model.key[: int(self.rng.integers(1, 3))] + line)[:width]
            lines.append(line.rstrip())
        return lines

    def _letters(self, alphabet: str, size: int) -> str:
        return "".join(alphabet[k] for k in self.rng.integers(0, len(alphabet), size))

    def _places(self, line: int, column: int, size: int) -> tuple[tuple[int, int] | None, ...]:
        """Return the places of `size` characters and of what follows them."""
        end = column + size
        after = (line, end) if end < self.grid.num_columns else None
        return (*((line, c) for c in range(column, end)), after)


def needles_fit(grid: MonoGrid) -> bool:
    """Return whether a needle sentence with a key of 10 letters fits on one line."""
    return grid.num_columns >= len(NEEDLE_HEAD) + 24


def log_uniform(rng: np.random.Generator, most: int, skew: float = 1.0) -> int:
    """Return a whole number from 1 to `most`, uniform on a logarithmic scale.

    Few keys among much prose are then as frequent as pages full of keys.

    Args:
        rng: Source of chance.
        most: Largest number.
        skew: Above 1 favours small numbers.
    """
    return min(most, int(np.exp(rng.random() ** skew * np.log(most + 1))))


def wrap(text: str, width: int, num_lines: int) -> list[str]:
    """Return up to `num_lines` lines of words; a word longer than a line is cut.

    Example:
        >>> wrap("the owl reads", 7, 2)
        ['the owl', 'reads']
    """
    lines: list[str] = []
    line = ""
    for word in text.split():
        while word:
            if line and len(line) + 1 + len(word) <= width:
                line, word = f"{line} {word}", ""
            elif line:
                lines.append(line)
                line = ""
            else:
                line, word = word[:width], word[width:]
        if len(lines) >= num_lines:
            return lines[:num_lines]
    return [*lines, line][:num_lines]
