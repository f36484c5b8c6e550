"""RULER's tasks, solved again from the context alone by other means, and by the oracle."""

import json
import random
import re
from collections import Counter
from pathlib import Path

import pytest

from glyph.api import make_config
from glyph.errors import ConfigError, DocumentError
from glyph.evaluate import RunSettings, TaskOptions, evaluate, load_task, summarise
from glyph.evaluate.answering import Answerer, BlankAnswerer, OracleAnswerer
from glyph.evaluate.fitting import fit
from glyph.evaluate.ruler import SUBSETS
from glyph.evaluate.showing import Showing
from glyph.evaluate.task import Example, LoadedTask
from glyph.text_tokens import count_text_tokens

LENGTH = 1024


@pytest.fixture(scope="module")
def ruler() -> LoadedTask:
    return load_task("ruler", TaskOptions(lengths=(LENGTH,), num_examples=2))


def examples_of(task: LoadedTask, subset: str) -> list[Example]:
    return [example for example in task.examples if example.subset == subset]


def mean_of(answerer: Answerer, task: LoadedTask, folder: Path) -> dict[str, float]:
    showing = Showing(make_config(), "glm-4.1v", "o200k_base")
    path = folder / f"{answerer.name}.jsonl"
    return summarise(evaluate(task.examples, answerer, showing, path, RunSettings())).scores


def test_a_perfect_reader_scores_100_on_all_13_tasks_and_a_blank_one_0(
    ruler: LoadedTask, tmp_path: Path
) -> None:
    perfect = mean_of(OracleAnswerer(), ruler, tmp_path)
    assert list(perfect) == list(SUBSETS)
    assert set(perfect.values()) == {100.0}
    assert set(mean_of(BlankAnswerer(0), ruler, tmp_path).values()) == {0.0}


@pytest.mark.parametrize("subset", SUBSETS)
def test_contexts_have_the_length_asked_for_and_evidence_is_an_answer(
    ruler: LoadedTask, subset: str
) -> None:
    for example in examples_of(ruler, subset):
        tokens = count_text_tokens(example.context) + count_text_tokens(example.question)
        # A step is one word, sentence or document.
        assert LENGTH - 160 < tokens <= LENGTH
        assert example.evidence
        for start, end in example.evidence:
            assert example.context[start:end] in example.answers


def test_the_same_seed_draws_the_same_and_another_draws_other(ruler: LoadedTask) -> None:
    same = load_task("ruler", TaskOptions(lengths=(LENGTH,), num_examples=2))
    other = load_task("ruler", TaskOptions(lengths=(LENGTH,), num_examples=2, seed=1))
    assert same.examples == ruler.examples
    assert all(a.context != b.context for a, b in zip(ruler.examples, other.examples, strict=True))


def test_needles_are_found_by_their_sentence(ruler: LoadedTask) -> None:
    for example in ruler.examples:
        if not example.subset.startswith("niah"):
            continue
        kind = re.search(r"special magic (number|uuid)", example.question)
        assert kind is not None
        named = example.question.partition(" for ")[2].partition(" mentioned")[0]
        keys = re.split(r", and |, ", named)
        hidden = re.findall(
            rf"One of the special magic {kind[1]}s for ([\w-]+) is: ([\w-]+)\.", example.context
        )
        assert sorted(v for k, v in hidden if k in keys) == sorted(example.answers)


def test_a_chain_of_variables_leads_to_its_answers(ruler: LoadedTask) -> None:
    for example in examples_of(ruler, "vt"):
        wanted = re.search(r"value (\d+)", example.question)
        assert wanted is not None
        values: dict[str, str] = {}
        for name, value in re.findall(r"VAR (\w+) = (?:VAR )?(\w+)", example.context):
            values[name] = values.get(value, value)
        assert tuple(k for k, v in values.items() if v == wanted[1]) == example.answers


def test_common_words_are_the_ten_most_common(ruler: LoadedTask) -> None:
    for example in examples_of(ruler, "cwe"):
        counts = Counter(re.findall(r"\d+\. (\w+)", example.context)).most_common(11)
        assert {word for word, _ in counts[:10]} == set(example.answers)
        assert counts[9][1] > counts[10][1]


@pytest.mark.parametrize("length", [300, 1024, 4096])
def test_frequent_words_are_the_three_most_frequent_after_the_dots(length: int) -> None:
    options = TaskOptions(("fwe",), (length,), 2)
    for example in load_task("ruler", options).examples:
        counts = Counter(example.context.split()).most_common(5)
        assert counts[0][0] == "..."
        assert {word for word, _ in counts[1:4]} == set(example.answers)
        assert counts[3][1] > counts[4][1]


def test_named_squad_and_hotpot_files_take_the_place_of_made_up_documents(tmp_path: Path) -> None:
    squad = {
        "data": [
            {
                "paragraphs": [
                    {
                        "context": f"Town {i} has {i + 100} mills.",
                        "qas": [
                            {
                                "question": f"How many mills has town {i}?",
                                "answers": [{"text": str(i + 100)}],
                            }
                        ],
                    }
                    for i in range(30)
                ]
            }
        ]
    }
    hotpot = [
        {
            "question": "Who rules the land of A?",
            "answer": "Queen B",
            "supporting_facts": [["A", 0], ["B", 0]],
            "context": [["A", ["A lies by the sea."]], ["B", ["Queen B rules."]], ["C", ["No."]]],
        }
    ]
    # An answer that a refusal holds ("not found") is no question of this task.
    hotpot.append({**hotpot[0], "question": "Does B rule?", "answer": "no",
                   "context": [["A", ["A is not far."]], ["B", ["B rules now."]]]})  # fmt: skip
    (tmp_path / "squad.json").write_text(json.dumps(squad))
    (tmp_path / "hotpot.json").write_text(json.dumps(hotpot))
    task = load_task("ruler", TaskOptions(("qa_1", "qa_2"), (400,), 4, (tmp_path,)))
    assert all("How many mills" in example.question for example in task.examples[:4])
    assert {example.answers for example in task.examples[4:]} == {("Queen B",)}
    assert task.source.endswith("squad.json, hotpot.json")


def test_a_json_file_that_is_neither_is_refused_with_its_source(tmp_path: Path) -> None:
    path = tmp_path / "other.json"
    path.write_text("[1, 2]")
    with pytest.raises(DocumentError, match=r"neither a SQuAD nor a HotpotQA file\. Get SQuAD"):
        load_task("ruler", TaskOptions(("qa_1",), (400,), 1, (path,)))


def test_a_length_that_cannot_hold_the_task_is_refused_with_the_least() -> None:
    with pytest.raises(ConfigError, match=r"too short; this task needs at least \d+"):
        load_task("ruler", TaskOptions(("cwe",), (50,), 1))


def test_an_unknown_subset_names_its_neighbours() -> None:
    with pytest.raises(ConfigError, match="unknown RULER subset 'niah_single'; did you mean 'niah"):
        load_task("ruler", TaskOptions(("niah_single",)))


@pytest.mark.parametrize("size", [1, 3, 7])
@pytest.mark.parametrize("budget", [10, 100, 1234, 50_000])
def test_fitting_comes_close_from_below(size: int, budget: int) -> None:
    generator = random.Random(size)
    pieces = ["x" * generator.randint(1, size) for _ in range(60_000)]

    def build(number: int) -> str:
        return "".join(pieces[:number])

    number = fit(build, budget, len, 0, len(pieces))
    assert len(build(number)) <= budget
    is_close = len(build(number)) >= budget * 0.99 - size
    assert is_close or number == len(pieces)
