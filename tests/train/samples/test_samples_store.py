"""Folders of samples: other programs read them, runs resume to the same bytes, nothing is lost."""

import io
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from PIL import Image

from glyph.errors import TrainingError
from glyph.train.samples.build import samples
from glyph.train.samples.config import DataConfig
from glyph.train.samples.sample import IMAGE_MARK, Sample
from glyph.train.samples.sources import Sources, find_sources
from glyph.train.samples.store import Run, read, read_manifest, write
from glyph.train.samples.writers import FormatName

DATA = DataConfig(
    families={"ocr": 1, "fill": 1, "key-value": 1},
    presets=("glyph-en-72",),
    max_visual_tokens=1500,
    eval_share=0.3,
)


def run(sources: Sources, number: int = 10, format: FormatName = "parquet", **fields: int) -> Run:
    values = {"seed": 0, "block_samples": 4, **fields}
    return Run(sources, DATA, num_samples=number, format=format, **values)


def files(folder: Path) -> dict[str, bytes]:
    """Return every file but the lock, by name."""
    found = (path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(found)}


def expected(sources: Sources, split: str, number: int = 10) -> list[Sample]:
    return [one for side, one in samples(sources, DATA, 0, stop=number) if side == split]


@pytest.mark.parametrize("split", ["train", "eval"])
def test_what_is_written_is_read_back(sources: Sources, tmp_path: Path, split: str):
    manifest = write(run(sources), tmp_path)
    assert list(read(tmp_path, split)) == expected(sources, split)  # type: ignore[arg-type]
    assert manifest["complete"] and manifest["samples"] == 10
    assert manifest[split] == len(expected(sources, split)) > 0


def test_datasets_reads_the_folder_with_its_pages_as_images(sources: Sources, tmp_path: Path):
    datasets = pytest.importorskip("datasets")
    write(run(sources), tmp_path / "out")
    data = datasets.load_dataset(
        "parquet",
        data_files=[str(path) for path in sorted((tmp_path / "out/train").glob("*.parquet"))],
        split="train",
        cache_dir=str(tmp_path / "cache"),
    )
    wanted = expected(sources, "train")
    assert data["prompt"] == [sample.prompt for sample in wanted]
    for row, sample in zip(data, wanted, strict=True):
        sizes = [Image.open(io.BytesIO(png)).size for png in sample.images]
        assert [page.size for page in row["images"]] == sizes
        assert tuple(row["answers"]) == sample.answers


def test_ms_swift_lines_name_their_pages_in_order(sources: Sources, tmp_path: Path):
    write(run(sources, format="ms-swift"), tmp_path)
    wanted = expected(sources, "train")
    lines = [
        json.loads(line)
        for path in sorted((tmp_path / "train").glob("*.jsonl"))
        for line in path.read_text().splitlines()
    ]
    for row, sample in zip(lines, wanted, strict=True):
        user, assistant = row["messages"]
        assert user["content"].count(IMAGE_MARK) == len(sample.images)
        assert user["content"].replace(IMAGE_MARK, "") == sample.prompt.replace(IMAGE_MARK, "")
        assert assistant == {"role": "assistant", "content": sample.completion}
        assert tuple((tmp_path / path).read_bytes() for path in row["images"]) == sample.images


def test_tar_files_hold_the_samples_and_nothing_of_this_machine(sources: Sources, tmp_path: Path):
    write(run(sources, format="webdataset"), tmp_path)
    found: dict[str, dict[str, bytes]] = {}
    for path in sorted((tmp_path / "train").glob("*.tar")):
        with tarfile.open(path) as tar:
            for entry in tar:
                assert (entry.uid, entry.gid, entry.uname, entry.mtime) == (0, 0, "", 0)
                key, _, extension = entry.name.partition(".")
                held = tar.extractfile(entry)
                assert held is not None
                found.setdefault(key, {})[extension] = held.read()
    for sample in expected(sources, "train"):
        entries = found.pop(sample.id)
        record = json.loads(entries.pop("json"))
        assert tuple(entries[name] for name in sorted(entries)) == sample.images
        assert (record["prompt"], record["completion"]) == (sample.prompt, sample.completion)
    assert not found


def test_verl_files_hold_messages_pages_and_ground_truths(sources: Sources, tmp_path: Path):
    write(run(sources, format="verl"), tmp_path)
    table = pyarrow.concat_tables(
        pyarrow.parquet.read_table(path) for path in sorted((tmp_path / "train").glob("*.parquet"))
    )
    for row, sample in zip(table.to_pylist(), expected(sources, "train"), strict=True):
        assert row["prompt"][0]["content"].count(IMAGE_MARK) == len(sample.images)
        assert tuple(page["bytes"] for page in row["images"]) == sample.images
        assert row["reward_model"]["ground_truth"] == sample.completion
        assert row["extra_info"]["answers"] == list(sample.answers)
    with pytest.raises(TrainingError, match="in the format verl"):
        list(read(tmp_path))


@pytest.mark.parametrize("format", ["parquet", "ms-swift", "webdataset"])
def test_a_run_that_was_stopped_ends_in_the_same_bytes(
    sources: Sources, tmp_path: Path, format: FormatName
):
    write(run(sources, format=format), tmp_path / "straight")
    stopped = tmp_path / "stopped"

    def stop(number: int) -> None:
        if number >= 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(run(sources, format=format), stopped, on_samples=stop)
    assert not read_manifest(stopped)["complete"]
    kept = {name: data for name, data in files(stopped).items() if name != "manifest.json"}
    assert kept
    write(run(sources, format=format), stopped)
    assert files(stopped) == files(tmp_path / "straight")
    assert kept.items() <= files(stopped).items()


def test_more_samples_are_added_to_those_that_are_there(sources: Sources, tmp_path: Path):
    write(run(sources, 6), tmp_path / "grown")
    write(run(sources, 10), tmp_path / "grown")
    write(run(sources, 10), tmp_path / "straight")
    assert files(tmp_path / "grown") == files(tmp_path / "straight")


def test_the_number_of_processes_changes_nothing(sources: Sources, tmp_path: Path):
    write(run(sources), tmp_path / "one")
    write(run(sources), tmp_path / "two", workers=2)
    assert files(tmp_path / "one") == files(tmp_path / "two")


def test_another_seed_or_other_settings_are_refused_and_nothing_changes(
    sources: Sources, tmp_path: Path
):
    write(run(sources, 4), tmp_path)
    before = files(tmp_path)
    with pytest.raises(TrainingError, match=r"other settings: seed is 0 there and 1 now"):
        write(run(sources, 4, seed=1), tmp_path)
    other = DataConfig(families={"ocr": 1}, presets=("glyph-en-96",))
    with pytest.raises(TrainingError, match=r"families is .* there and .* now"):
        write(Run(sources, other, 0, 4, block_samples=4), tmp_path)
    with pytest.raises(TrainingError, match="format is parquet there and verl now"):
        write(run(sources, 4, "verl"), tmp_path)
    assert files(tmp_path) == before


def test_changed_sources_are_refused(tmp_path: Path):
    (tmp_path / "a.txt").write_text("The owl sat on the gate. " * 400)
    out = tmp_path / "out"
    write(run(find_sources([tmp_path / "a.txt"]), 2), out)
    (tmp_path / "a.txt").write_text("The owl sat on the roof. " * 400)
    with pytest.raises(TrainingError, match=r"sources is .* there"):
        write(run(find_sources([tmp_path / "a.txt"]), 2), out)


def test_a_folder_of_something_else_is_left_alone(sources: Sources, tmp_path: Path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(TrainingError, match=r"no samples, such as thesis\.txt"):
        write(run(sources, 2), tmp_path)
    assert files(tmp_path) == {"thesis.txt": b"mine"}


def test_two_runs_on_one_folder_do_not_mix(sources: Sources, tmp_path: Path):
    def again(number: int) -> None:
        with pytest.raises(TrainingError, match="another run is writing to"):
            write(run(sources, 4), tmp_path)

    write(run(sources, 4), tmp_path, on_samples=again)
    assert len(list(read(tmp_path))) == len(expected(sources, "train", 4))


FULL = """
import resource, sys
from pathlib import Path
from glyph.errors import TrainingError
from glyph.train.samples.config import DataConfig
from glyph.train.samples.sources import find_sources
from glyph.train.samples.store import Run, write
data = DataConfig(**{data!r})
run = Run(find_sources([{corpus!r}]), data, 0, 10, "parquet", 4)
def told(number):
    if number == 4:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
try:
    write(run, Path({out!r}), on_samples=told)
except TrainingError as error:
    print(error)
    sys.exit(7)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="limits of file sizes are a matter of Unix")
def test_a_full_disk_is_an_error_that_keeps_finished_blocks(
    sources: Sources, corpus: Path, tmp_path: Path
):
    """The system refuses every file above two kilobytes after the first block."""
    out = tmp_path / "out"
    script = FULL.format(data=DATA.to_dict(), corpus=str(corpus), out=str(out))
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=os.environ
    )
    assert done.returncode == 7, done.stderr
    assert "cannot write to" in done.stdout and "goes on after it" in done.stdout
    kept = {name: data for name, data in files(out).items() if name.endswith(".parquet")}
    assert {Path(name).stem for name in kept} == {"00000"}
    assert not [name for name in files(out) if "partial" in name]
    write(run(sources), out)
    write(run(sources), tmp_path / "straight")
    assert files(out) == files(tmp_path / "straight")


def test_files_that_hold_no_samples_are_refused_with_their_columns(tmp_path: Path):
    path = tmp_path / "p.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"text": ["a"]}), path)
    with pytest.raises(TrainingError, match=r"has no column 'id'.*its columns are text"):
        list(read(path))
    path.write_bytes(b"no parquet")
    with pytest.raises(TrainingError, match="is no Parquet file of samples"):
        list(read(path))
    with pytest.raises(TrainingError, match="is no folder of samples"):
        list(read(tmp_path))


def test_a_file_without_its_image_column_is_refused(sources: Sources, tmp_path: Path):
    write(run(sources, 4), tmp_path / "out")
    path = next((tmp_path / "out/train").glob("*.parquet"))
    table = pyarrow.parquet.read_table(path)
    pyarrow.parquet.write_table(table.drop_columns(["images"]), tmp_path / "p.parquet")
    with pytest.raises(TrainingError, match="has no column 'images'"):
        list(read(tmp_path / "p.parquet"))
    flat = table.drop_columns(["images"]).append_column("images", [["x"] * len(table)])
    pyarrow.parquet.write_table(flat, tmp_path / "q.parquet")
    with pytest.raises(TrainingError, match=r"the column 'images' .* holds string"):
        list(read(tmp_path / "q.parquet"))
