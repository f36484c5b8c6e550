"""The output folder of a stage: one run at a time, one config, metrics that are never lost.

OUT/training.json     what decided the run
    metrics.jsonl     one line for each logged step; a resumed run goes on in it
    checkpoint-N/     whole or absent; the last ones are kept
    panels/           held-out pages beside what the model says
    model/            the trained model, when all steps are done
"""

import fcntl
import json
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from glyph.errors import TrainingError

RECORD, METRICS, MODEL, LOCK = "training.json", "metrics.jsonl", "model", ".lock"


@contextmanager
def locked(out: Path) -> Generator[None]:
    """Hold an output folder for one run.

    Raises:
        TrainingError: Another run holds it, or it cannot be made.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        handle = (out / LOCK).open("w")
    except OSError as error:
        raise TrainingError(f"{out} cannot be written: {error}; give another --out.") from None
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise TrainingError(
                f"another run is writing to {out}; wait for it, or give another --out."
            ) from None
        yield


def begin(out: Path, record: Mapping[str, Any], *, resume: bool) -> None:
    """Begin a run in a folder, or go on with the one that is there.

    Args:
        out: Output folder.
        record: What decides the run.
        resume: Go on where the run stopped.

    Raises:
        TrainingError: A run is there and `resume` was not given, or it was decided otherwise.
    """
    path = out / RECORD
    if not path.is_file():
        write_json(path, record)
        return
    if not resume:
        raise TrainingError(
            f"{out} holds a run already; go on with it by --resume, or give another --out."
        )
    earlier = json.loads(path.read_text("utf-8"))
    now = json.loads(json.dumps(record))
    differing = sorted(key for key in now if earlier.get(key) != now[key])
    if differing:
        key = differing[0]
        raise TrainingError(
            f"the run in {out} cannot go on: its {key} is {_short(earlier.get(key))}, now it is "
            f"{_short(now[key])}. Give the same settings, or another --out."
        )


def keep_metrics(out: Path, steps: int) -> None:
    """Cut the metrics off behind a step, so that a resumed run writes every step once."""
    path = out / METRICS
    if not path.is_file():
        return
    kept: list[str] = []
    for line in path.read_text("utf-8").splitlines():
        try:
            is_kept = json.loads(line).get("step", 0) <= steps
        except ValueError:
            # A line that a crash cut short.
            continue
        kept += [line] if is_kept else []
    write_bytes(path, "".join(f"{line}\n" for line in kept).encode())


def read_metrics(out: Path) -> list[dict[str, Any]]:
    """Return the logged steps of a run that have a loss."""
    path = out / METRICS
    lines = path.read_text("utf-8").splitlines() if path.is_file() else []
    return [entry for entry in map(json.loads, lines) if "loss" in entry]


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write a JSON file, whole or not at all."""
    write_bytes(path, (json.dumps(values, indent=1) + "\n").encode())


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file aside and rename it."""
    aside = path.with_name(f".{path.name}.part")
    aside.write_bytes(data)
    aside.replace(path)


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
