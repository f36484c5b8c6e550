"""How many misread strings pass unnoticed: answers held against the text, at falling resolution.

    python benchmarks/doubts.py [--examples 40] [--dpi 72,60,52,44] [--reader ocr]

An example is a page of eight lines `key: value` between sentences; one value is asked for. Values
are numbers of 7 digits, hex strings of 12, UUIDs, and names in code. An answer is wrong when it is
not the value letter for letter; it is told when `glyph.ask` raises a doubt about it or finds
nothing; it is silent when it is wrong and nothing is said. Prints a Markdown table.
"""

import argparse
import random
import uuid

import glyph
from glyph.readers import open_reader
from glyph.readers.extract import NOT_FOUND

KINDS = ("number", "hex", "uuid", "name")
SENTENCES = (
    "The lamps along the quay were lit before the boats came in.",
    "Nobody in the house had counted on so long a winter.",
    "She folded the letter twice and put it under the clock.",
)


def value_of(kind: str, rng: random.Random) -> str:
    if kind == "number":
        return str(rng.randrange(10**6, 10**7))
    if kind == "hex":
        return f"{rng.getrandbits(48):012x}"
    if kind == "uuid":
        return str(uuid.UUID(int=rng.getrandbits(128), version=4))
    words = rng.sample(["max", "retry", "page", "index", "Token", "limit", "buffer", "lock"], 3)
    return "_".join(words) + str(rng.randrange(10, 99))


def example_of(kind: str, rng: random.Random) -> tuple[str, str, str]:
    """Return a text, a question and the value it asks for."""
    keys = rng.sample([f"{a}-{b}" for a in ("brass", "tin", "gray", "oak") for b in
                       ("owl", "fox", "hare", "crow")], 8)  # fmt: skip
    values = {key: value_of(kind, rng) for key in keys}
    lines: list[str] = []
    for key, value in values.items():
        lines += [rng.choice(SENTENCES), f"{key}: {value}"]
    asked = rng.choice(keys)
    return "\n".join(lines), f"What is the value of {asked}?", values[asked]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--examples", type=int, default=40, help="Of each kind and resolution.")
    parser.add_argument("--dpi", default="72,60,52,44")
    parser.add_argument("--reader", default="ocr")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    reader = open_reader(args.reader, threads=1)
    print("| dpi | examples | wrong | told as doubt | told the right string | silent |")
    print("|--:|--:|--:|--:|--:|--:|", flush=True)
    for dpi in map(float, args.dpi.split(",")):
        wrong = told = mended = total = 0
        for kind in KINDS:
            rng = random.Random(f"{args.seed} {kind}")
            for _ in range(args.examples):
                text, question, value = example_of(kind, rng)
                asked = glyph.ask(text, question, reader=reader, dpi=dpi)
                total += 1
                if asked.answer.text == value:
                    continue
                wrong += 1
                is_refusal = asked.answer.text.startswith(NOT_FOUND)
                told += bool(asked.doubts) or is_refusal
                mended += any(doubt.nearest == value for doubt in asked.doubts)
        print(f"| {dpi:g} | {total} | {wrong} | {told} | {mended} | {wrong - told} |", flush=True)


if __name__ == "__main__":
    main()
