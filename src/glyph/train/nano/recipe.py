"""The whole training of the nano reader as one resumable command.

    vision   the tower learns to name characters        } side by side,
    language the language model learns on oracle codes  } a core each
    distil   the tower learns to speak the model's code, and a dense style
    joint    both learn from pixels
    export   a model folder that the reader and plain transformers load

Each stage runs in a process and a folder of its own and continues where it stopped; a file `done`
in its folder says that it is complete.
"""

import json
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from glyph.errors import ConfigError, GlyphError

POLL_S = 1.0
MIN_STEPS = 8
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Sources:
    """Text to train on and to be evaluated on; neither is needed.

    Attributes:
        novels: Folder of training novels; without, the Python manual and library are the text.
        books: Folder of held-out books, read now and then while the tower trains.
    """

    novels: Path | None
    books: Path | None

    def arguments(self) -> list[str]:
        """Return the command-line arguments of a stage."""
        named = {"--novels": self.novels, "--books": self.books}
        return [part for name, path in named.items() if path for part in (name, str(path))]


@dataclass(frozen=True, slots=True)
class Stage:
    """One process of the training.

    Attributes:
        name: Also the name of its folder.
        module: Run with `python -m`.
        arguments: After the folder.
        steps: Length of its schedule.
    """

    name: str
    module: str
    arguments: tuple[str, ...]
    steps: int


def load_recipe() -> dict[str, Any]:
    """Return the recipe that comes with the package."""
    source = resources.files("glyph.train.nano") / "recipe.toml"
    return tomllib.loads(source.read_text("utf-8"))


def train_nano(
    out: Path,
    sources: Sources,
    *,
    hours: float,
    seed: int = 0,
    on_progress: Progress = lambda _stage, _step, _steps: None,
) -> Path:
    """Train the reader from scratch, or continue, and return its model folder.

    Args:
        out: Folder of the run.
        sources: Text.
        hours: Wall time on two cores for which the schedules are made; more is better.
        seed: Of everything.
        on_progress: Told stage, step and steps, about once a second.

    Raises:
        ConfigError: `hours` is not positive.
        GlyphError: A stage failed; its log says why.
    """
    if not hours > 0:
        raise ConfigError(f"{hours} hours of training; give a number above 0, such as 2.5.")
    recipe = load_recipe()
    scale = hours / float(recipe["reference_hours"])
    stages: dict[str, dict[str, Any]] = {k: v for k, v in recipe.items() if isinstance(v, dict)}
    steps = {
        name: max(MIN_STEPS, round(int(table["steps"]) * scale)) for name, table in stages.items()
    }
    out.mkdir(parents=True, exist_ok=True)
    for group in _stages(recipe, steps, out, sources, seed):
        _run(group, out, on_progress)
    return out / "model"


def _stages(
    recipe: Mapping[str, Any], steps: Mapping[str, int], out: Path, sources: Sources, seed: int
) -> tuple[tuple[Stage, ...], ...]:
    text = sources.arguments()
    novels = Sources(sources.novels, None).arguments()

    def tower(name: str, *more: str) -> tuple[str, ...]:
        table = recipe[name]
        return (
            *text, "--styles", ",".join(table["styles"]), "--steps", str(steps[name]),
            "--tokens-per-step", str(table["tokens_per_step"]), "--seed", str(seed), *more,
        )  # fmt: skip

    def model(name: str, *more: str) -> tuple[str, ...]:
        settings = {**recipe[name], "steps": steps[name], "seed": seed}
        path = out / f"{name}.toml"
        path.write_text(_toml(settings), "utf-8")
        return (*novels, "--settings", str(path), *more)

    vision, language, distil = (
        str(out / name) for name in ("vision/vision.pt", "language/last.pt", "distil/distil.pt")
    )
    return (
        (
            Stage("vision", "vision_training", tower("vision"), steps["vision"]),
            Stage("language", "language", model("language"), steps["language"]),
        ),
        (
            Stage(
                "distil",
                "distil",
                tower("distil", "--vision", vision, "--language", language),
                steps["distil"],
            ),
        ),
        (
            Stage(
                "joint",
                "joint",
                model("joint", "--start", language, "--vision", distil, "--threads", "2"),
                steps["joint"],
            ),
        ),
        (Stage("export", "export", (str(out / "model"),), 1),),
    )


def _run(stages: tuple[Stage, ...], out: Path, on_progress: Progress) -> None:
    """Run stages side by side until all are complete."""
    running: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for stage in stages:
            if not (out / stage.name / "done").exists():
                running[stage.name] = _start(stage, out)
        while running:
            time.sleep(POLL_S)
            for stage in stages:
                if stage.name in running:
                    on_progress(stage.name, _step_of(out / stage.name), stage.steps)
                    if running[stage.name].poll() is not None:
                        _finish(stage, running.pop(stage.name), out)
    finally:
        for process in running.values():
            process.terminate()
        for process in running.values():
            process.wait()


def _start(stage: Stage, out: Path) -> "subprocess.Popen[bytes]":
    folder = out / stage.name
    folder.mkdir(parents=True, exist_ok=True)
    first = out / "joint" / "last.pt" if stage.name == "export" else folder
    command = [sys.executable, "-m", f"glyph.train.nano.{stage.module}", str(first)]
    with (folder / "log.txt").open("ab") as log:
        return subprocess.Popen([*command, *stage.arguments], stdout=log, stderr=log)


def _finish(stage: Stage, process: "subprocess.Popen[bytes]", out: Path) -> None:
    log = out / stage.name / "log.txt"
    if process.returncode:
        last = log.read_text("utf-8", errors="replace").strip().splitlines()[-1:]
        raise GlyphError(
            f"stage '{stage.name}' failed: {''.join(last)}; see {log}, then run the same command "
            "again to continue."
        )
    (out / stage.name / "done").touch()


def _step_of(folder: Path) -> int:
    """Return the last step that a stage has written down."""
    path = folder / "metrics.jsonl"
    if not path.exists():
        return 0
    rows = path.read_bytes().rstrip().splitlines()
    return int(json.loads(rows[-1])["step"]) if rows else 0


def _toml(table: Mapping[str, Any]) -> str:
    parts: dict[str, dict[str, Any]] = {k: v for k, v in table.items() if isinstance(v, dict)}
    lines = [f"{key} = {json.dumps(value)}" for key, value in table.items() if key not in parts]
    for name, part in parts.items():
        lines += [f"\n[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in part.items())]
    return "\n".join(lines) + "\n"
