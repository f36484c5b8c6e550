"""What each training stage is worth to the nano reader: `python benchmarks/training.py --out DIR`.

    chain      shipped checkpoint -> CPT -> SFT -> GRPO, held-out scores after each
    ablations  SFT, GRPO or both without transcription, no GRPO: the paper's Table 6 in form
    text       the same network on text tokens, equal data and steps
    speed      a few steps each on pages and on text: seconds, tokens, peak memory

Training texts and held-out books differ, and so do their keys. Runs can be stopped at any moment;
the same command goes on. --scale shortens all schedules by one factor, --only names phases.
"""

import argparse
import dataclasses
import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from glyph.evaluate.summary import wilson_interval
from glyph.probe import bootstrap_interval
from glyph.train.config import Stage, TrainConfig, load_config
from glyph.train.samples.sample import Sample

TRAIN_BOOKS = ("adventures_of_sherlock_holmes", "picture_of_dorian_gray")
HELD_OUT_BOOKS = ("jane_eyre", "pride_and_prejudice")
TASKS = ("ocr", "key-value", "needle", "multi-hop")
EVAL_SEED = 2026
MAX_TOKENS = {"ocr": 200}
MAX_ANSWER_TOKENS = 64
AT_ONCE = 128


@dataclass(frozen=True)
class Phase:
    """One training, and what follows it: its scores.

    Attributes:
        name: Folder of the run.
        stage: Which stage; None only scores the shipped checkpoint.
        after: Phase it begins from; "" for the shipped checkpoint.
        without_ocr: Leave transcription out of the mixture.
        context: Pages, or the same text.
        timed_steps: Only measure how fast so many steps are; 0 trains and scores.
    """

    name: str
    stage: Stage | None
    after: str = ""
    without_ocr: bool = False
    context: str = "pages"
    timed_steps: int = 0


PHASES = (
    Phase("shipped", None),
    Phase("cpt", "cpt"),
    Phase("sft", "sft", "cpt"),
    Phase("grpo", "grpo", "sft"),
    Phase("sft-text", "sft", "cpt", context="text"),
    Phase("grpo-without-ocr", "grpo", "sft", without_ocr=True),
    Phase("sft-without-ocr", "sft", "cpt", without_ocr=True),
    Phase("grpo-all-without-ocr", "grpo", "sft-without-ocr", without_ocr=True),
    Phase("speed-pages", "sft", timed_steps=10),
    Phase("speed-text", "sft", context="text", timed_steps=10),
)


def main() -> None:
    given = _arguments()
    out: Path = given.out
    figures = json.loads((out / "figures.json").read_text()) if given.resume_figures(out) else {}
    for phase in PHASES:
        if phase.name in figures or (given.only and phase.name not in given.only):
            continue
        figures[phase.name] = run_phase(
            phase, out, given.config, given.scale, given.num, given.data
        )
        (out / "figures.json").write_text(json.dumps(figures, indent=1) + "\n")
        print(_line(phase.name, figures[phase.name]), flush=True)
    if given.json:
        given.json.write_text(json.dumps(figures, indent=1) + "\n")
    print(table(figures))


def run_phase(
    phase: Phase, out: Path, config_name: str, scale: float, num: int, data: Path
) -> dict[str, Any]:
    """Train a phase and return its figures."""
    import torch

    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    config = _config(load_config(config_name), phase)
    figures: dict[str, Any] = {"phase": dataclasses.asdict(phase)}
    folder = out / phase.name
    if phase.stage is not None:
        done = folder / "trained.json"
        if not done.is_file():
            trained = _train(phase, config, out, scale, data)
            done.write_text(json.dumps(trained, indent=1) + "\n")
        figures["training"] = json.loads(done.read_text())
    if phase.timed_steps:
        return figures
    start = folder / "model" if phase.stage else None
    figures["scores"] = held_out_scores(config, start, num, data)
    return figures


def _train(
    phase: Phase, config: TrainConfig, out: Path, scale: float, data: Path
) -> dict[str, Any]:
    from glyph.train.stages.folder import read_metrics
    from glyph.train.stages.run import Job, run_stage

    assert phase.stage is not None
    folder = out / phase.name
    steps = phase.timed_steps or max(int(config.stage(phase.stage).steps * scale), 2)
    job = Job(
        stage=phase.stage,
        config=config,
        out=folder,
        sources=tuple(data / "books" / f"{name}.txt" for name in TRAIN_BOOKS),
        start=out / phase.after / "model" if phase.after else None,
        steps=steps,
        resume=True,
    )
    _forget_peak()
    cpu, wall = time.process_time(), time.perf_counter()
    outcome = run_stage(job)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    lines = read_metrics(folder)
    tokens = lines[-1]["num_tokens"] - (lines[0]["num_tokens"] if len(lines) > 1 else 0)
    return {
        "steps": outcome.steps,
        "loss_first": outcome.loss_first,
        "loss_last": outcome.loss_last,
        "core_minutes": cpu / 60,
        "wall_minutes": wall / 60,
        "steps_a_core_second": outcome.steps / cpu,
        "tokens_a_core_second": tokens / cpu,
        "tokens_a_step": tokens / max(outcome.steps - 1, 1),
        # Wall time between the first and the last step: no start, no making of samples.
        "seconds_a_step": (lines[-1]["seconds"] - lines[0]["seconds"]) / max(len(lines) - 1, 1),
        "peak_bytes": _peak_bytes(),
    }


def _forget_peak() -> None:
    """Begin to measure the peak of memory anew."""
    Path("/proc/self/clear_refs").write_text("5")


def _peak_bytes() -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def held_out_scores(
    config: TrainConfig, model: Path | None, num: int, data: Path
) -> dict[str, Any]:
    """Return scores with 95 % intervals on books and keys that training never saw."""
    from glyph.train.stages.policy import open_policy

    policy = open_policy(config.model, model)
    scores: dict[str, Any] = {}
    for task in TASKS:
        samples = held_out(config, task, num, data)
        said = policy.respond(
            samples, max_tokens=MAX_TOKENS.get(task, MAX_ANSWER_TOKENS), at_once=AT_ONCE
        )
        scores[task] = score_task(task, samples, said)
    return scores


def held_out(config: TrainConfig, task: str, num: int, data: Path) -> list[Sample]:
    """Return samples of one task from the held-out books."""
    from glyph.train.samples.build import samples
    from glyph.train.samples.config import DataConfig
    from glyph.train.samples.sources import find_sources

    shape = DataConfig.of_stage(config.data, "sft")
    shape = dataclasses.replace(shape, families={task: 1.0}, eval_share=0.0)
    sources = find_sources([data / "books" / f"{name}.txt" for name in HELD_OUT_BOOKS])
    return [sample for _, sample in samples(sources, shape, EVAL_SEED, stop=num)]


def score_task(task: str, samples: Sequence[Sample], said: Sequence[str]) -> dict[str, Any]:
    """Return accuracy or character error rate, and how many responses are in form."""
    from rapidfuzz.distance import Levenshtein

    from glyph.train.rewards import format_reward, match_reward, take_apart

    examples = [
        {"asked": sample.prompt, "wanted": sample.completion, "said": text}
        for sample, text in list(zip(samples, said, strict=True))[:5]
    ]
    if task == "ocr":
        truths = [sample.completion for sample in samples]
        errors = [
            min(Levenshtein.distance(take_apart(text).answer, truth.strip()), len(truth))
            for text, truth in zip(said, truths, strict=True)
        ]
        chars = np.array([len(truth) for truth in truths])
        low, high = bootstrap_interval(np.array(errors), chars)
        mean = sum(errors) / int(chars.sum())
        return {"n": len(said), "cer": mean, "cer_interval": [low, high], "examples": examples}
    right = [match_reward(text, s.answers) or 0.0 for text, s in zip(said, samples, strict=True)]
    formed = [format_reward(text) for text in said]
    return {
        "n": len(said),
        "accuracy": sum(right) / len(right),
        "accuracy_interval": _interval(sum(right), len(right)),
        "format": sum(formed) / len(formed),
        "format_interval": _interval(sum(formed), len(formed)),
        "examples": examples,
    }


def _config(config: TrainConfig, phase: Phase) -> TrainConfig:
    """Return the settings of a phase."""
    data: dict[str, Any] = {
        name: dict(part) if isinstance(part, Mapping) else part
        for name, part in config.data.items()
    }
    if phase.without_ocr:
        for name in ("sft", "grpo"):
            shares = data[name]["families"]
            data[name]["families"] = {k: v for k, v in shares.items() if k != "ocr"}
    model = dataclasses.replace(config.model, context=phase.context)
    return dataclasses.replace(config, data=data, model=model)


def table(figures: Mapping[str, Any]) -> str:
    """Return all phases as a Markdown table."""
    head = "| after | OCR CER | " + " | ".join(TASKS[1:]) + " | in form |\n"
    rule = "|---" * (len(TASKS) + 2) + "|\n"
    return (
        head
        + rule
        + "\n".join(_line(name, one) for name, one in figures.items() if "scores" in one)
    )


def _line(name: str, figures: Mapping[str, Any]) -> str:
    if "scores" not in figures:
        training = figures["training"]
        return (
            f"{name}: {training['seconds_a_step']:.2f} s and {training['tokens_a_step']:.0f} "
            f"tokens a step, peak {training['peak_bytes'] / 2**20:.0f} MiB"
        )
    scores = figures["scores"]
    cells = [_cell(scores["ocr"]["cer"], scores["ocr"]["cer_interval"])]
    cells += [
        _cell(scores[task]["accuracy"], scores[task]["accuracy_interval"]) for task in TASKS[1:]
    ]
    asked = sum(scores[task]["n"] for task in TASKS[1:])
    formed = sum(scores[task]["format"] * scores[task]["n"] for task in TASKS[1:])
    cells.append(_cell(formed / asked, _interval(formed, asked)))
    return f"| {name} | " + " | ".join(cells) + " |"


def _interval(total: float, number: int) -> list[float]:
    return [bound / 100 for bound in wilson_interval(total, number)]


def _cell(mean: float, interval: Sequence[float]) -> str:
    return f"{mean:.1%} ({interval[0]:.1%} to {interval[1]:.1%})"


class _Given(argparse.Namespace):
    def resume_figures(self, out: Path) -> bool:
        out.mkdir(parents=True, exist_ok=True)
        return (out / "figures.json").is_file()


def _arguments() -> Any:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--out", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--config", default="nano", help="name or TOML file")
    parser.add_argument("--scale", type=float, default=1.0, help="factor of all schedules")
    parser.add_argument("--num", type=int, default=160, help="held-out samples of a task")
    parser.add_argument("--only", action="append", choices=[phase.name for phase in PHASES])
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("GLYPH_DATA", "../shared/data"))
    )
    parser.add_argument("--json", type=Path, help="also write all figures here")
    return parser.parse_args(namespace=_Given())


if __name__ == "__main__":
    main()
