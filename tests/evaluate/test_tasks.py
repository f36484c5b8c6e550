"""The other tasks: made here, or read from files written as they are published."""

import json
from pathlib import Path
from typing import Any

import pytest

from glyph.errors import ConfigError, DocumentError
from glyph.evaluate import TaskOptions, load_task, task_names
from glyph.evaluate.metrics import score
from glyph.evaluate.mrcr import make_record
from glyph.evaluate.task import LoadedTask
from glyph.text_tokens import count_text_tokens


def write_lines(path: Path, rows: list[Any]) -> Path:
    path.write_text("\n".join(r if isinstance(r, str) else json.dumps(r) for r in rows) + "\n")
    return path


def test_mrcr_repeats_the_request_that_is_asked_for_and_no_other() -> None:
    task = load_task("mrcr", TaskOptions(lengths=(2048,), num_examples=2))
    assert [example.subset for example in task.examples] == [
        *("2 needles",) * 2, *("4 needles",) * 2, *("8 needles",) * 2
    ]  # fmt: skip
    for example in task.examples:
        number = int(example.subset.split()[0])
        kind_and_topic = example.question.partition("indexed) ")[2].partition(". Do not")[0]
        assert example.context.count(f"User: write a {kind_and_topic}") == number
        (span,) = example.evidence
        piece = example.context[slice(*span)]
        assert example.answers == (example.prefix + piece,)
        assert score(example, example.prefix + piece) == 1.0
        before = example.context[: span[0]]
        ordinals = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth")
        asked = next(i for i, word in enumerate(ordinals, 1) if f" {word} (" in example.question)
        assert before.count(f"User: write a {kind_and_topic}") == asked
        assert 1700 < count_text_tokens(example.context) <= 2048


def test_mrcr_reads_the_published_format_and_names_bad_lines(tmp_path: Path) -> None:
    messages = [
        {"role": "user", "content": "write a poem about tapirs"},
        {"role": "assistant", "content": "Tapirs hum."},
        {"role": "user", "content": "Prepend xY to the 1st (1 indexed) poem about tapirs."},
    ]
    good = {
        "prompt": json.dumps(messages), "answer": "xYTapirs hum.",
        "random_string_to_prepend": "xY", "n_needles": 2, "desired_msg_index": 1,
    }  # fmt: skip
    path = write_lines(tmp_path / "mrcr.jsonl", ["{broken", {"prompt": "[]"}, good])
    task = load_task("mrcr", TaskOptions(data=(path,)))
    (example,) = task.examples
    assert example.context == "User: write a poem about tapirs\n\nAssistant: Tapirs hum."
    assert example.context[slice(*example.evidence[0])] == "Tapirs hum."
    assert [sentence.partition(": ")[0][-6:] for sentence in task.skipped] == ["line 1", "line 2"]
    assert "no field 'answer'" in task.skipped[1]
    with pytest.raises(DocumentError, match="line 1: no JSON"):
        load_task("mrcr", TaskOptions(data=(path,), strict=True))


def test_mrcr_reads_the_published_parquet_as_it_reads_the_same_records_as_lines(
    tmp_path: Path,
) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    rows = [make_record(number, 1024, TaskOptions(), i) for i in range(20) for number in (2, 4)]
    lines = write_lines(tmp_path / "mrcr.jsonl", rows)
    # Two needles stand in two row groups, as in large files.
    parquet.write_table(
        pyarrow.Table.from_pylist(rows), tmp_path / "mrcr.parquet", row_group_size=25
    )
    wanted = load_task("mrcr", TaskOptions(("2 needles",), data=(lines,)))
    found = load_task("mrcr", TaskOptions(("2 needles",), data=(tmp_path / "mrcr.parquet",)))
    assert len(found.examples) == 20
    assert found.examples == wanted.examples
    assert {example.category for example in found.examples} == {"up to 8,192 tokens"}


def test_a_file_that_only_says_it_is_parquet_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    (tmp_path / "mrcr.parquet").write_bytes(b"PAR0 no")
    with pytest.raises(DocumentError, match=r"mrcr\.parquet is no Parquet file"):
        load_task("mrcr", TaskOptions(data=(tmp_path / "mrcr.parquet",)))


def test_needles_stand_at_the_depth_that_their_cell_names() -> None:
    task = load_task("needle", TaskOptions(lengths=(4096,)))
    places = [example.evidence[0][0] / len(example.context) for example in task.examples]
    assert places == pytest.approx([0, 0.25, 0.5, 0.75, 1], abs=0.08)


def test_texts_to_read_have_the_characters_of_their_kind() -> None:
    task = load_task("ocr", TaskOptions(num_examples=1))
    texts = {example.subset: example.context for example in task.examples}
    assert set(texts["digits"]) <= set("0123456789 ")
    assert all(len(each) == 36 for each in texts["uuids"].split())
    assert sum("\u4e00" <= char <= "\u9fff" for char in texts["chinese"]) > 300
    assert "\n" in texts["code"]
    assert all(400 < len(text) < 900 for text in texts.values())


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """Write a folder with one book and questions about it."""
    (tmp_path / "books").mkdir()
    (tmp_path / "qa").mkdir()
    filler = "The rain fell on the hills and the road was long that day. " * 400
    book = filler + "His dog was called Pilot by all. " + filler
    (tmp_path / "books" / "novel.txt").write_text(book)
    at = book.index("Pilot")
    evidence = [{"start": at, "end": at + 5, "text": "Pilot"}]
    rows: list[Any] = [
        {"book": "novel.txt", "question": "What is the dog's name?", "answers": ["Pilot"],
         "evidence": evidence},
        {"book": "novel", "question": "Who wrote it?", "answers": ["nobody"]},
        "[1]",
    ]  # fmt: skip
    write_lines(tmp_path / "qa" / "novel.jsonl", rows)
    return tmp_path


def test_a_window_of_a_book_holds_the_evidence_and_the_length(library: Path) -> None:
    task = load_task("books", TaskOptions(lengths=(300, 1000), data=(library / "qa",)))
    for example, length in zip(task.examples, (300, 1000), strict=True):
        assert example.context[slice(*example.evidence[0])] == "Pilot"
        assert 0.6 * length < count_text_tokens(example.context) <= length + 8
    assert "line 3: not a JSON object" in task.skipped[0]
    assert "1 questions without evidence" in task.skipped[1]


def test_without_lengths_the_whole_book_is_the_context(library: Path) -> None:
    task = load_task("books", TaskOptions(data=(library / "qa",)))
    assert [len(example.context) > 40_000 for example in task.examples] == [True, True]


def test_longbench_divides_the_published_prompt_at_its_context(tmp_path: Path) -> None:
    prompts = {"qasper": "Read.\n{context}\nNow answer.\nQuestion: {input}\nAnswer:"}
    (tmp_path / "dataset2prompt.json").write_text(json.dumps(prompts))
    (tmp_path / "dataset2maxlen.json").write_text('{"qasper": 128}')
    row = {"input": "Why?", "context": "Because.", "answers": "['so', 'thus']", "_id": "1"}
    write_lines(tmp_path / "qasper.jsonl", [row])
    task = load_task("longbench", TaskOptions(data=(tmp_path,)))
    (example,) = task.examples
    assert (example.context, example.question) == ("Because.", "Why?")
    assert example.instruction == "Read.\n\nNow answer.\nQuestion:"
    assert example.answers == ("so", "thus")
    assert example.max_answer_tokens == 128
    assert "LongBench tasks without a file: narrativeqa" in task.skipped[0]
    with pytest.raises(DocumentError, match=r"task .trec. has no file trec\.jsonl"):
        load_task("longbench", TaskOptions(("trec",), data=(tmp_path,)))


def test_longbench_v2_offers_four_choices(tmp_path: Path) -> None:
    row = {"_id": "1", "domain": "Code", "question": "Which?", "context": "c", "answer": "C",
           **{f"choice_{letter}": f"is {letter}" for letter in "ABCD"}}  # fmt: skip
    path = write_lines(tmp_path / "v2.jsonl", [row])
    (example,) = load_task("longbench-v2", TaskOptions(data=(path,))).examples
    assert example.question.endswith("(A) is A\n(B) is B\n(C) is C\n(D) is D")
    assert score(example, "The correct answer is (C)") == 1.0


@pytest.mark.parametrize("name", ["books", "longbench", "longbench-v2", "mmlongbench"])
def test_missing_data_is_refused_with_its_public_source(name: str) -> None:
    with pytest.raises(DocumentError, match=r"--data") as caught:
        load_task(name, TaskOptions())
    assert "Get " in str(caught.value)


def test_an_unknown_task_names_its_neighbours() -> None:
    with pytest.raises(ConfigError, match="unknown task 'longbenhc'; did you mean 'longbench'"):
        load_task("longbenhc", TaskOptions())
    assert "ruler" in task_names()


def shared(name: str, data: tuple[Path, ...]) -> LoadedTask:
    return load_task(name, TaskOptions(num_examples=2, data=data))


def test_the_published_files_are_read(data_folder: Path) -> None:
    longbench = shared("longbench", (data_folder / "longbench",))
    assert {example.subset for example in longbench.examples} == {
        "multi_news", "multifieldqa_zh", "passage_retrieval_zh"
    }  # fmt: skip
    v2 = shared("longbench-v2", (data_folder / "longbench_v2" / "dev.jsonl",))
    assert all(example.answers[0] in example.choices for example in v2.examples)


def test_pages_of_a_pdf_are_on_the_grid_and_its_text_is_found(data_folder: Path) -> None:
    pytest.importorskip("pypdfium2")
    from glyph.api import make_config
    from glyph.evaluate.showing import Showing

    task = shared("mmlongbench", (data_folder / "mmlongbench",))
    assert {example.subset for example in task.examples} == {
        "single-page", "cross-page", "unanswerable"
    }  # fmt: skip
    shown = Showing(make_config(), "glm-4.1v", "o200k_base").pages_of(task.examples[0])
    assert len(shown.pages) > 5
    assert all(p.width_px % 28 == 0 and p.height_px % 28 == 0 for p in shown.pages)
    assert shown.visual_tokens == sum(p.width_px * p.height_px // 784 for p in shown.pages)
    assert shown.text_tokens > 1000
