"""Jobs: complete folders whose flags the engines accept and whose numbers are the configuration's.

Where ms-swift or verl is installed or unpacked, their own argument classes are asked:

    GLYPH_SWIFT_PYTHON=/venv/bin/python   an interpreter that imports ms-swift and this package
    GLYPH_VERL=/folder                    a folder that holds the package verl
"""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from glyph.errors import ConfigError, TrainingError
from glyph.train.config import Stage, TrainConfig, load_config
from glyph.train.emit.job import TAKES, Engine, Order, write_job
from glyph.train.emit.jobs import make_job
from glyph.train.emit.swift import swift_flags
from glyph.train.emit.trl import trl_settings
from glyph.train.emit.verl import verl_overrides
from glyph.train.samples.config import DataConfig
from glyph.train.samples.sources import find_sources
from glyph.train.samples.store import Run, write

ROOT = Path(__file__).parents[3]
JOBS = [(engine, stage) for engine, stages in TAKES.items() for stage in stages]
STAGES: tuple[Stage, ...] = ("cpt", "sft", "grpo")


def order(stage: Stage, engine: Engine = "ms-swift", **fields: Any) -> Order:
    return Order(stage, engine, "glm-4.1v-9b", load_config("glm-4.1v-9b"), **fields)


@pytest.mark.parametrize(("engine", "stage"), JOBS)
def test_a_job_is_whole_and_its_scripts_are_sound(engine: Engine, stage: Stage, tmp_path: Path):
    files = write_job(make_job(order(stage, engine)), tmp_path)
    assert {"run.sh", "make_data.sh", "requirements.txt", "README.md", "config.toml"} <= set(files)
    for script in tmp_path.glob("*.sh"):
        subprocess.run(["bash", "-n", str(script)], check=True)
        assert os.access(script, os.X_OK)
    for script in tmp_path.glob("*.py"):
        compile(script.read_text(), script.name, "exec")
    assert json.loads((tmp_path / "job.json").read_text())["stage"] == stage


@pytest.mark.parametrize("stage", STAGES)
def test_the_configuration_of_a_job_is_the_one_it_was_made_from(stage: Stage, tmp_path: Path):
    write_job(make_job(order(stage)), tmp_path)
    tables = tomllib.loads((tmp_path / "config.toml").read_text())
    assert TrainConfig.from_dict(tables, "job") == load_config("glm-4.1v-9b")


def test_the_papers_numbers_reach_ms_swift():
    cpt, sft, grpo = (swift_flags(order(stage)) for stage in STAGES)
    assert (cpt["max_steps"], cpt["learning_rate"]) == (4000, 2e-6)
    assert (sft["max_steps"], sft["learning_rate"], sft["warmup_steps"]) == (1500, 5e-6, 160)
    assert json.loads(sft["lr_scheduler_kwargs"]) == {"min_lr": 2e-6}
    assert (sft["adam_beta1"], sft["adam_beta2"]) == (0.9, 0.95)
    assert (grpo["max_steps"], grpo["num_generations"]) == (500, 16)
    assert (grpo["epsilon"], grpo["epsilon_high"]) == (0.2, 0.28)
    assert grpo["dynamic_sample"] and grpo["loss_type"] == "dapo" and grpo["beta"] > 0
    for flags, batch in ((cpt, 170), (sft, 32)):
        sequences = 8 // flags["sequence_parallel_size"]
        assert flags["gradient_accumulation_steps"] * sequences == batch
    assert grpo["gradient_accumulation_steps"] * 8 == 32 * 16
    # The engine's own defaults would count loss on prompts too.
    assert cpt["loss_scale"] == sft["loss_scale"] == "default"
    assert cpt["max_length"] > 131_072 and grpo["max_length"] > 32_768


def test_the_papers_numbers_reach_verl_and_trl():
    keys = verl_overrides(order("grpo", "verl"))
    actor = "actor_rollout_ref.actor"
    assert (keys["data.train_batch_size"], keys["actor_rollout_ref.rollout.n"]) == (32, 16)
    assert (keys[f"{actor}.clip_ratio_low"], keys[f"{actor}.clip_ratio_high"]) == (0.2, 0.28)
    assert keys["algorithm.filter_groups.enable"] and keys[f"{actor}.use_kl_loss"]
    told = trl_settings(order("sft", "trl"))
    assert told["arguments"]["gradient_accumulation_steps"] == 32
    assert told["arguments"]["max_length"] is None and told["lora"]["r"] > 0


@pytest.mark.parametrize("stage", STAGES)
def test_trl_takes_the_arguments(stage: Stage, tmp_path: Path):
    trl = pytest.importorskip("trl")
    kind = trl.GRPOConfig if stage == "grpo" else trl.SFTConfig
    told = trl_settings(order(stage, "trl"))["arguments"]
    made = kind(**{**told, "bf16": False, "use_cpu": True}, output_dir=str(tmp_path))
    assert made.max_steps == told["max_steps"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"stage": "sft", "engine": "verl"}, r"verl does not run the stage sft; it runs grpo"),
        ({"stage": "grpo", "num_gpus": 7}, r"batch of 512 cannot be dealt out to 7 sequences"),
        ({"stage": "sft", "num_gpus": 0}, "0 GPUs were given"),
    ],
)
def test_what_an_engine_cannot_do_is_refused(fields: dict[str, Any], message: str):
    with pytest.raises(ConfigError, match=message):
        make_job(order(**fields))


def test_the_nano_reader_needs_no_cluster():
    with pytest.raises(ConfigError, match="trains on two cores with 'glyph train'"):
        make_job(Order("sft", "ms-swift", "nano", load_config("nano")))


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(TrainingError, match="holds files that are no job"):
        write_job(make_job(order("sft")), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


# -- with the engines themselves -----------------------------------------------------------------


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of two texts."""
    folder = tmp_path_factory.mktemp("texts")
    for k in range(4):
        text = " ".join(f"Line {n} of text {k} tells of the river." for n in range(400))
        (folder / f"{k}.txt").write_text(text)
    return folder


@pytest.mark.parametrize("stage", STAGES)
def test_ms_swift_accepts_every_flag_and_loads_the_samples(
    stage: Stage, texts: Path, tmp_path: Path
):
    python = os.environ.get("GLYPH_SWIFT_PYTHON")
    if not python:
        pytest.skip("ms-swift cannot share an environment with TRL: set GLYPH_SWIFT_PYTHON")
    job = tmp_path / "job"
    write_job(make_job(order(stage)), job)
    data = DataConfig(
        families={"interleaved": 1, "fill": 1, "needle": 1},
        presets=("glyph-en-72",),
        max_visual_tokens=1500,
        eval_share=0.3,
    )
    write(Run(find_sources([texts]), data, 0, 9, "ms-swift", 4), job / "data")
    done = subprocess.run(
        [python, str(ROOT / "tools/check_ms_swift_job.py"), str(job)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout[done.stdout.index("{") :])
    assert report["refused"] == [] and report["num_flags"] > 30
    assert report["rows"] == sum(
        len(path.read_text().splitlines()) for path in (job / "data/train").glob("*.jsonl")
    )
    if stage == "grpo":
        assert report["reward_of_right"] > report["reward_of_wrong"]


def test_verl_knows_every_key():
    folder = os.environ.get("GLYPH_VERL")
    if not folder:
        pytest.skip("verl is not there: set GLYPH_VERL to a folder that holds it")
    import yaml

    path = Path(folder) / "verl/trainer/config/_generated_ppo_trainer.yaml"
    tree = yaml.safe_load(path.read_text())
    for key in verl_overrides(order("grpo", "verl")):
        at: Any = tree
        for part in key.split("."):
            assert part in at, key
            at = at[part]
    assert {"train_files", "val_files"} <= set(tree["data"])


def script_of(job: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("emitted_train", job / "train.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_trl_script_says_what_it_takes(tmp_path: Path):
    write_job(make_job(order("sft", "trl")), tmp_path)
    said = subprocess.run(
        [sys.executable, str(tmp_path / "train.py"), "--help"], capture_output=True, text=True
    )
    assert said.returncode == 0 and "--resume" in said.stdout


@pytest.mark.parametrize("stage", ["sft", "grpo"])
def test_the_trl_script_trains_adapters_of_a_small_model(
    stage: Stage, texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The emitted script runs as it is; only the processor, which needs torchvision, is ours."""
    pytest.importorskip("trl")
    from glyph.readers.nano.reader import packaged_model
    from glyph.train.stages.processor import open_processor

    job = tmp_path / "job"
    write_job(make_job(order(stage, "trl")), job)
    data = DataConfig(
        families={"key-value": 1},
        styles=("A",),
        page_sizes_px=((168, 112),),
        min_visual_tokens=24,
        max_visual_tokens=24,
        max_pages=1,
        max_keys=2,
    )
    write(Run(find_sources([texts]), data, 0, 6), job / "data")
    script = script_of(job)
    model = tmp_path / "model"
    shutil.copytree(packaged_model(), model)
    monkeypatch.setattr(
        script, "load_processor", lambda name: open_processor(Path(name), is_nano=True)
    )
    short = {"gradient_accumulation_steps": 2, "logging_steps": 1, "save_steps": 2}
    if stage == "grpo":
        short |= {"num_generations": 2, "max_completion_length": 12}
    script.SETTINGS["arguments"].update(short)
    script.SETTINGS["lora"].update(r=2)
    flags = ["--data", str(job / "data"), "--out", str(job / "output"), "--model", str(model)]
    monkeypatch.setattr(sys, "argv", ["train.py", *flags, "--steps", "2", "--cpu"])
    script.main()
    assert (job / "output/final/adapter_model.safetensors").is_file()
    state = json.loads((job / "output/checkpoint-2/trainer_state.json").read_text())
    losses = [entry["loss"] for entry in state["log_history"] if "loss" in entry]
    assert len(losses) == 2
    if stage == "sft":
        # The reader was taught this very task: were prompt, page or response another than it
        # knows, it would be surprised by every letter.
        assert max(losses) < 0.5
