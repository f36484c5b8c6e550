"""Questions over many documents, one or two of which hold the answer (`qa_1`, `qa_2`)."""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from glyph.errors import DocumentError
from glyph.evaluate.fitting import TextBuilder, fit
from glyph.evaluate.task import Example, TaskOptions
from glyph.evaluate.words import adjective, noun

SOURCES = {
    "qa_1": "SQuAD (rajpurkar.github.io/SQuAD-explorer)",
    "qa_2": "HotpotQA (hotpotqa.github.io)",
}
NUM_MADE_UP = 600
INSTRUCTION = (
    "Answer the question based on the given documents. Only give me the answer and do not output "
    "any other words."
)
_SYLLABLES = [
    "ba",
    "bel",
    "cor",
    "dan",
    "der",
    "el",
    "fen",
    "gar",
    "hol",
    "im",
    "jor",
    "kan",
    "lin",
    "mar",
    "nor",
    "os",
    "per",
    "qui",
    "ras",
    "sel",
    "tor",
    "ul",
    "ven",
    "wil",
    "yor",
    "zan",
]


@dataclass(frozen=True, slots=True)
class Question:
    """A question, its answers, and the documents (by number) that hold them."""

    text: str
    answers: tuple[str, ...]
    gold: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Passages:
    """Documents and questions about them."""

    name: str
    documents: tuple[str, ...]
    questions: tuple[Question, ...]


def load_passages(subset: str, options: TaskOptions) -> Passages:
    """Return the documents of a subset: of a named SQuAD or HotpotQA file, or made up.

    Raises:
        DocumentError: A `.json` file is neither.
    """
    wants_hops = subset == "qa_2"
    for path in _json_files(options.data):
        try:
            read: Any = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise DocumentError(f"{path} cannot be read as JSON ({error}); check --data.") from None
        if isinstance(read, dict) and "data" in read:
            if not wants_hops:
                return _squad(path.name, cast("dict[str, Any]", read))
        elif _is_hotpot(read):
            if wants_hops:
                return _hotpot(path.name, cast("list[dict[str, Any]]", read))
        elif path in options.data:
            raise DocumentError(
                f"{path} is neither a SQuAD nor a HotpotQA file. Get {SOURCES[subset]}."
            )
    return _made_up(wants_hops, random.Random(f"{options.seed}:{subset}"))


def _json_files(data: tuple[Path, ...]) -> list[Path]:
    found: list[Path] = []
    for path in data:
        if path.is_dir():
            found += sorted(path.glob("*.json"))
        elif path.suffix == ".json":
            found.append(path)
    return found


def _is_hotpot(read: Any) -> bool:
    rows = cast("list[Any]", read) if isinstance(read, list) else []
    return bool(rows) and isinstance(rows[0], dict) and "supporting_facts" in rows[0]


def _squad(name: str, read: dict[str, Any]) -> Passages:
    documents: dict[str, int] = {}
    questions: list[Question] = []
    for article in read["data"]:
        for paragraph in article["paragraphs"]:
            number = documents.setdefault(paragraph["context"], len(documents))
            for asked in paragraph["qas"]:
                answers = tuple(dict.fromkeys(each["text"] for each in asked["answers"]))
                if answers and not asked.get("is_impossible"):
                    questions.append(Question(asked["question"], answers, (number,)))
    return Passages(name, tuple(documents), tuple(questions))


def _hotpot(name: str, read: list[dict[str, Any]]) -> Passages:
    documents: dict[str, int] = {}
    questions: list[Question] = []
    for row in read:
        own: dict[str, int] = {}
        for title, lines in row["context"]:
            text = f"{title}\n{''.join(lines)}"
            own[title] = documents.setdefault(text, len(documents))
        gold = tuple(dict.fromkeys(own[title] for title, _ in row["supporting_facts"]))
        # Answers that are no words of a document (yes, no) can be guessed, and are left out; "no"
        # would also be found in the words of a refusal.
        is_guess = row["answer"].lower() in ("yes", "no")
        is_span = any(row["answer"] in text for text, at in documents.items() if at in gold)
        if is_guess or not is_span:
            continue
        questions.append(Question(row["question"], (row["answer"],), gold))
    return Passages(name, tuple(documents), tuple(questions))


def _made_up(wants_hops: bool, generator: random.Random) -> Passages:
    """Return notes on invented people and towns; a question of two hops goes through a town."""
    names: dict[str, None] = {}
    while len(names) < 2 * NUM_MADE_UP:
        names["".join(generator.choices(_SYLLABLES, k=3)).title()] = None
    people, towns = list(names)[:NUM_MADE_UP], list(names)[NUM_MADE_UP:]
    documents: list[str] = []
    questions: list[Question] = []
    for person, town in zip(people, towns, strict=True):
        trade, year = noun(generator), str(generator.randint(1500, 1990))
        landmark = f"the {adjective(generator).title()} {noun(generator).title()}"
        documents.append(
            f"{person} was born in the town of {town}. In {year} {person} opened a workshop and "
            f"became known for painting a {trade} on every wall. Visitors still ask for it."
        )
        documents.append(
            f"{town} is a town by the river. Its market is held below {landmark}, the oldest "
            f"building of {town}. Few roads lead there in winter."
        )
        if wants_hops:
            text = f"Below which building is the market of the town held where {person} was born?"
            gold = (len(documents) - 2, len(documents) - 1)
            questions.append(Question(text, (landmark.removeprefix("the "),), gold))
        else:
            text = f"In which year did {person} open a workshop?"
            questions.append(Question(text, (year,), (len(documents) - 2,)))
    return Passages("made-up people and towns", tuple(documents), tuple(questions))


def over_documents(
    passages: Passages,
    length: int,
    count: Callable[[str], int],
    generator: random.Random,
    label: dict[str, str],
) -> Example:
    """Return a question with its documents among as many others as fit, shuffled."""
    asked = generator.choice(passages.questions)
    others = [i for i in range(len(passages.documents)) if i not in asked.gold]
    generator.shuffle(others)
    seed = generator.random()

    def build(number: int) -> TextBuilder:
        shown = [*asked.gold, *others[:number]]
        random.Random(seed).shuffle(shown)
        built = TextBuilder()
        for i, document in enumerate(shown):
            text = passages.documents[document]
            built.add(f"Document {i + 1}:\n")
            found = [answer for answer in asked.answers if answer in text]
            is_gold = document in asked.gold and found
            built.add(text, *((found[0],) if is_gold else ()))
            built.add("\n\n")
        return built

    budget = length - count(f"{INSTRUCTION}\n{asked.text}")
    number = fit(lambda n: build(n).text.rstrip(), budget, count, 0, len(others))
    built = build(number)
    return Example(
        id=label["id"],
        subset=label["subset"],
        category=label["category"],
        context=built.text.rstrip(),
        question=asked.text,
        answers=asked.answers,
        metric="contains_any",
        instruction=INSTRUCTION,
        evidence=tuple(built.marks),
    )
