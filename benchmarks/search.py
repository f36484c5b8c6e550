"""Searched against random, plain NSGA-II and presets: hypervolume, and accuracy on unseen texts.

    python benchmarks/search.py TEXT... --held-out TEXT... [--reader ocr|nano] [--seeds 5]
        [--evaluations 200] [--strategies random nsga2 searched] [--out FOLDER] [--quick]

A seed draws another validation set and other random choices; all strategies have the same budget of
candidates and the same racing. What a front chooses at a ratio is then read on texts that no search
saw, as are presets whose dpi, their own knob, is lowered until they compress as much.

Every strategy of every seed is one line of FOLDER/results.jsonl. A run that was stopped continues
with the first that is missing, and what the reader said is kept in FOLDER/readings.sqlite. With a
larger number of evaluations, the same command continues the searches of a smaller one.

| strategy | |
|---|---|
| random | draws from the training distribution |
| nsga2 | Optuna's NSGAIISampler with its defaults over the same genes |
| searched | `glyph search` |
| unseeded | the same without presets to begin with |
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.samplers import NSGAIISampler

from glyph.api import DEFAULT_MODEL
from glyph.config import RenderConfig
from glyph.errors import ConfigError
from glyph.presets import load_preset
from glyph.readers import open_reader
from glyph.readers.protocol import StyledReader
from glyph.search.choosing import safest_index
from glyph.search.fitness import Fitness, Measured, Price, Rival
from glyph.search.loop import Budget, Search, Tactics
from glyph.search.pareto import Point, hypervolume
from glyph.search.readings import Readings
from glyph.search.space import Space
from glyph.search.study import Identity, SearchStudy, distributions_of, open_storage
from glyph.search.validation import SetSize, questions_from_texts
from glyph.tokens import resolve_model

Row = dict[str, Any]
Found = list[tuple[RenderConfig, Point, bool]]
"""Each candidate with its point, and whether it was read to the end."""

OVERHEAD = "searched, unread"
TACTICS = {"searched": Tactics(), "unseeded": Tactics(with_seeds=False)}


@dataclass(frozen=True, slots=True)
class Setting:
    """What is asked of a reader: passages, ratios to choose at, presets to compare with."""

    size: SetSize
    unseen: SetSize
    ratios: tuple[float, ...]
    presets: tuple[str, ...]
    lowest_dpi: int


SETTINGS = {
    "ocr": Setting(
        SetSize(3, 200),
        SetSize(12, 240),
        (4.0, 6.0, 8.0),
        ("glyph-en-72", "aligned-28", "aligned-28-dense", "aligned-28-flow", "aligned-28-small"),
        33,
    ),
    "nano": Setting(
        SetSize(4, 1_000),
        SetSize(12, 1_000),
        (2.0, 3.0, 3.5),
        ("glyph-en-72", "nano", "nano-dense"),
        # Letters of another size are none that it was taught.
        72,
    ),
}


@dataclass(frozen=True)
class Arena:
    """What the strategies of one seed share."""

    reader: str
    space: Space
    fitness: Fitness
    seed: int
    count: int
    folder: Path

    def measured(
        self, config: RenderConfig, rivals: list[Rival]
    ) -> tuple[RenderConfig, Point, bool]:
        """Measure a config as the search would, with racing against those measured before."""
        price = self.fitness.price(config)
        measured = self.fitness.measure(config, price, rivals)
        if measured.is_full:
            rivals.append(Rival(price.ratio, measured.scores))
        return config, (measured.accuracy, price.ratio), measured.is_full


def run_random(arena: Arena) -> Found:
    rng = np.random.default_rng([arena.seed, 1])
    rivals: list[Rival] = []
    return [arena.measured(arena.space.sample(rng), rivals) for _ in range(arena.count)]


def run_nsga2(arena: Arena) -> Found:
    study = optuna.create_study(
        directions=["maximize", "maximize"], sampler=NSGAIISampler(seed=arena.seed)
    )
    distributions = distributions_of(arena.space)
    found: Found = []
    rivals: list[Rival] = []
    for _ in range(arena.count):
        trial = study.ask(distributions)
        try:
            found.append(arena.measured(arena.space.repair(trial.params), rivals))
        except ConfigError:  # what no rule mends is worth nothing
            found.append((RenderConfig(), (0.0, 0.0), False))
        study.tell(trial, list(found[-1][1]))
    return found


def run_ours(name: str, arena: Arena) -> Found:
    place = arena.folder / f"{name}-{arena.seed}"
    identity = Identity(
        arena.space.digest, arena.fitness.validation.digest, arena.reader, arena.space.model
    )
    study = SearchStudy(open_storage(place), arena.space, identity, str(place))
    search = Search(study, arena.space, arena.fitness, seed=arena.seed, tactics=TACTICS[name])
    for _ in search.run(Budget(evaluations=arena.count, patience=None)):
        pass
    return [(r.config, r.point, r.measured.is_full) for r in study.records()[: arena.count]]


def run(name: str, arena: Arena, judge: Fitness, ratios: Sequence[float]) -> Row:
    """Return the row of a strategy: what its front holds, and what that is worth elsewhere."""
    begin = time.perf_counter()
    if name in TACTICS:
        found = run_ours(name, arena)
    else:
        found = {"random": run_random, "nsga2": run_nsga2}[name](arena)
    seconds = time.perf_counter() - begin
    ends = range(10, arena.count + 1, 10)
    num_questions = arena.fitness.validation.num_questions
    chosen = {ratio: at_ratio(found, ratio, num_questions) for ratio in ratios}
    return {
        "strategy": name,
        "seed": arena.seed,
        "evaluations": len(found),
        "volume": volume(found),
        "curve": [round(volume(found[:end]), 3) for end in ends],
        "seconds": round(seconds, 1),
        "unseen": {str(ratio): on_unseen(config, judge) for ratio, config in chosen.items()},
    }


def volume(found: Found) -> float:
    return hypervolume([point for _, point, is_full in found if is_full])


def at_ratio(found: Found, ratio: float, num_questions: int) -> RenderConfig | None:
    """Return what `--at-ratio` chooses, for all strategies alike."""
    dense = [(config, point) for config, point, is_full in found if is_full and point[1] >= ratio]
    if not dense:
        return None
    return dense[safest_index([point for _, point in dense], num_questions)][0]


def on_unseen(config: RenderConfig | None, judge: Fitness) -> Row | None:
    if config is None:
        return None
    measured = judge.measure(config, judge.price(config))
    return {
        "accuracy": measured.accuracy,
        "low": measured.accuracy_low,
        "high": measured.accuracy_high,
        "ratio": measured.price.ratio,
        "config": config.to_dict(),
    }


def preset_at(name: str, fitness: Fitness, ratio: float, lowest: int) -> RenderConfig | None:
    """Return a preset with dpi lowered until it compresses this much; None where it cannot."""
    preset = load_preset(name)
    for dpi in range(round(preset.dpi), min(lowest, round(preset.dpi)) - 1, -1):
        try:
            config = preset.replace(dpi=dpi)
        except ConfigError:
            return None
        if fitness.price(config).ratio >= ratio:
            return config
    return None


def preset_row(name: str, setting: Setting, judge: Fitness) -> Row:
    found: Row = {}
    for ratio in setting.ratios:
        found[str(ratio)] = on_unseen(preset_at(name, judge, ratio, setting.lowest_dpi), judge)
    return {"strategy": name, "seed": None, "unseen": found}


class Unread(Fitness):
    """Everything but reading: pages are rendered, and a made-up accuracy falls with the ratio."""

    def measure(self, config: RenderConfig, price: Price, rivals: Sequence[Rival] = ()) -> Measured:
        for passage in self.validation.passages:
            self.pages(passage, config, price)
        accuracy = 1 / (1 + (price.ratio / 6) ** 4)
        scores = (accuracy,) * self.validation.num_questions
        return Measured(
            accuracy, accuracy, accuracy, price, scores, True, (), (), 0, 0, 0.0
        )  # fmt: skip


def overhead(arena: Arena, count: int = 100) -> Row:
    """Return candidates a second of the search without the reader.

    Proposals, prices, pages, claims and records are all in it; only the answers are not.
    """
    fitness = arena.fitness
    unread = Unread(fitness.validation, fitness.readings, arena.space.model, sees_itself=False)
    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        run_ours("searched", replace(arena, fitness=unread, count=count, folder=Path(folder)))
        seconds = time.perf_counter() - begin
    return {"strategy": OVERHEAD, "seed": None, "per_second": count / seconds}


# -- tables ----------------------------------------------------------------------------------


def spread(values: Sequence[float], form: str) -> str:
    """Return median, smallest and largest of some values in words."""
    if not values:
        return "-"
    if len(values) == 1:
        return f"{values[0]:{form}}"
    middle, low, high = statistics.median(values), min(values), max(values)
    return f"{middle:{form}} [{low:{form}}, {high:{form}}]"


def unseen_words(found: Sequence[Row], count: int) -> str:
    """Return accuracies with the ratio they were reached at, and how many seeds got there."""
    if not found:
        return "-"
    ratio = statistics.median(row["ratio"] for row in found)
    words = f"{spread([row['accuracy'] for row in found], '.3f')} at {ratio:.1f}x"
    return words if count == 1 else f"{words}, {len(found)} of {count}"


def latest(rows: Sequence[Row]) -> list[Row]:
    """Return for each strategy and seed the row with most evaluations."""
    found: dict[tuple[str, int | None], Row] = {}
    for row in sorted(rows, key=lambda row: row.get("evaluations", 0)):
        found[row["strategy"], row["seed"]] = row
    return list(found.values())


def print_volumes(rows: Sequence[Row], end: int) -> None:
    """Print hypervolumes after so many candidates, of the seeds that have got so far."""
    volumes: dict[str, list[float]] = {}
    for row in rows:
        if row.get("evaluations", 0) >= end:
            volumes.setdefault(row["strategy"], []).append(row["curve"][end // 10 - 1])
    middle = {name: statistics.median(values) for name, values in volumes.items()}
    print(f"\n| after {end} candidates | hypervolume, median [least, most] | seeds "
          "| over nsga2 | over random |")  # fmt: skip
    print("|---|--:|--:|--:|--:|")
    for name, values in volumes.items():
        gains = [
            f"{middle[name] / middle[other] - 1:+.0%}" if middle.get(other) else "-"
            for other in ("nsga2", "random")
        ]
        print(f"| {name} | {spread(values, '.2f')} | {len(values)} | {' | '.join(gains)} |")


def print_tables(rows: Sequence[Row], ratios: Sequence[float]) -> None:
    rows = latest(rows)
    speed = next((row["per_second"] for row in rows if row["strategy"] == OVERHEAD), None)
    if speed is not None:
        print(f"\ncandidates a second without the reader: {speed:.1f}")
    for end in (60, 200):
        print_volumes(rows, end)
    print("\n| accuracy on unseen texts, ratio at least | " + " | ".join(map(str, ratios)) + " |")
    print("|---|" + "--:|" * len(ratios))
    for name in dict.fromkeys(row["strategy"] for row in rows if "unseen" in row):
        cells: list[str] = []
        for ratio in ratios:
            mine = [row["unseen"][str(ratio)] for row in rows if row["strategy"] == name]
            cells.append(unseen_words([found for found in mine if found], len(mine)))
        print(f"| {name} | {' | '.join(cells)} |")


# -- the run ---------------------------------------------------------------------------------


class Results:
    """Rows in a file, one line each, written as soon as they are known."""

    def __init__(self, path: Path):
        self._path = path
        lines = path.read_text().splitlines() if path.exists() else []
        self.rows: list[Row] = [json.loads(line) for line in lines]

    def has(self, strategy: str, seed: int | None = None, count: int = 0) -> bool:
        return any(
            (row["strategy"], row["seed"]) == (strategy, seed)
            and row.get("evaluations", 0) >= count
            for row in self.rows
        )

    def keep(self, row: Row) -> None:
        self.rows.append(row)
        with self._path.open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(json.dumps({k: v for k, v in row.items() if k != "unseen"}), flush=True)


def main() -> None:
    args = arguments()
    seeds, count = (1, 30) if args.quick else (args.seeds, args.evaluations)
    setting = SETTINGS[args.reader]
    out = args.out or Path("runs") / f"search-{args.reader}"
    out.mkdir(parents=True, exist_ok=True)
    reader = open_reader(args.reader, threads=1)
    readings = Readings(reader, out / "readings.sqlite")
    model = resolve_model(DEFAULT_MODEL)
    taught = reader.taught if isinstance(reader, StyledReader) else None
    space = Space.build(model.name, model.grid_px, taught=taught)
    texts = [path.read_text() for path in args.texts]
    unseen = [path.read_text() for path in args.held_out]

    def fitness_on(sources: Sequence[str], size: SetSize, seed: int) -> Fitness:
        validation = questions_from_texts(sources, size=size, seed=seed)
        return Fitness(validation, readings, model.name, sees_itself=False)

    judge = fitness_on(unseen, setting.unseen, 999)
    results = Results(out / "results.jsonl")
    for seed in range(seeds):
        fitness = fitness_on(texts, setting.size, seed)
        arena = Arena(args.reader, space, fitness, seed, count, out)
        if not results.has(OVERHEAD):
            results.keep(overhead(arena))
        for name in args.strategies:
            if not results.has(name, seed, count):
                results.keep(run(name, arena, judge, setting.ratios))
    for name in setting.presets if args.presets is None else args.presets:
        if not results.has(name):
            results.keep(preset_row(name, setting, judge))
    print_tables(results.rows, setting.ratios)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("texts", nargs="+", type=Path)
    parser.add_argument("--held-out", nargs="+", type=Path, required=True)
    parser.add_argument("--reader", choices=SETTINGS, default="ocr")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--evaluations", type=int, default=200)
    parser.add_argument("--strategies", nargs="+", default=["random", "nsga2", "searched"])
    parser.add_argument("--quick", action="store_true", help="one seed, 30 evaluations")
    parser.add_argument("--presets", nargs="*", help="those to read; by default the reader's")
    return parser.parse_args()


if __name__ == "__main__":
    main()
