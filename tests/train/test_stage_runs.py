"""The three stages for real, on two small pages: TRL, checkpoints, metrics, bad input."""

import dataclasses
import json
import multiprocessing
import resource
import signal
from pathlib import Path

import pytest
import tiny
import torch
from safetensors.torch import load_file, save_file
from transformers import Glm4vForConditionalGeneration

from glyph.errors import ConfigError, TrainingError
from glyph.train.config import Stage
from glyph.train.stages import folder
from glyph.train.stages.run import Job, run_stage
from glyph.train.stages.trainers import checkpoints


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture
def texts(tmp_path: Path) -> tuple[Path, ...]:
    for name in ("owl", "kite"):
        (tmp_path / f"{name}.txt").write_text((tiny.TEXT + name) * 30)
    return tuple(sorted(tmp_path.glob("*.txt")))


def _job(stage: Stage, out: Path, texts: tuple[Path, ...], **more) -> Job:
    config = more.pop("config", tiny.smoke())
    return Job(stage=stage, config=config, out=out, sources=texts, **more)


def test_each_stage_begins_from_the_one_before(tmp_path: Path, texts):
    start = None
    for stage in ("cpt", "sft", "grpo"):
        seen: list[int] = []
        job = _job(stage, tmp_path / stage, texts, start=start, steps=2)
        outcome = run_stage(job, lambda step, steps, loss, seen=seen: seen.append(step))
        assert outcome.steps == 2 and seen == [1, 2]
        lines = folder.read_metrics(job.out)
        assert [line["step"] for line in lines] == [1, 2]
        assert outcome.loss_first == lines[0]["loss"]
        panel = (job.out / "panels" / "step-000002.html").read_text()
        assert panel.count("<article>") >= 1 and "data:image/png;base64," in panel
        start = outcome.model
    # What comes out is a plain checkpoint of transformers.
    assert Glm4vForConditionalGeneration.from_pretrained(start).num_parameters() > 6_000_000


@pytest.mark.parametrize("stage", ["sft", "grpo"])
def test_a_resumed_run_has_the_loss_curve_of_an_unbroken_one(tmp_path: Path, texts, stage: Stage):
    config = tiny.smoke(**{stage: {"save_every": 2, "panels": 0}})
    whole = _job(stage, tmp_path / "whole", texts, steps=4, config=config)
    run_stage(whole)
    broken = dataclasses.replace(whole, out=tmp_path / "broken")

    def stop(step: int, steps: int, loss: float) -> None:
        if step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_stage(broken, stop)
    run_stage(dataclasses.replace(broken, resume=True))
    curves = [
        [(line["step"], line["loss"]) for line in folder.read_metrics(job.out)]
        for job in (whole, broken)
    ]
    assert [step for step, _ in curves[1]] == [1, 2, 3, 4]
    for (_, expected), (_, found) in zip(*curves, strict=True):
        assert found == pytest.approx(expected, abs=1e-6)
    ends = [load_file(job.out / "model" / "model.safetensors") for job in (whole, broken)]
    for name, weight in ends[0].items():
        torch.testing.assert_close(ends[1][name], weight, atol=1e-6, rtol=0)


def test_lora_trains_adapters_and_gives_back_a_whole_model(tmp_path: Path, texts):
    config = tiny.smoke(model={"lora_rank": 2}, sft={"panels": 0})
    outcome = run_stage(_job("sft", tmp_path / "lora", texts, steps=2, config=config))
    names = load_file(outcome.model / "model.safetensors")
    assert not any("lora" in name for name in names)
    assert Glm4vForConditionalGeneration.from_pretrained(outcome.model)


def test_a_stage_can_read_the_text_in_place_of_the_pages(tmp_path: Path, texts):
    config = tiny.smoke(model={"context": "text"}, sft={"panels": 0})
    pages = _job("sft", tmp_path / "pages", texts, steps=1, config=tiny.smoke(sft={"panels": 0}))
    text = _job("sft", tmp_path / "text", texts, steps=1, config=config)
    run_stage(pages)
    run_stage(text)
    tokens = [folder.read_metrics(job.out)[0]["num_tokens"] for job in (pages, text)]
    assert tokens[1] > 1.5 * tokens[0]


def test_a_teacher_reads_text_and_the_student_learns_from_pages(tmp_path: Path, texts):
    config = tiny.smoke(sft={"teacher": "self", "panels": 0})
    assert run_stage(_job("sft", tmp_path / "taught", texts, steps=1, config=config)).steps == 1
    wrong = tiny.smoke(sft={"teacher": "an owl", "panels": 0})
    with pytest.raises(Exception, match=r"unknown teacher 'an owl'; teachers: self, openai:MODEL"):
        run_stage(_job("sft", tmp_path / "untaught", texts, steps=1, config=wrong))


# -- bad input -----------------------------------------------------------------------------------


def _hold(out: Path, held, done) -> None:
    with folder.locked(out):
        held.set()
        done.wait(60)


def test_two_runs_on_one_folder_are_refused(tmp_path: Path, texts):
    spawn = multiprocessing.get_context("spawn")
    held, done = spawn.Event(), spawn.Event()
    other = spawn.Process(target=_hold, args=(tmp_path / "out", held, done))
    other.start()
    try:
        assert held.wait(60)
        with pytest.raises(TrainingError, match=r"another run is writing to .*out; wait for it"):
            run_stage(_job("cpt", tmp_path / "out", texts))
    finally:
        done.set()
        other.join(60)


def test_a_folder_with_a_run_is_gone_on_with_only_when_asked(tmp_path: Path):
    folder.begin(tmp_path, {"stage": "cpt", "steps": 4}, resume=False)
    with pytest.raises(TrainingError, match=r"holds a run already; go on with it by --resume"):
        folder.begin(tmp_path, {"stage": "cpt", "steps": 4}, resume=False)
    with pytest.raises(TrainingError, match=r"cannot go on: its steps is 4, now it is 5"):
        folder.begin(tmp_path, {"stage": "cpt", "steps": 5}, resume=True)
    folder.begin(tmp_path, {"stage": "cpt", "steps": 4}, resume=True)


def test_metrics_behind_the_checkpoint_and_half_lines_are_cut_off(tmp_path: Path):
    lines = [json.dumps({"step": step, "loss": 1.0}) for step in (1, 2, 3)]
    (tmp_path / "metrics.jsonl").write_text("\n".join([*lines, '{"step": 4, "lo']))
    folder.keep_metrics(tmp_path, 2)
    assert [line["step"] for line in folder.read_metrics(tmp_path)] == [1, 2]


def test_a_checkpoint_of_another_architecture_is_refused(tmp_path: Path, texts):
    other = tmp_path / "other"
    other.mkdir()
    (other / "config.json").write_text(json.dumps({"architectures": ["LlamaForCausalLM"]}))
    with pytest.raises(TrainingError, match=r"another architecture .LlamaForCausalLM."):
        run_stage(_job("cpt", tmp_path / "out", texts, start=other))
    small = tmp_path / "small"
    tiny.tiny_model().save_pretrained(small)
    with pytest.raises(TrainingError, match=r"hidden_size of its text_config is 32, .* has 256"):
        run_stage(_job("cpt", tmp_path / "out2", texts, start=small))
    with pytest.raises(TrainingError, match=r"holds no model .config.json is missing."):
        run_stage(_job("cpt", tmp_path / "out3", texts, start=tmp_path))


def test_a_loss_that_is_no_number_stops_the_run_and_keeps_the_batch(tmp_path: Path, texts):
    first = run_stage(_job("cpt", tmp_path / "first", texts, steps=1))
    weights = load_file(first.model / "model.safetensors")
    name = "model.language_model.norm.weight"
    weights[name] = torch.full_like(weights[name], torch.nan)
    save_file(weights, first.model / "model.safetensors", metadata={"format": "pt"})
    job = _job("cpt", tmp_path / "nan", texts, start=first.model, steps=2)
    with pytest.raises(TrainingError, match=r"the loss of step 1 is nan; the batch is in .*pt"):
        run_stage(job)
    batch = torch.load(job.out / "nan-batch-1.pt", weights_only=False)
    assert batch["input_ids"].shape[0] == job.config.cpt.device_batch


def _fill(job: Job, limit: int, said) -> None:
    # Writing beyond the limit fails, as on a full disk.
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    def stop(step: int, steps: int, loss: float) -> None:
        if step == 3:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    try:
        run_stage(job, stop)
    except TrainingError as error:
        said.put(str(error))


def test_a_checkpoint_that_cannot_be_written_leaves_the_one_before(tmp_path: Path, texts):
    config = tiny.smoke(cpt={"save_every": 2, "panels": 0})
    job = _job("cpt", tmp_path / "full", texts, steps=4, config=config)
    spawn = multiprocessing.get_context("spawn")
    said = spawn.Queue()
    other = spawn.Process(target=_fill, args=(job, 1_000_000, said))
    other.start()
    message = said.get(timeout=120)
    other.join(60)
    assert "a checkpoint was not saved" in message and "checkpoint-2" in message
    assert [path.name for path in checkpoints(job.out)] == ["checkpoint-2"]
    assert not (job.out / ".unfinished").exists()
    assert run_stage(dataclasses.replace(job, resume=True)).steps == 4


def test_an_unknown_tracker_names_those_there_are(tmp_path: Path, texts):
    with pytest.raises(ConfigError, match=r"unknown tracker 'paper'; trackers: trackio, wandb"):
        run_stage(_job("cpt", tmp_path / "out", texts, track="paper"))
