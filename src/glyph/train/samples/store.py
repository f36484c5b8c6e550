"""A folder of samples: written block by block, resumed block by block, read sample by sample.

    manifest.json            settings of the run; totals once it has ended
    train/00003.parquet      samples of block 3 that are trained on
    eval/00003.parquet       those held out, where there are any
    blocks/00003.json        what block 3 holds; written last, so that it marks the block as done

A block is a run of sample numbers, so what is in it follows from the settings. Files are written
aside and renamed. One process at a time may write to a folder.
"""

import hashlib
import json
import os
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, cast

from filelock import FileLock, Timeout

from glyph.config import LAYOUT_VERSION
from glyph.errors import TrainingError
from glyph.fonts import installed_families
from glyph.output import write_atomically
from glyph.train.samples.build import SampleMaker
from glyph.train.samples.columns import arrow, read_file
from glyph.train.samples.config import DataConfig
from glyph.train.samples.sample import Sample
from glyph.train.samples.sources import SPLITS, Sources, Split, as_json
from glyph.train.samples.writers import SUFFIXES, FormatName, Writer, open_writer

SAMPLES_VERSION = 1
"""Raised whenever equal settings may give other samples than before."""

MANIFEST, LOCK, BLOCKS = "manifest.json", ".lock", "blocks"
BLOCK_SAMPLES = 64
AHEAD = 2
"""Blocks a worker has waiting."""


@dataclass(frozen=True, slots=True)
class Run:
    """What is asked for: everything that decides the content of a folder.

    Attributes:
        sources: What samples are made of.
        data: Settings of the samples.
        seed: Of all chance.
        num_samples: How many, both splits together.
        format: Of the files.
        block_samples: Samples of a block.
    """

    sources: Sources
    data: DataConfig
    seed: int
    num_samples: int
    format: FormatName = "parquet"
    block_samples: int = BLOCK_SAMPLES

    def settings(self) -> dict[str, Any]:
        """Return what two runs must have in common to share a folder."""
        return {
            "samples_version": SAMPLES_VERSION,
            "layout_version": LAYOUT_VERSION,
            "format": self.format,
            "seed": self.seed,
            "block_samples": self.block_samples,
            "data": json.loads(json.dumps(self.data.to_dict())),
            "sources": self.sources.digest,
            "fonts": _fonts_digest(),
        }

    def blocks(self) -> list[tuple[int, int, int]]:
        """Return number, first sample and one past the last of each block."""
        size = self.block_samples
        starts = range(0, self.num_samples, size)
        return [(k, at, min(at + size, self.num_samples)) for k, at in enumerate(starts)]


@dataclass(frozen=True, slots=True)
class Block:
    """What a finished block holds.

    Attributes:
        number: From 0.
        start: Number of its first sample.
        stop: One past that of its last.
        counts: Samples of each split.
        families: Samples of each family.
        pages: Pages.
        visual_tokens: Of all its pages.
        text_tokens: Of all its texts.
        num_bytes: Size of its files, pages in files of their own not counted.
    """

    number: int
    start: int
    stop: int
    counts: dict[str, int]
    families: dict[str, int]
    pages: int
    visual_tokens: int
    text_tokens: int
    num_bytes: int


def write(
    run: Run, out: Path, *, workers: int = 1, on_samples: Callable[[int], None] | None = None
) -> dict[str, Any]:
    """Write samples into a folder, going on after the blocks that are there.

    Args:
        run: What to write.
        out: Made when absent.
        workers: Processes; what is written does not depend on their number.
        on_samples: Called with the number of samples there are, whenever it grows.

    Returns:
        The manifest.

    Raises:
        TrainingError: The folder is of another run or in use, the disk is full, or a sample does
            not work out. Blocks that are finished stay.
    """
    if run.num_samples < 1 or workers < 1:
        raise TrainingError(
            f"{run.num_samples} samples by {workers} workers were asked for; give 1 or more of "
            "each."
        )
    maker = SampleMaker(run.sources, run.data, run.seed)
    with _locked(out), _disk_errors(out):
        _check_same(run, out)
        settings = {**run.settings(), "complete": False}
        _write_json(out / MANIFEST, {**settings, "sources": as_json(run.sources)})
        done = {block.number: block for block in _finished(run, out)}
        _tell(on_samples, done.values())
        missing = [entry for entry in run.blocks() if entry[0] not in done]
        for block in _made(run, out, missing, workers):
            done[block.number] = block
            _tell(on_samples, done.values())
        manifest = {
            **settings,
            "complete": True,
            "sources": as_json(run.sources),
            "left_out": list(maker.left_out),
            **_totals(list(done.values())),
        }
        _write_json(out / MANIFEST, manifest)
    return manifest


def read(path: str | Path, split: Split = "train") -> Iterator[Sample]:
    """Yield the samples of a folder, or of one Parquet file, in order.

    Args:
        path: A folder that `glyph train data` wrote, or a file in it.
        split: Which samples of a folder.

    Raises:
        TrainingError: There are none, or they cannot be read.
    """
    folder = Path(path)
    if folder.is_file():
        yield from read_file(folder)
        return
    manifest = read_manifest(folder)
    if manifest["format"] != "parquet":
        raise TrainingError(
            f"the samples in {folder} are in the format {manifest['format']}, which other programs "
            "read; make them once more with --format parquet."
        )
    for file in sorted((folder / split).glob(f"*{SUFFIXES['parquet']}")):
        yield from read_file(file)


def read_manifest(folder: str | Path) -> dict[str, Any]:
    """Return the manifest of a folder of samples.

    Raises:
        TrainingError: It is none.
    """
    try:
        return cast("dict[str, Any]", json.loads((Path(folder) / MANIFEST).read_bytes()))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is no JSON"
        raise TrainingError(
            f"{folder} is no folder of samples: {MANIFEST} cannot be read ({reason}). Make one "
            "with 'glyph train data SOURCE --out FOLDER'."
        ) from None


# -- blocks ------------------------------------------------------------------------------------


def _made(
    run: Run, out: Path, missing: Sequence[tuple[int, int, int]], workers: int
) -> Iterator[Block]:
    if workers == 1 or len(missing) < 2:
        for entry in missing:
            yield _write_block(run, out, *entry)
        return
    # A fresh process holds no locks of this one's threads.
    with ProcessPoolExecutor(min(workers, len(missing)), get_context("spawn")) as pool:
        waiting: set[Future[Block]] = set()
        rest = iter(missing)
        try:
            while True:
                for entry in rest:
                    waiting.add(pool.submit(_write_block, run, out, *entry))
                    if len(waiting) >= AHEAD * workers:
                        break
                if not waiting:
                    return
                finished, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in finished)
        finally:
            pool.shutdown(cancel_futures=True)


def _write_block(run: Run, out: Path, number: int, start: int, stop: int) -> Block:
    """Make the samples of a block, write them, and say what they are."""
    arrow()
    made = SampleMaker(run.sources, run.data, run.seed)
    name = f"{number:05d}{SUFFIXES[run.format]}"
    counts, families = dict.fromkeys(SPLITS, 0), dict[str, int]()
    pages = visual_tokens = text_tokens = 0
    with _open_files(run.format, out, name) as writers:
        for k in range(start, stop):
            split, sample = made.make(k)
            writers(split).add(sample)
            counts[split] += 1
            families[sample.family] = families.get(sample.family, 0) + 1
            pages += len(sample.images)
            visual_tokens += sample.visual_tokens
            text_tokens += sample.text_tokens
    files = [out / split / name for split in SPLITS if counts[split]]
    num_bytes = sum(file.stat().st_size for file in files)
    block = Block(
        number, start, stop, {**counts}, dict(sorted(families.items())), pages, visual_tokens,
        text_tokens, num_bytes,
    )  # fmt: skip
    _write_json(out / BLOCKS / f"{number:05d}.json", asdict(block))
    return block


@contextmanager
def _open_files(format: FormatName, out: Path, name: str) -> Generator[Callable[[Split], Writer]]:
    """Give the writer of each split; files get their names when all went well."""
    partial = {split: out / split / f".{name}.partial-{os.getpid()}" for split in SPLITS}
    opened: dict[Split, Writer] = {}

    def writer(split: Split) -> Writer:
        if split not in opened:
            partial[split].parent.mkdir(parents=True, exist_ok=True)
            opened[split] = open_writer(format, partial[split], out)
        return opened[split]

    try:
        yield writer
        for one in opened.values():
            one.close()
        for split in SPLITS:
            if split in opened:
                partial[split].replace(out / split / name)
            else:
                # An earlier, shorter run may have left one.
                (out / split / name).unlink(missing_ok=True)
    finally:
        for path in partial.values():
            path.unlink(missing_ok=True)


def _finished(run: Run, out: Path) -> Iterator[Block]:
    """Yield the blocks that are there whole; a last one that was shorter is made again."""
    for number, start, stop in run.blocks():
        try:
            block = Block(**json.loads((out / BLOCKS / f"{number:05d}.json").read_bytes()))
        except (OSError, ValueError, TypeError):
            continue
        name = f"{number:05d}{SUFFIXES[run.format]}"
        files = [out / split / name for split in SPLITS if block.counts.get(split)]
        if (block.start, block.stop) == (start, stop) and all(file.is_file() for file in files):
            yield block


def _tell(on_samples: Callable[[int], None] | None, blocks: Iterable[Block]) -> None:
    if on_samples is not None:
        on_samples(sum(block.stop - block.start for block in blocks))


def _totals(blocks: Sequence[Block]) -> dict[str, Any]:
    families: dict[str, int] = {}
    for block in blocks:
        for name, count in block.families.items():
            families[name] = families.get(name, 0) + count
    return {
        "samples": sum(block.stop - block.start for block in blocks),
        "train": sum(block.counts["train"] for block in blocks),
        "eval": sum(block.counts["eval"] for block in blocks),
        "families": dict(sorted(families.items())),
        "pages": sum(block.pages for block in blocks),
        "visual_tokens": sum(block.visual_tokens for block in blocks),
        "text_tokens": sum(block.text_tokens for block in blocks),
        "num_bytes": sum(block.num_bytes for block in blocks),
    }


# -- the folder --------------------------------------------------------------------------------


def _check_same(run: Run, out: Path) -> None:
    """Refuse a folder of other settings, or one that holds something else."""
    if not (out / MANIFEST).exists():
        foreign = sorted(path.name for path in out.iterdir() if path.name != LOCK)
        if foreign:
            raise TrainingError(
                f"{out} holds files that are no samples, such as {foreign[0]}; name an empty or "
                "a new folder."
            )
        return
    there, wanted = read_manifest(out), run.settings()
    there["sources"] = there.get("sources", {}).get("digest")
    changed = [key for key, value in wanted.items() if there.get(key) != value]
    if not changed:
        return
    told = _difference(there, wanted, changed[0])
    raise TrainingError(
        f"{out} holds samples of other settings: {told}. Nothing was changed there; give the same "
        "settings to go on with it, or another --out."
    )


def _difference(there: dict[str, Any], wanted: dict[str, Any], key: str) -> str:
    if key == "data" and isinstance(there.get(key), dict):
        for name, value in wanted[key].items():
            if there[key].get(name) != value:
                return f"{name} is {there[key].get(name)} there and {value} now"
    return f"{key} is {there.get(key)} there and {wanted[key]} now"


@contextmanager
def _locked(out: Path) -> Generator[None]:
    with _disk_errors(out):
        out.mkdir(parents=True, exist_ok=True)
    lock = FileLock(out / LOCK)
    try:
        with _disk_errors(out):
            lock.acquire(timeout=0)
    except Timeout:
        raise TrainingError(
            f"another run is writing to {out}. Wait for it, or give another --out."
        ) from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _disk_errors(out: Path) -> Generator[None]:
    try:
        yield
    except Timeout:
        raise
    except OSError as error:
        raise TrainingError(
            f"cannot write to {out}: {error.strerror or error}. What was finished there stays; "
            "free space and run the same command again, which goes on after it."
        ) from None


def _fonts_digest() -> str:
    """Return what names the fonts of this machine: those that are missing are never drawn."""
    return hashlib.sha256(" ".join(sorted(installed_families())).encode()).hexdigest()[:16]


def _write_json(path: Path, values: dict[str, Any]) -> None:
    text = json.dumps(values, indent=1)
    write_atomically(path, f"{text}\n".encode("utf-8", "backslashreplace"))
