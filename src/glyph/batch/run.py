"""One run: plan, render what is missing, sum up.

`job.json` is written first and holds what decides the pages; a run with other sources or settings
is refused there. `manifest.json` is written last, so where it is, the run is whole.
"""

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from glyph.api import make_config
from glyph.batch.engines import EngineName, run_locally, run_on_ray
from glyph.batch.plan import Plan, make_plan
from glyph.batch.tables import need_arrow
from glyph.batch.work import MAX_NAMED_SKIPS, Job, Report, read_report, shard_path
from glyph.errors import ConfigError, DocumentError
from glyph.output import write_atomically
from glyph.text_tokens import count_text_tokens
from glyph.tokens import resolve_model

JOB, MANIFEST = "job.json", "manifest.json"
SHARD_BYTES = 4_000_000
"""About a thousand pages, 50 to 100 MB of images and a few seconds of work."""


@dataclass(frozen=True, slots=True)
class Batch:
    """A finished run.

    Attributes:
        folder: Where the shards and the manifest are.
        shards: Number of files.
        shards_kept: How many of them an earlier run had made.
        documents: Texts rendered.
        pages: Of all of them.
        characters: Of the rendered texts.
        text_tokens: As text.
        visual_tokens: As pages.
        missing_glyphs: Characters that no font has.
        num_skipped: Texts that could not be taken in.
        skipped: Reasons of the first of them.
        model: Whose visual tokens.
        tokenizer: Whose text tokens.
        seconds: Of this run.
    """

    folder: str
    shards: int
    shards_kept: int
    documents: int
    pages: int
    characters: int
    text_tokens: int
    visual_tokens: int
    missing_glyphs: int
    num_skipped: int
    skipped: list[str]
    model: str
    tokenizer: str
    seconds: float

    @property
    def ratio(self) -> float:
        """Text tokens for one visual token."""
        return self.text_tokens / self.visual_tokens if self.visual_tokens else 0.0


def run_batch(
    sources: Sequence[str | Path],
    folder: str | Path,
    *,
    preset: str | None = None,
    settings: Sequence[str] = (),
    model: str = "glm-4.1v",
    tokenizer: str | None = None,
    text_field: str = "text",
    keeps_text: bool = True,
    shard_bytes: int = SHARD_BYTES,
    engine: EngineName = "local",
    address: str | None = None,
    workers: int | None = None,
    on_bytes: Callable[[int, int], None] | None = None,
) -> Batch:
    """Render many texts into Parquet shards of pages; the same call continues a stopped run.

    Args:
        sources: Files and folders of texts, JSONL and Parquet.
        folder: Made when absent. Files in it that are no shards are left alone.
        preset: As for `glyph.render`.
        settings: `field=value` texts that change the preset.
        model: Whose visual tokens to count.
        tokenizer: Whose text tokens to count; by default the model's own or its nearest.
        text_field: Column of the texts in JSONL and Parquet.
        keeps_text: Whether rows hold the text of their page.
        shard_bytes: Text of one shard.
        engine: `local` or `ray`.
        address: Of a Ray cluster, whose nodes see the sources and the folder under these names.
        workers: Shards at a time; by default one a core.
        on_bytes: Told how many bytes of text are done, and of how many.

    Raises:
        ConfigError: A setting is not accepted, or the folder holds another run.
        DocumentError: There is nothing to render, or nothing of it can be taken in.
        RenderError: A file cannot be written or a worker was lost; finished shards are kept.
    """
    need_arrow()
    if workers is not None and workers < 1:
        raise ConfigError(f"{workers} workers were asked for; give at least 1.")
    if address is not None and engine != "ray":
        raise ConfigError("an address goes with the engine 'ray' only; add --engine ray.")
    begin, place = time.perf_counter(), Path(folder)
    counted = tokenizer or resolve_model(model).tokenizer
    count_text_tokens("", counted)
    config = make_config(preset, model=model, settings=settings)
    plan = make_plan([Path(source).absolute() for source in sources], shard_bytes=shard_bytes)
    job = Job(
        str(place.absolute()), preset, tuple(settings), model, counted, text_field, keeps_text
    )
    _claim(place, _identity(plan, job, config.digest))
    reports = _kept(place, plan)
    num_kept = len(reports)
    missing = [shard for shard in plan.shards if shard.number not in reports]
    done = sum(s.num_bytes for s in plan.shards if s.number in reports)
    if missing:
        num = len(plan.shards)
        running = (
            run_on_ray(missing, job, num, workers, address)
            if engine == "ray"
            else run_locally(missing, job, num, workers)
        )
        for report in running:
            reports[report.number] = report
            done += plan.shards[report.number].num_bytes
            if on_bytes is not None:
                on_bytes(done, plan.num_bytes)
    batch = _summed(place, job, [reports[n] for n in sorted(reports)], num_kept, begin)
    _write_manifest(batch, config.to_dict())
    if not batch.documents:
        raise DocumentError(f"none of the texts can be taken in; the first: {batch.skipped[0]}")
    return batch


def _identity(plan: Plan, job: Job, config_digest: str) -> dict[str, Any]:
    values = asdict(job) | {
        "settings": list(job.settings),
        "plan": plan.digest,
        "config_digest": config_digest,
    }
    del values["folder"]  # a folder may be moved
    values["glyph_version"] = metadata.version("glyph-context")
    text = json.dumps(values, sort_keys=True)
    return {"digest": hashlib.sha256(text.encode()).hexdigest(), **values}


def _claim(folder: Path, identity: dict[str, Any]) -> None:
    path = folder / JOB
    if not path.exists():
        write_atomically(path, json.dumps(identity, indent=1).encode())
        return
    try:
        earlier: dict[str, Any] = json.loads(path.read_bytes())
    except (OSError, ValueError):
        earlier = {}
    if earlier.get("digest") != identity["digest"]:
        other = [key for key in identity if key != "digest" and earlier.get(key) != identity[key]]
        raise ConfigError(
            f"{folder} holds a run with other {', '.join(other) or 'settings'}; nothing was "
            "changed there. Name another folder, or give the sources and settings of that run."
        )


def _kept(folder: Path, plan: Plan) -> dict[int, Report]:
    num = len(plan.shards)
    found = ((shard.number, read_report(shard_path(folder, shard.number, num)))
             for shard in plan.shards)  # fmt: skip
    return {number: report for number, report in found if report is not None}


def _summed(folder: Path, job: Job, reports: list[Report], num_kept: int, begin: float) -> Batch:
    reasons = [reason for report in reports for reason in report.skipped]
    return Batch(
        folder=str(folder),
        shards=len(reports),
        shards_kept=num_kept,
        documents=sum(r.documents for r in reports),
        pages=sum(r.pages for r in reports),
        characters=sum(r.characters for r in reports),
        text_tokens=sum(r.text_tokens for r in reports),
        visual_tokens=sum(r.visual_tokens for r in reports),
        missing_glyphs=sum(r.missing_glyphs for r in reports),
        num_skipped=sum(r.num_skipped for r in reports),
        skipped=reasons[:MAX_NAMED_SKIPS],
        model=job.model,
        tokenizer=job.tokenizer,
        seconds=time.perf_counter() - begin,
    )


def _write_manifest(batch: Batch, config: dict[str, Any]) -> None:
    values = asdict(batch) | {"ratio": batch.ratio, "config": config}
    for key in ("folder", "seconds", "shards_kept"):  # equal runs have equal manifests
        del values[key]
    text = json.dumps(values, indent=1)
    write_atomically(Path(batch.folder) / MANIFEST, f"{text}\n".encode())
