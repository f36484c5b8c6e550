"""Validation sets: passages of the user's own texts, each with questions one can mark.

Nothing needs labels. A passage is a cut of a text with a few needles (a key and its value) put
between its sentences; what is asked about it is known from the characters themselves. A passage is
rendered once and all its questions are answered from the same pages, so that a reader which
transcribes reads every line once.

| kind | asked | through | scored |
|---|---|---|---|
| readback | the whole passage | transcript | similar |
| first, last, nth | ten words at that place | transcript | similar |
| number, uuid, word | the value of a key | answer | exact |
| cloze | the word that fills a gap | answer | contains |
| crosspage | the value of a key that a page break cuts | answer | exact |
| labelled, written | from a file, or by a language model | answer | contains, or a judge |
"""

import hashlib
import json
import random
import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, cast

from glyph.errors import ConfigError, DocumentError
from glyph.search.scoring import Scoring

MIN_CHARS = 400
"""Shortest text a search can do with: less says nothing about how a reader reads."""

PRICED_CHARS = 40_000
SLICE_WORDS = 10

Via = Literal["answer", "transcript"]
_SENTENCE_END = re.compile(r"(?<=[.!?…。！？])[\"'”’)]*\s+|\n+")
_WORD = re.compile(r"[^\W\d_]{5,}")


@dataclass(frozen=True, slots=True)
class Question:
    """Something to ask about a passage.

    Attributes:
        kind: See the table of the module.
        text: As put to the reader.
        expected: Right answers.
        scoring: How answers are marked.
        via: `answer` asks the question; `transcript` compares what the reader reads aloud.
        place: For slices of a transcript, where they begin, as a share of its words.
    """

    kind: str
    text: str
    expected: tuple[str, ...]
    scoring: Scoring
    via: Via = "answer"
    place: float = 0.0


@dataclass(frozen=True, slots=True)
class Passage:
    """A text to be rendered and the questions about it.

    Attributes:
        text: Rendered as it stands.
        questions: All answered from the same pages.
        straddling: A sentence put over the first page break of `text`; only the lines around the
            break are shown to the reader then. "" for ordinary passages.
    """

    text: str
    questions: tuple[Question, ...]
    straddling: str = ""


@dataclass(frozen=True)
class ValidationSet:
    """What candidates are measured with.

    Attributes:
        passages: In the order in which racing asks them.
        priced_text: The text whose compression is measured.
        source: Where the questions come from, in words.
    """

    passages: tuple[Passage, ...]
    priced_text: str
    source: str

    @cached_property
    def digest(self) -> str:
        """Names the set: a study is continued only with the one it was begun with."""
        return hashlib.sha256(repr((self.passages, self.priced_text)).encode()).hexdigest()[:16]

    @property
    def num_questions(self) -> int:
        """Questions of all passages."""
        return sum(len(passage.questions) for passage in self.passages)


@dataclass(frozen=True, slots=True)
class SetSize:
    """How much is read for a candidate.

    Attributes:
        num_passages: Ordinary passages.
        passage_chars: Characters of each, needles included.
        with_cross_page: Add one passage with a needle on a page break.
    """

    num_passages: int = 4
    passage_chars: int = 200
    with_cross_page: bool = False


SMALL = SetSize()
"""For readers that run on this machine, where a line costs a good part of a second."""

PAGES = SetSize(num_passages=4, passage_chars=1_000)
"""For the small network that comes with the package, which reads some pages in a second."""

LARGE = SetSize(num_passages=8, passage_chars=4_000, with_cross_page=True)
"""For models behind an endpoint, which read a full page as quickly as a line."""


def questions_from_texts(
    texts: Sequence[str], *, size: SetSize = SMALL, seed: int = 0
) -> ValidationSet:
    """Build a validation set from texts without labels.

    Args:
        texts: The user's texts; together at least `MIN_CHARS` characters.
        size: How much is read for a candidate.
        seed: Of the cuts and needles; equal seeds give equal sets.

    Raises:
        DocumentError: The texts are too short.

    Example:
        >>> found = questions_from_texts(["Every patient teacher watched another bridge. " * 20])
        >>> sorted({question.kind for passage in found.passages for question in passage.questions})
        ['cloze', 'first', 'last', 'nth', 'number', 'readback', 'uuid', 'word']
    """
    check_texts(texts)
    draw = random.Random(f"glyph-validation-{seed}")
    kinds = (("number", "word"), ("uuid", "number"))
    passages = [
        _passage(draw, texts, size.passage_chars, kinds[i % 2], ("first", "last", "nth")[i % 3])
        for i in range(size.num_passages)
    ]
    if size.with_cross_page:
        passages.append(_cross_page(draw, texts))
    return ValidationSet(tuple(passages), priced_part(texts), "generated from the texts")


def priced_part(texts: Sequence[str]) -> str:
    """Return the part of the texts whose compression is measured: an equal share of each."""
    share = PRICED_CHARS // max(len(texts), 1)
    return "\n\n".join(text.strip()[:share] for text in texts if text.strip())


def questions_from_jsonl(
    lines: str, texts: Sequence[str], *, size: SetSize = SMALL, where: str = "questions"
) -> ValidationSet:
    """Build a validation set from labelled questions.

    Each line holds `question` and `answers`, and may hold `context`, the passage itself. Without
    one, the passage is the surroundings of an answer in the texts: of all places where an answer
    stands, the one that shares most words with the question.

    Args:
        lines: The JSONL.
        texts: Searched for answers, and priced.
        size: Bounds how many questions are used and how long passages are.
        where: The file, for messages.

    Raises:
        DocumentError: A line is not such an object, or its answers stand nowhere.
    """
    passages: list[Passage] = []
    contexts: list[str] = []
    for number, line in enumerate(lines.splitlines(), 1):
        if not line.strip() or len(passages) >= 4 * size.num_passages:
            continue
        question, answers, context = _labelled(line, f"{where}, line {number}")
        contexts.append(context)
        passage = context or _surroundings(question, answers, texts, size.passage_chars)
        if not passage:
            raise DocumentError(
                f"{where}, line {number}: none of the answers {list(answers)} stands in the texts. "
                "Add a 'context' with the passage that holds it."
            )
        passages.append(Passage(passage, (Question("labelled", question, answers, "contains"),)))
    if not passages:
        raise DocumentError(f"{where} holds no question; give lines with 'question', 'answers'.")
    priced = priced_part(texts or contexts)
    return ValidationSet(tuple(passages), priced, f"labelled questions of {where}")


# -- passages --------------------------------------------------------------------------------


def check_texts(texts: Sequence[str]) -> None:
    """Refuse texts that are too short to ask about.

    Raises:
        DocumentError: They hold fewer than `MIN_CHARS` characters together.
    """
    num_chars = sum(len(text.strip()) for text in texts)
    if num_chars < MIN_CHARS:
        raise DocumentError(
            f"the texts hold {num_chars} characters; a search needs at least {MIN_CHARS} to ask "
            "about. Give longer texts, or more of them."
        )


def _passage(
    draw: random.Random, texts: Sequence[str], num_chars: int, needles: tuple[str, ...], place: str
) -> Passage:
    asked = [_needle(draw, kind) for kind in needles]
    room = max(num_chars - sum(len(sentence) + 1 for sentence, _ in asked), 60)
    body = cut_of(draw, texts, room)
    pieces = _SENTENCE_END.split(body)
    cloze = _cloze(draw, pieces)
    for sentence, _ in asked:
        # Never in front: the passage's first words belong to the text.
        pieces.insert(draw.randint(1, len(pieces)), sentence)
    text = " ".join(piece for piece in pieces if piece)
    if "\n" in body:
        # Paragraphs of the text are kept, since line breaks are what ratios are lost to.
        middle = len(pieces) // 2
        text = " ".join(pieces[:middle]) + "\n" + " ".join(pieces[middle:])
    text = text.strip()
    questions = [
        Question("readback", "", (text,), "similar", via="transcript"),
        _slice(draw, text, place),
        *(question for _, question in asked),
        *([cloze] if cloze else []),
    ]
    return Passage(text, tuple(questions))


def cut_of(draw: random.Random, texts: Sequence[str], num_chars: int) -> str:
    """Return about `num_chars` of one of the texts, from a word's start to a word's end."""
    text = draw.choices(texts, weights=[len(text.strip()) for text in texts])[0].strip()
    start = draw.randrange(max(len(text) - num_chars, 0) + 1)
    if start:
        sentence = _SENTENCE_END.search(text, start, min(start + 400, len(text) - num_chars))
        start = sentence.end() if sentence else text.find(" ", start, start + 40) + 1 or start
    cut = text[start : start + num_chars]
    if start + num_chars < len(text) and " " in cut[num_chars // 2 :]:
        cut = cut[: cut.rfind(" ")]
    return cut.strip()


def _needle(draw: random.Random, kind: str) -> tuple[str, Question]:
    key = f"{draw.choice(_THINGS)}-{draw.randint(100, 999)}"
    value = {
        "number": lambda: str(draw.randint(1_000_000, 9_999_999)),
        "uuid": lambda: str(uuid.UUID(int=draw.getrandbits(128), version=4)),
        "word": lambda: draw.choice(_WORDS),
    }[kind]()
    sentence = f"The special magic {kind} for {key} is: {value}."
    question = f"What is the special magic {kind} for {key} mentioned in the text?"
    return sentence, Question(kind, question, (value,), "exact")


def _cloze(draw: random.Random, pieces: Sequence[str]) -> Question | None:
    """Ask for a word of the longest sentence, given the rest of it; None where none is long."""
    sentence = max(pieces, key=len).strip()[:160]
    words = [match for match in _WORD.finditer(sentence) if match.start() > 0]
    if len(words) < 3:
        return None
    gap = draw.choice(words)
    shown = f"{sentence[: gap.start()]}____{sentence[gap.end() :]}"
    text = f"Which word stands at the gap in this sentence of the text: {shown}"
    return Question("cloze", text, (gap.group(),), "contains")


def _slice(draw: random.Random, text: str, place: str) -> Question:
    words = text.split()
    last = max(len(words) - SLICE_WORDS, 0)
    start = {"first": 0, "last": last, "nth": draw.randint(0, last)}[place]
    expected = " ".join(words[start : start + SLICE_WORDS])
    share = start / max(last, 1)
    return Question(place, f"words {start + 1} on", (expected,), "similar", "transcript", share)


def _cross_page(draw: random.Random, texts: Sequence[str]) -> Passage:
    sentence, asked = _needle(draw, "number")
    question = Question("crosspage", asked.text, asked.expected, asked.scoring)
    return Passage(cut_of(draw, texts, PRICED_CHARS // 4), (question,), straddling=sentence)


# -- labelled questions ----------------------------------------------------------------------


def _labelled(line: str, where: str) -> tuple[str, tuple[str, ...], str]:
    try:
        parsed = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DocumentError(f"{where} is no JSON: {error}.") from None
    values = cast(dict[str, Any], parsed) if isinstance(parsed, dict) else {}
    question, answers = values.get("question"), values.get("answers")
    given = cast(list[Any], answers) if isinstance(answers, list) else []
    right = tuple(answer for answer in given if isinstance(answer, str) and answer.strip())
    if not isinstance(question, str) or not question.strip() or not right:
        raise DocumentError(
            f"{where} needs 'question', a text, and 'answers', a list of texts; "
            f"given was {line.strip()[:80]!r}."
        )
    context = values.get("context", "")
    if not isinstance(context, str):
        raise DocumentError(f"{where}: 'context' is no text.")
    return question, right, context


def _surroundings(
    question: str, answers: Sequence[str], texts: Sequence[str], num_chars: int
) -> str:
    asked = {word.casefold() for word in re.findall(r"\w{4,}", question)}
    best, best_shared = "", -1
    for text in texts:
        for answer in answers:
            for match in re.finditer(re.escape(answer), text, re.IGNORECASE):
                half = max(num_chars - len(answer), 0) // 2
                start = max(match.start() - half, 0)
                passage = text[start : match.end() + half].strip()
                words = {word.casefold() for word in re.findall(r"\w{4,}", passage)}
                if len(asked & words) > best_shared:
                    best, best_shared = passage, len(asked & words)
    return best


def check_size(size: SetSize) -> None:
    """Refuse sizes that measure nothing.

    Raises:
        ConfigError: No passage, or passages too short for a needle.
    """
    if size.num_passages < 1:
        raise ConfigError(f"num_passages is {size.num_passages}; at least 1 is accepted.")
    if size.passage_chars < 160:
        raise ConfigError(
            f"passage_chars is {size.passage_chars}; at least 160 are needed for the needles."
        )


_THINGS = ("lamp", "harbour", "meadow", "engine", "bridge", "copper", "lantern", "orchard")
_WORDS = (
    *("quartz", "velvet", "thunder", "saffron", "glacier", "pelican", "juniper", "cobalt"),
    *("walnut", "mirage", "falcon", "cinder", "harvest", "violin", "tundra", "beacon"),
)
