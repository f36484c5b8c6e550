"""Texts of a generated corpus, so that no test needs files from elsewhere."""

import json
import random
from pathlib import Path

import pytest

from glyph.train.samples.sources import Sources, find_sources

WORDS = [
    "gate",
    "moon",
    "river",
    "stone",
    "quiet",
    "lantern",
    "morning",
    "letter",
    "window",
    "garden",
    "silver",
    "harbour",
    "winter",
    "barley",
    "chapel",
    "meadow",
    "candle",
    "ribbon",
    "thunder",
    "orchard",
    "pebble",
    "willow",
    "saddle",
    "feather",
    "basket",
]


def prose(seed: int, num_sentences: int) -> str:
    """Return sentences of random words, some of them new paragraphs."""
    generator = random.Random(seed)
    sentences: list[str] = []
    for _ in range(num_sentences):
        words = [generator.choice(WORDS) for _ in range(generator.randint(5, 16))]
        sentences.append(" ".join(words).capitalize() + ".")
        sentences.append("\n" if generator.random() < 0.2 else " ")
    return "".join(sentences).strip()


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of texts, SQuAD-like questions and instruction triples."""
    folder = tmp_path_factory.mktemp("corpus")
    for k in range(6):
        (folder / f"text-{k}.txt").write_text(prose(k, 1500))
    articles = []
    for k in range(8):
        context = f"{prose(100 + k, 6)} The keeper of tower {k} is called Brennan{k}."
        answers = [{"text": f"Brennan{k}", "answer_start": context.index(f"Brennan{k}")}]
        qas = [{"question": f"Who keeps tower {k}?", "answers": answers}]
        articles.append({"title": str(k), "paragraphs": [{"context": context, "qas": qas}]})
    (folder / "squad.json").write_text(json.dumps({"data": articles}))
    triples = [
        {
            "instruction": f"Sum up text {k}.",
            "context": prose(200 + k, 8),
            "response": f"<think>It is text {k}.</think>Words about number {k}.",
        }
        for k in range(8)
    ]
    lines = "\n".join(map(json.dumps, triples))
    (folder / "triples.jsonl").write_text(lines)
    return folder


@pytest.fixture(scope="session")
def sources(corpus: Path) -> Sources:
    """Return the sources of the corpus."""
    return find_sources([corpus])
