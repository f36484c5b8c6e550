"""What the reader can be asked: prompts as vocabulary ids, the same in training and at run time.

A prompt ends with VAL, where the answer starts. Keys may be asked for bare or in words; the tag
before the key says what kind of line it stands on.
"""

from dataclasses import dataclass

from glyph.readers.nano.spec import char_ids, load_spec

VALUE_QUESTION = ("What is the value of ", "?")
NEEDLE_QUESTION = (
    "What is the special magic number for ",
    " mentioned in the provided text?",
)


@dataclass(frozen=True, slots=True)
class Prompt:
    """A question as the network takes it.

    Attributes:
        ids: Vocabulary ids; the last is VAL.
        key_at: Index of the first key id; -1 without a key.
        key_size: Number of key ids.
    """

    ids: tuple[int, ...]
    key_at: int = -1
    key_size: int = 0


def key_prompt(key: str, *, needle: bool = False, in_words: bool = False) -> Prompt:
    """Return the prompt for a key; its answer quotes from the key to the end of its line.

    Args:
        key: As it stands on the page.
        needle: It stands in a sentence, not at the start of a `key: value` line.
        in_words: Ask with a sentence, not with the bare key.

    Example:
        >>> prompt = key_prompt("owl")
        >>> prompt.ids[1:4] == tuple(b"owl"), prompt.key_at, len(prompt.ids)
        (True, 1, 5)
    """
    head, tail = NEEDLE_QUESTION if needle else VALUE_QUESTION
    head, tail = (head, tail) if in_words else ("", "")
    tag = _special("NEEDLE" if needle else "KEY")
    ids = (*text_ids(head), tag, *text_ids(key), *text_ids(tail), _special("VAL"))
    return Prompt(ids, len(head) + 1, len(key))


def line_prompt(number: int) -> Prompt:
    """Return the prompt that reads text line `number` of the page, counted from 0."""
    return Prompt((_special("LINE"), *text_ids(f"{number:02d}"), _special("VAL")))


def read_prompt() -> Prompt:
    """Return the prompt that reads the whole page."""
    return Prompt((_special("READ"), _special("VAL")))


def quote_prompt(snippet: str) -> Prompt:
    """Return the prompt that continues a quotation."""
    return Prompt((_special("QUOTE"), *text_ids(snippet), _special("VAL")), 1, len(snippet))


def presence_prompt(key: str) -> Prompt:
    """Return the prompt whether a key stands on the page; the answer is YES or NO."""
    return Prompt((_special("PRESENT"), *text_ids(key), _special("VAL")), 1, len(key))


def text_ids(text: str) -> tuple[int, ...]:
    """Return the vocabulary id of each character."""
    return tuple(char_ids(text).tolist())


def _special(name: str) -> int:
    return load_spec().special(name)
