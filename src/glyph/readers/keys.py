"""Looking up one key in running text: "the special magic number for KEY is VALUE".

A key read from pixels may be off by a letter. Text and key are folded first (letter case, blanks,
the shapes that readers confuse); what is left is searched with a few edits allowed. If k edits
are allowed, one of k + 1 pieces of the key must stand in the text unharmed, so the search costs
one pass over the text and a look around each hit.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

MAX_VALUE_CHARS = 120
MIN_PIECE_CHARS = 3

_FOLDS = str.maketrans(
    {"l": "1", "i": "1", "|": "1", "!": "1", "o": "0", "—": "-", "–": "-", "−": "-", "’": "'"}
)
_BLANK = re.compile(r"\s+")

_KINDS = (
    "number|word|uuid|value|key|code|password|passcode|passphrase|pin|token|id|identifier|hash|"
    "secret|digest|checksum|serial|city|name"
)
_KEY = r"[\"'“‘`]?(?P<keys>.+?)[\"'”’`]?"
_ASKS_MAGIC = re.compile(
    rf"special magic (?P<kind>\w+?)s? for {_KEY}"
    r"(?=\s+(?:that\s+(?:is|are)\s+)?mentioned\b|\s+in the\b|\s*\?|\s*$)",
    re.IGNORECASE,
)
_ASKS_VALUE = re.compile(
    rf"\b(?P<kind>{_KINDS})s? (?:of|for) (?:the )?(?:key |variable |item |entry )?{_KEY}\s*\??\s*$",
    re.IGNORECASE,
)
_IDENTIFIER = re.compile(r"[\w.:/+-]*(?:\d|_|[a-z][A-Z]|\w-\w|[A-Z]{2})[\w.:/+-]*")

_CUE = re.compile(
    r"[\"'”’`)\]]*\s*(?:(?:mentioned|given|stored|found)\b[^.?!]{0,60}?)?"
    r"\s*(?:=>|->|→|:=|==|=|:|,?\s*\b(?:is|are|was|were|equals|reads|be)\b\s*:?)\s*",
    re.IGNORECASE,
)
_VALUE = {
    "number": re.compile(r"[-+]?[\dOolI|][\dOolI|.,:/-]*"),
    "uuid": re.compile(r"[0-9A-Za-z|]{4,}(?:\s?-\s?[0-9A-Za-z|]{2,})+"),
    "any": re.compile(r"[\"“'‘`](?P<quoted>[^\"”’`]+)[\"”'’`]|[^\s,;]+"),
}
_MOSTLY_DIGITS = str.maketrans("OolI|", "00111")


@dataclass(frozen=True, slots=True)
class KeyQuestion:
    """A question for the value of a key.

    Attributes:
        keys: What to look up, as written in the question.
        kind: What the value is: `number`, `uuid` or `any`.
        wants_all: Whether every value is asked for, not one.
    """

    keys: tuple[str, ...]
    kind: str
    wants_all: bool


@dataclass(frozen=True, slots=True)
class KeyHit:
    """A place where a key stands, with the value beside it.

    Attributes:
        key: The key asked for.
        start: First character of the key in the text.
        end: One past the value, or past the key where there is no value.
        value: The value, or "".
        num_edits: Edits between the key as asked and as read; 0 is exact.
    """

    key: str
    start: int
    end: int
    value: str
    num_edits: int


def parse_key_question(question: str) -> KeyQuestion | None:
    """Return the key a question asks about, or None when it is another kind of question.

    Example:
        >>> parse_key_question("What is the value of max_open_files?").keys
        ('max_open_files',)
        >>> parse_key_question("What is the name of the dog?") is None
        True
    """
    first = re.split(r"(?<=\?)\s", question.strip(), maxsplit=1)[0]
    match = _ASKS_MAGIC.search(first)
    if match is None:
        match = _ASKS_VALUE.search(first)
        if match is None or not _IDENTIFIER.fullmatch(match["keys"]):
            return None
    keys = re.split(r",\s*(?:and\s+)?|\s+and\s+", match["keys"].strip())
    kind = match["kind"].lower()
    wants_all = bool(re.search(r"\ball\b", first[: match.start()], re.IGNORECASE)) or len(keys) > 1
    return KeyQuestion(
        tuple(key for key in keys if key), kind if kind in _VALUE else "any", wants_all
    )


def find_key(text: str, key: str, kind: str) -> list[KeyHit]:
    """Return the places where a key has a value, best reading first, in order of the text.

    Args:
        text: Running text.
        key: What to look for.
        kind: `number`, `uuid` or `any`: how the value looks.

    Returns:
        The hits with the fewest edits. Places without a value follow only if no place has one.
    """
    exact = [(m.start(), m.end(), 0) for m in re.finditer(_spelled(key), text)]
    places = exact or list(_folded_places(text, key))
    hits = [_with_value(text, key, kind, place) for place in places]
    hits = [hit for hit in hits if hit.value] or hits
    fewest = min((hit.num_edits for hit in hits), default=0)
    return [hit for hit in hits if hit.num_edits == fewest]


def _spelled(key: str) -> str:
    """Return a pattern for a key spelled as asked; blanks may be any, ends are word ends."""
    body = r"\s+".join(re.escape(part) for part in key.split())
    return rf"(?<![\w-]){body}(?![\w-])"


def _fold(text: str) -> tuple[str, list[int]]:
    """Return text without blanks and confusable shapes, and where each character came from."""
    folded = text.lower().translate(_FOLDS)
    if len(folded) != len(text):  # a letter whose lower case is two characters
        folded = "".join(char.lower()[:1] for char in text).translate(_FOLDS)
    places = [i for i, char in enumerate(folded) if not char.isspace()]
    return _BLANK.sub("", folded), places


def _folded_places(text: str, key: str) -> Iterator[tuple[int, int, int]]:
    """Yield start, end and edits of each place that reads like the key."""
    folded, places = _fold(text)
    wanted, _ = _fold(key)
    max_edits = min(len(wanted) // 6, 3)
    size = max(len(wanted) // (max_edits + 1), 1)
    if not wanted or size < min(MIN_PIECE_CHARS, len(wanted)):
        return
    num_blanks = len(key.split()) - 1
    best: dict[int, tuple[int, int, int]] = {}
    for number in range(max_edits + 1):
        offset = number * size
        piece = wanted[offset : offset + size] if number < max_edits else wanted[offset:]
        at = folded.find(piece)
        while at >= 0:
            found = _fit(folded, wanted, at - offset, max_edits)
            if found is not None and _is_whole(text, places, found):
                start, end = places[found[0]], places[found[1] - 1] + 1
                # A blank that the key does not have is a misread letter too.
                num_edits = found[2] + max(text.count(" ", start, end) - num_blanks, 0)
                if num_edits <= min(max_edits, best.get(start, (0, 0, max_edits))[2]):
                    best[start] = (start, end, num_edits)
            at = folded.find(piece, at + 1)
    last_end = -1
    for start, end, edits in sorted(best.values()):
        if start >= last_end:
            yield start, end, edits
            last_end = end


def _is_whole(text: str, places: list[int], found: tuple[int, int, int]) -> bool:
    """Whether a place is a word of its own, not a part of a longer one."""
    start, end = places[found[0]], places[found[1] - 1] + 1
    before, after = text[start - 1 : start], text[end : end + 1]
    return not (before.isalnum() or after.isalnum())


def _fit(folded: str, wanted: str, start: int, max_edits: int) -> tuple[int, int, int] | None:
    """Return the stretch near `start` that differs least from the key, if within the limit.

    Semi-global edit distance: the stretch may begin and end anywhere in a window.
    """
    low = max(start - max_edits, 0)
    window = folded[low : start + len(wanted) + max_edits]
    edits = [0] * (len(window) + 1)
    begin = list(range(len(window) + 1))
    for i, char in enumerate(wanted, 1):
        diagonal, diagonal_begin = edits[0], begin[0]
        edits[0] = i
        for j, other in enumerate(window, 1):
            choices = (
                (diagonal + (char != other), diagonal_begin),
                (edits[j] + 1, begin[j]),
                (edits[j - 1] + 1, begin[j - 1]),
            )
            diagonal, diagonal_begin = edits[j], begin[j]
            edits[j], begin[j] = min(choices, key=lambda choice: choice[0])
    end = min(range(1, len(edits)), key=lambda j: edits[j], default=0)
    if not end or edits[end] > max_edits or begin[end] >= end:
        return None
    return low + begin[end], low + end, edits[end]


def _with_value(text: str, key: str, kind: str, place: tuple[int, int, int]) -> KeyHit:
    start, end, num_edits = place
    window = text[end : end + MAX_VALUE_CHARS]
    cue = _CUE.match(window)
    if cue is None:
        return KeyHit(key, start, end, "", num_edits)
    value = _VALUE[kind].match(window, cue.end()) or _VALUE["any"].match(window, cue.end())
    if value is None:
        return KeyHit(key, start, end, "", num_edits)
    return KeyHit(key, start, end + value.end(), _cleaned(value, kind), num_edits)


def _cleaned(match: re.Match[str], kind: str) -> str:
    value = match.groupdict().get("quoted") or match.group()
    value = value.strip().rstrip(".,;:!?\"'”’)")
    if kind == "uuid":
        return _BLANK.sub("", value)
    if kind == "number" and sum(char.isdigit() for char in value) * 2 > len(value):
        return value.translate(_MOSTLY_DIGITS)
    return value
