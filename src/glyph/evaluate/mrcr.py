"""MRCR: find the n-th of several like requests in a long conversation, and repeat its answer.

Conversations are made here in the published record format, or read from it. The conversation
becomes pages; the last request stays text. Pieces are put together from sentence patterns, so
that they differ in words and not in kind: to tell the second poem about otters from the third one
has to count.

Source:
    OpenAI MRCR (huggingface.co/datasets/openai/mrcr); record format and grading as published.
"""

import json
import random
import string
from dataclasses import replace
from pathlib import Path
from typing import Any

from glyph.errors import DocumentError
from glyph.evaluate.data import read_rows
from glyph.evaluate.fitting import fit
from glyph.evaluate.task import Example, LoadedTask, Span, TaskOptions, chosen
from glyph.evaluate.words import adjective, noun

NUM_NEEDLES = (2, 4, 8)
SUBSETS = tuple(f"{number} needles" for number in NUM_NEEDLES)
DEFAULT_LENGTHS = (8192,)
DEFAULT_EXAMPLES = 5
PREFIX_LETTERS = 10
MAX_ANSWER_TOKENS = 1024
BINS = (8_192, 16_384, 32_768, 65_536, 131_072)
FIELDS = ("prompt", "answer", "random_string_to_prepend", "n_needles")
SOURCE = "huggingface.co/datasets/openai/mrcr"

KINDS = ("poem", "short essay", "song", "news article", "speech", "riddle", "letter", "fable")
_VERBS = [
    "carries",
    "follows",
    "forgets",
    "greets",
    "guards",
    "hears",
    "keeps",
    "leaves",
    "paints",
    "remembers",
    "watches",
]
_OPENINGS = {
    "poem": "O {a} {topic}, the {b} {n} {v} you",
    "short essay": "Of all things {a}, the {topic} is what a {b} {n} {v}",
    "song": "Sing, {a} {topic}, sing while the {b} {n} {v} us",
    "news article": "Reports say that a {a} {topic} {v} the {b} {n}",
    "speech": "Friends, no {a} {topic} ever {v} a {b} {n}",
    "riddle": "What {v} a {a} {n} and is no {b} {topic}",
    "letter": "Dear {n}, the {a} {topic} still {v} the {b} house",
    "fable": "Once a {a} {topic} met a {b} {n} that {v} the road",
}
_LINES = (
    "and the {a} {n} {v} a {b} {m}",
    "while every {n} {v} the {a} {m}",
    "because no {a} {n} {v} what the {m} lost",
    "until the {n} by the {a} {m} {v} it again",
    "so that a {b} {m} {v} the {topic}",
)

Message = dict[str, str]


def load(options: TaskOptions) -> LoadedTask:
    """Return conversations: of published files when named, else made here.

    Args:
        options: `data` may hold `.jsonl` or `.parquet` files of the published format; `lengths`
            are those of the conversation, in text tokens.
    """
    subsets = chosen(options.subsets, SUBSETS, "MRCR subset")
    files = [
        file
        for path in options.data
        for file in (sorted(path.iterdir()) if path.is_dir() else [path])
        if file.suffix in (".jsonl", ".parquet")
    ]
    if options.data and not files:
        raise DocumentError(
            f"{options.data[0]} holds no .jsonl or .parquet file. Get MRCR from {SOURCE}, or leave "
            "out --data to have conversations made."
        )
    if files:
        return _read(files, subsets, options)
    lengths = options.lengths or DEFAULT_LENGTHS
    examples = [
        example_of(record, f"mrcr-{record['n_needles']}-{length}-{i}", f"up to {length:,} tokens")
        for subset in subsets
        for length in lengths
        for i in range(options.num_examples or DEFAULT_EXAMPLES)
        for record in [make_record(int(subset.split()[0]), length, options, i)]
    ]
    return LoadedTask("mrcr", tuple(examples), "made-up conversations")


def _read(files: list[Path], subsets: tuple[str, ...], options: TaskOptions) -> LoadedTask:
    examples: list[Example] = []
    skipped: list[str] = []
    counts: dict[str, int] = {}
    for file in files:
        rows, bad = read_rows(file, FIELDS, options.strict)
        skipped += bad
        for i, row in enumerate(rows):
            subset = f"{row['n_needles']} needles"
            enough = counts.get(subset, 0) >= (options.num_examples or len(rows))
            if subset not in subsets or enough:
                continue
            made = example_of(row, f"{file.stem}-{i}", "")
            tokens = options.count(made.context)
            limit = next((each for each in BINS if tokens <= each), None)
            if options.lengths and limit not in options.lengths:
                continue
            counts[subset] = counts.get(subset, 0) + 1
            name = f"up to {limit:,} tokens" if limit else f"above {BINS[-1]:,} tokens"
            examples.append(replace(made, category=name))
    return LoadedTask(
        "mrcr", tuple(examples), ", ".join(each.name for each in files), tuple(skipped)
    )


def example_of(record: dict[str, Any], id: str, category: str) -> Example:
    """Return the example of a record of the published format."""
    messages: list[Message] = (
        json.loads(record["prompt"]) if isinstance(record["prompt"], str) else record["prompt"]
    )
    *conversation, last = messages
    context, starts = _transcript(conversation)
    prefix, answer = record["random_string_to_prepend"], record["answer"]
    wanted = answer.removeprefix(prefix)
    return Example(
        id=id,
        subset=f"{record['n_needles']} needles",
        category=category,
        context=context,
        question=last["content"],
        answers=(answer,),
        metric="prefixed_ratio",
        prefix=prefix,
        evidence=_evidence(conversation, starts, wanted, record.get("desired_msg_index")),
        max_answer_tokens=MAX_ANSWER_TOKENS,
    )


def _transcript(messages: list[Message]) -> tuple[str, list[int]]:
    """Return a conversation as text, and where the words of each message start."""
    parts: list[str] = []
    starts: list[int] = []
    length = 0
    for message in messages:
        head = f"{message['role'].capitalize()}: "
        starts.append(length + len(head))
        part = f"{head}{message['content']}\n\n"
        parts.append(part)
        length += len(part)
    return "".join(parts).rstrip("\n"), starts


def _evidence(
    messages: list[Message], starts: list[int], wanted: str, index: int | None
) -> tuple[Span, ...]:
    numbers = [i for i, message in enumerate(messages) if message["content"] == wanted]
    if not numbers:
        return ()
    number = index if index in numbers else numbers[0]
    return ((starts[number], starts[number] + len(wanted)),)


# -- making ----------------------------------------------------------------------------------


def make_record(num_needles: int, length: int, options: TaskOptions, index: int) -> dict[str, Any]:
    """Return a record in the published format.

    Args:
        num_needles: Requests that differ from each other in nothing but their number.
        length: Text tokens of the conversation, at most.
        options: Seed and counter.
        index: Number of the record.
    """
    generator = random.Random(f"{options.seed}:mrcr:{num_needles}:{length}:{index}")
    kind, topic = generator.choice(KINDS), noun(generator)
    asks = [(kind, topic)] * num_needles
    others = _other_asks((kind, topic), generator)
    needles = [_piece(kind, topic, generator) for _ in asks]
    seed = generator.random()

    def build(number: int) -> list[Message]:
        drawn = random.Random(seed)
        order = [(ask, piece) for ask, piece in zip(asks, needles, strict=True)]
        fillers = [(others[i % len(others)], "") for i in range(number)]
        slots = sorted(drawn.sample(range(number + len(order)), len(order)))
        turns = fillers
        for slot, turn in zip(slots, order, strict=True):
            turns.insert(slot, turn)
        messages: list[Message] = []
        for (its_kind, its_topic), piece in turns:
            messages.append({"role": "user", "content": _request(its_kind, its_topic)})
            text = piece or _piece(its_kind, its_topic, drawn)
            messages.append({"role": "assistant", "content": text})
        return messages

    number = fit(lambda n: _transcript(build(n))[0], length, options.count, 0)
    messages = build(number)
    wanted = generator.randint(1, num_needles)
    prefix = "".join(generator.choices(string.ascii_letters + string.digits, k=PREFIX_LETTERS))
    request = (
        f"Prepend {prefix} to the {_ordinal(wanted)} (1 indexed) {kind} about {topic}s. Do not "
        "include any other text in your response."
    )
    full = [*messages, {"role": "user", "content": request}]
    answer = needles[wanted - 1]
    return {
        "prompt": json.dumps(full),
        "answer": prefix + answer,
        "random_string_to_prepend": prefix,
        "n_needles": num_needles,
        "desired_msg_index": next(i for i, each in enumerate(full) if each["content"] == answer),
        "total_messages": len(full),
        "n_chars": sum(len(each["content"]) for each in full),
    }


def _other_asks(wanted: tuple[str, str], generator: random.Random) -> list[tuple[str, str]]:
    topics = [wanted[1], *dict.fromkeys(noun(generator) for _ in range(24))]
    asks = [(kind, topic) for kind in KINDS for topic in topics if (kind, topic) != wanted]
    generator.shuffle(asks)
    return asks


def _request(kind: str, topic: str) -> str:
    return f"write a {kind} about {topic}s"


def _piece(kind: str, topic: str, generator: random.Random) -> str:
    """Return a piece of writing of 6 to 10 lines."""

    def filled(pattern: str) -> str:
        return pattern.format(
            topic=topic,
            a=adjective(generator),
            b=adjective(generator),
            n=noun(generator),
            m=noun(generator),
            v=generator.choice(_VERBS),
        )

    lines = [filled(_OPENINGS[kind])]
    lines += [filled(generator.choice(_LINES)) for _ in range(generator.randint(5, 9))]
    return ",\n".join(lines) + "."


def _ordinal(number: int) -> str:
    return {1: "first", 2: "second", 3: "third", 4: "fourth", 5: "fifth", 6: "sixth",
            7: "seventh", 8: "eighth"}[number]  # fmt: skip
