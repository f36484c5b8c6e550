"""`glyph train data` and `glyph train emit` as one types them."""

import json
from pathlib import Path

from command_line import refusal, run, values
from glyph.train.samples.store import read

CONFIG = """
[data]
presets = ["glyph-en-72"]
max_visual_tokens = 1500
eval_share = 0.25

[data.cpt]
families = { ocr = 1, squad = 1 }

[data.sft]
families = { needle = 1 }
think_share = 1.0
"""


def test_data_makes_a_folder_and_says_what_is_in_it(corpus: Path, tmp_path: Path):
    config = tmp_path / "c.toml"
    config.write_text(CONFIG)
    texts = sorted(corpus.glob("*.txt"))
    told = values(
        "train", "data", *texts, "--out", tmp_path / "out", "--samples", 8, "--seed", 5,
        "--config", config, "--workers", 1,
    )  # fmt: skip
    assert told["samples"] == told["train"] + told["eval"] == 8
    assert told["families"] == {"ocr": 8} and told["left_out"] == ["squad"]
    assert told["documents"] == 6 and told["refused"] == [] and told["seed"] == 5
    read_back = [*read(tmp_path / "out"), *read(tmp_path / "out", "eval")]
    assert sum(sample.visual_tokens for sample in read_back) == told["visual_tokens"]


def test_each_stage_has_its_own_samples(corpus: Path, tmp_path: Path):
    config = tmp_path / "c.toml"
    config.write_text(CONFIG)
    told = values(
        "train", "data", corpus / "text-0.txt", "--out", tmp_path / "out", "--samples", 2,
        "--config", config, "--stage", "sft", "--workers", 1,
    )  # fmt: skip
    assert told["families"] == {"needle": 2}


def test_sources_that_cannot_be_used_are_named_beside_the_result(tmp_path: Path):
    folder = tmp_path / "texts"
    folder.mkdir()
    (folder / "a.txt").write_text("The owl sat on the gate. " * 300)
    (folder / "b.txt").write_text("")
    config = tmp_path / "c.toml"
    config.write_text(CONFIG)
    result = run(
        "train", "data", folder, "--out", tmp_path / "out", "--samples", 1, "--config", config,
        "--workers", 1,
    )  # fmt: skip
    assert result.exit_code == 0
    assert "left out: " in result.stderr and "b.txt is empty" in result.stderr
    assert "nothing is held out" in result.stdout


def test_mistakes_are_one_sentence(corpus: Path, tmp_path: Path):
    asked = ("--out", tmp_path / "out", "--samples", 1, "--workers", 1)
    assert "there is no file or folder" in refusal("train", "data", tmp_path / "no", *asked)
    assert "did you mean 'nano'" in refusal("train", "data", corpus, *asked, "--config", "nanno")
    emit = ("train", "emit", "sft", "--engine", "verl", "--out", tmp_path / "job")
    assert refusal(*emit).startswith("verl does not run the stage sft")


def test_emit_writes_a_job_that_makes_its_own_samples(corpus: Path, tmp_path: Path):
    job = tmp_path / "job"
    told = values("train", "emit", "grpo", "--out", job, "--source", corpus / "text-0.txt")
    assert set(told["files"]) == {path.name for path in job.iterdir()}
    assert told["engine"] == "ms-swift" and told["max_tokens"] % 1024 == 0
    command = (job / "make_data.sh").read_text()
    assert f"--samples {told['samples']}" in command and "--config config.toml" in command
    assert json.loads((job / "zero3.json").read_text())["zero_optimization"]["stage"] == 3
