"""Sources: what is taken in, what is named and left out, and which split a document is in."""

import json
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from glyph.errors import TrainingError
from glyph.train.samples.records import plain
from glyph.train.samples.sources import SPLITS, find_sources, record_of, text_of

PROSE = "The owl sat on the gate. It looked at the moon and said nothing at all.\n"


def write(folder: Path, name: str, text: str | bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_a_folder_gives_its_texts_and_names_what_it_cannot_use(tmp_path: Path):
    write(tmp_path, "a.txt", PROSE)
    write(tmp_path, "deep/b.md", PROSE * 2)
    write(tmp_path, "empty.txt", "")
    write(tmp_path, "picture.png", b"\x89PNG\r\n\x1a\n" + bytes(100))
    write(tmp_path, ".hidden/c.txt", PROSE * 3)
    found = find_sources([tmp_path])
    assert [place.document for place in found.texts] == ["a.txt", "deep/b.md"]
    assert len(found.refused) == 2
    assert any("empty.txt" in s and "is empty" in s for s in found.refused)
    assert any("picture.png" in s and "image" in s for s in found.refused)


def test_an_equal_text_under_another_name_is_left_out(tmp_path: Path):
    write(tmp_path, "a.txt", PROSE)
    write(tmp_path, "b.txt", PROSE)
    found = find_sources([tmp_path])
    assert len(found.texts) == 1
    assert "the same text as a.txt" in found.refused[0]


@pytest.mark.parametrize("content", ["", "  \n"])
def test_sources_of_which_nothing_can_be_used_are_an_error(tmp_path: Path, content: str):
    write(tmp_path, "a.txt", content)
    with pytest.raises(TrainingError, match=r"none of the 1 files .*a\.txt.*SQuAD-like JSON"):
        find_sources([tmp_path])


def test_an_empty_folder_and_a_missing_one_are_told_apart(tmp_path: Path):
    with pytest.raises(TrainingError, match="holds no files"):
        find_sources([tmp_path])
    with pytest.raises(TrainingError, match=r"there is no file or folder .*nowhere"):
        find_sources([tmp_path / "nowhere"])


def test_rows_of_parquet_are_documents_and_are_read_alone(tmp_path: Path):
    texts = [f"Document {k}. {PROSE}" for k in range(7)] + [""]
    table = pyarrow.table({"id": list(range(8)), "text": texts})
    pyarrow.parquet.write_table(table, tmp_path / "t.parquet", row_group_size=3)
    found = find_sources([tmp_path])
    assert [text_of(place) for place in found.texts] == [text for text in texts if text]
    assert "1 records left out" in found.refused[0]


def test_parquet_without_a_column_of_texts_names_its_columns(tmp_path: Path):
    pyarrow.parquet.write_table(pyarrow.table({"pixels": [1, 2]}), tmp_path / "t.parquet")
    with pytest.raises(TrainingError, match=r"no column of texts.*its columns are pixels"):
        find_sources([tmp_path])


def test_lines_of_json_are_texts_or_triples_and_broken_ones_are_counted(tmp_path: Path):
    triple = {"instruction": "Who sat?", "context": PROSE, "response": "<think>gate</think>Owl"}
    lines = [json.dumps({"text": PROSE * 2}), "{broken", json.dumps(triple)]
    lines += [json.dumps({"instruction": "Sing.", "response": "La"}), json.dumps({"other": 1})]
    write(tmp_path, "d.jsonl", "\n".join(lines))
    found = find_sources([tmp_path / "d.jsonl"])
    assert [place.num_chars for place in found.texts] == [len(PROSE * 2)]
    assert record_of(found.triples[0]) == triple
    assert "3 records left out" in found.refused[0]
    assert "no JSON" in found.refused[0]


def test_squad_and_hotpot_files_give_passages(tmp_path: Path):
    answer = {"text": "Owl", "answer_start": 4}
    qas = [{"question": "Who?", "answers": [{"text": "The owl"}, answer]}]
    squad = {"data": [{"title": "t", "paragraphs": [{"context": PROSE, "qas": qas}]}]}
    write(tmp_path, "squad.json", json.dumps(squad))
    hop = [{"question": "Where?", "answer": "gate", "context": [["Owls", [PROSE, PROSE]]]}]
    write(tmp_path, "hotpot.json", json.dumps(hop))
    write(tmp_path, "other.json", json.dumps({"a": 1}))
    found = find_sources([tmp_path])
    passages = {place.document: record_of(place)["passages"][0] for place in found.passages}
    assert passages["squad.json#0"]["questions"] == [{"question": "Who?", "answer": "Owl"}]
    assert passages["hotpot.json#0"]["questions"][0]["answer"] == "gate"
    assert "neither in the form of SQuAD" in found.refused[0]


def test_splits_share_no_document_and_names_do_not_decide(tmp_path: Path):
    for k in range(40):
        write(tmp_path, f"one/{k}.txt", f"{k} {PROSE}")
        write(tmp_path, f"two/renamed-{k}.txt", f"{k} {PROSE}")
    splits = [
        {split: {p.digest for p in found.of_split("text", split, 0.3)} for split in SPLITS}
        for found in (find_sources([tmp_path / "one"]), find_sources([tmp_path / "two"]))
    ]
    assert splits[0] == splits[1]
    assert not splits[0]["train"] & splits[0]["eval"]
    assert len(splits[0]["train"]) + len(splits[0]["eval"]) == 40
    assert 4 <= len(splits[0]["eval"]) <= 20


@pytest.mark.parametrize("share", [0.001, 0.999])
def test_two_documents_give_one_to_each_split(tmp_path: Path, share: float):
    write(tmp_path, "a.txt", PROSE)
    write(tmp_path, "b.txt", PROSE * 2)
    found = find_sources([tmp_path])
    assert [len(found.of_split("text", split, share)) for split in SPLITS] == [1, 1]


def test_a_source_that_changed_is_refused(tmp_path: Path):
    path = write(tmp_path, "a.txt", PROSE)
    (place,) = find_sources([path]).texts
    path.write_text("Something else.")
    with pytest.raises(TrainingError, match="has changed since the run began"):
        text_of(place)


def test_marks_of_pages_and_thoughts_in_a_source_become_words():
    text = "see <image> and <think>no</think>, <|endoftext|> but x<y> stays"
    assert plain(text) == "see < image> and < think>no< /think>, < |endoftext|> but x<y> stays"
    assert "<image>" not in plain(text) and "<think>" not in plain(text)
