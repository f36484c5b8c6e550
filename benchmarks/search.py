"""Searched against random, plain NSGA-II and manual: hypervolume, and accuracy on unseen texts.

    python benchmarks/search.py TEXT... --held-out TEXT... [--seeds 5] [--evaluations 200] [--quick]

    python benchmarks/search.py TEXT... --held-out TEXT... [--seeds 5] [--evaluations 200]
reader. A seed draws another validation set and other random choices. What the reader said is kept
in the folder, so that a stopped run continues where it was and strategies share equal pages.

| strategy | |
|---|---|
| random | draws from the training distribution |
| nsga2 | Optuna's NSGAIISampler with its defaults over the same genes |
| unseeded | ours without presets to begin with |
| plain | ours with crossover, mutation and immigrants alone, unseeded, first offspring read |
| searched | ours |
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import optuna
from optuna.samplers import NSGAIISampler

from glyph.api import DEFAULT_MODEL
from glyph.config import RenderConfig
from glyph.errors import ConfigError
from glyph.presets import load_preset
from glyph.readers import open_reader
from glyph.search.fitness import Fitness, Rival
from glyph.search.loop import Budget, Search, Tactics
from glyph.search.operators import PLAIN
from glyph.search.pareto import Point, front_indices, hypervolume
from glyph.search.readings import Readings
from glyph.search.space import Space
from glyph.search.study import Identity, SearchStudy, distributions_of, open_storage
from glyph.search.validation import SetSize, questions_from_texts

RATIOS = (4.0, 6.0, 8.0)
MANUAL = "glyph-en-72"
Found = list[tuple[RenderConfig, Point, bool]]
"""Each candidate with its point, and whether it was read to the end."""

TACTICS = {
    "searched": Tactics(),
    "unseeded": Tactics(with_seeds=False),
    "plain": Tactics(with_seeds=False, pool=1, operators=PLAIN),
}


def evaluated(fitness: Fitness, configs: Callable[[int], RenderConfig], count: int) -> Found:
    """Measure configs that do not depend on results."""
    found: Found = []
    rivals: list[Rival] = []
    for number in range(count):
        config = configs(number)
        price = fitness.price(config)
        measured = fitness.measure(config, price, rivals)
        found.append((config, (measured.accuracy, price.ratio), measured.is_full))
        if measured.is_full:
            rivals.append(Rival(price.ratio, measured.scores))
    return found


def run_random(space: Space, fitness: Fitness, seed: int, count: int, folder: Path) -> Found:
    rng = np.random.default_rng([seed, 1])
    return evaluated(fitness, lambda number: space.sample(rng), count)


def run_nsga2(space: Space, fitness: Fitness, seed: int, count: int, folder: Path) -> Found:
    study = optuna.create_study(
        directions=["maximize", "maximize"], sampler=NSGAIISampler(seed=seed)
    )
    distributions = distributions_of(space)
    found: Found = []
    rivals: list[Rival] = []
    for _ in range(count):
        trial = study.ask(distributions)
        try:
            config = space.repair(trial.params)
            price = fitness.price(config)
        except ConfigError:  # what no rule mends is worth nothing
            found.append((RenderConfig(), (0.0, 0.0), False))
            study.tell(trial, [0.0, 0.0])
            continue
        measured = fitness.measure(config, price, rivals)
        study.tell(trial, [measured.accuracy, price.ratio])
        found.append((config, (measured.accuracy, price.ratio), measured.is_full))
        if measured.is_full:
            rivals.append(Rival(price.ratio, measured.scores))
    return found


def run_ours(
    name: str, space: Space, fitness: Fitness, seed: int, count: int, folder: Path
) -> Found:
    place = folder / f"{name}-{seed}"
    identity = Identity(space.digest, fitness.validation.digest, "ocr", space.model)
    study = SearchStudy(open_storage(place), space, identity, str(place))
    search = Search(study, space, fitness, seed=seed, tactics=TACTICS[name])
    for _ in search.run(Budget(evaluations=count, patience=None)):
        pass
    return [(r.config, r.point, r.measured.is_full) for r in study.records()[:count]]


def volume(found: Found) -> float:
    return hypervolume([point for _, point, is_full in found if is_full])


def at_ratio(found: Found, ratio: float) -> RenderConfig | None:
    """Return the front's most accurate config of at least this ratio."""
    full = [(config, point) for config, point, is_full in found if is_full]
    points = [point for _, point in full]
    fitting = [full[i] for i in front_indices(points) if points[i][1] >= ratio]
    return max(fitting, key=lambda item: item[1], default=(None, None))[0]


def manual_at(fitness: Fitness, ratio: float) -> RenderConfig | None:
    """Return the paper's preset with dpi lowered, its own knob, until it compresses this much."""
    preset = load_preset(MANUAL)
    for dpi in range(144, 32, -1):
        try:
            config = preset.replace(dpi=dpi)
        except ConfigError:
            return None
        if fitness.price(config).ratio >= ratio:
            return config
    return None


def overhead(space: Space, fitness: Fitness, count: int = 40) -> dict[str, float]:
    """Return candidates a second without the reader: pricing, rendering, a claim, a record."""
    rng = np.random.default_rng(0)
    begin = time.perf_counter()
    for _ in range(count):
        config = space.sample(rng)
        price = fitness.price(config)
        for passage in fitness.validation.passages:
            fitness.pages(passage, config, price)
    seconds = time.perf_counter() - begin
    return {"candidates": count, "per_second": count / seconds}


def summary(values: Sequence[float]) -> str:
    if not values:
        return "-"
    middle = statistics.median(values)
    return f"{middle:.3f} [{min(values):.3f}, {max(values):.3f}]"


def print_tables(results: list[dict[str, object]]) -> None:
    names = list(dict.fromkeys(str(row["strategy"]) for row in results if "volume" in row))
    volumes = {
        name: [
            float(str(r["volume"])) for r in results if r.get("strategy") == name and "volume" in r
        ]
        for name in names
    }
    print("\n| strategy | hypervolume, median [min, max] | n | over nsga2 | over random |")
    print("|---|--:|--:|--:|--:|")
    for name in names:
        gains = []
        for other in ("nsga2", "random"):
            base = volumes.get(other)
            mine = statistics.median(volumes[name])
            gains.append(f"{mine / statistics.median(base) - 1:+.1%}" if base else "-")
        print(f"| {name} | {summary(volumes[name])} | {len(volumes[name])} | {' | '.join(gains)} |")
    print("\n| unseen texts, ratio at least | " + " | ".join(map(str, RATIOS)) + " |")
    print("|---|" + "--:|" * len(RATIOS))
    for name in [*names, "manual"]:
        cells = []
        for ratio in RATIOS:
            found = [r for r in results if r.get("strategy") == name and r.get("at") == ratio]
            values = [float(str(r["accuracy"])) for r in found]
            cells.append(f"{summary(values)} n={len(values)}")
        print(f"| {name} | {' | '.join(cells)} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("texts", nargs="+", type=Path)
    parser.add_argument("--held-out", nargs="+", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("runs/search-benchmark"))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--evaluations", type=int, default=200)
    parser.add_argument("--strategies", nargs="+", default=["random", "nsga2", "searched"])
    parser.add_argument("--quick", action="store_true", help="one seed, 30 evaluations")
    args = parser.parse_args()
    seeds, count = (1, 30) if args.quick else (args.seeds, args.evaluations)
    args.out.mkdir(parents=True, exist_ok=True)
    readings = Readings(open_reader("ocr", threads=1), args.out / "readings.sqlite")
    space = Space.build(DEFAULT_MODEL, 28)
    texts = [path.read_text() for path in args.texts]
    unseen = [path.read_text() for path in args.held_out]
    held_out = questions_from_texts(unseen, size=SetSize(12, 240), seed=999)
    judge = Fitness(held_out, readings, DEFAULT_MODEL, sees_itself=False)
    results: list[dict[str, object]] = []
    log = args.out / "results.jsonl"
    log.write_text("")

    def keep(row: dict[str, object]) -> None:
        results.append(row)
        with log.open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(json.dumps(row), flush=True)

    for seed in range(seeds):
        validation = questions_from_texts(texts, size=SetSize(3, 200), seed=seed)
        fitness = Fitness(validation, readings, DEFAULT_MODEL, sees_itself=False)
        if seed == 0:
            keep({"overhead": overhead(space, fitness)})
        for name in args.strategies:
            begin = time.perf_counter()
            if name in TACTICS:
                found = run_ours(name, space, fitness, seed, count, args.out)
            else:
                run = {"random": run_random, "nsga2": run_nsga2}[name]
                found = run(space, fitness, seed, count, args.out)
            curve = [round(volume(found[:n]), 3) for n in range(10, count + 1, 10)]
            keep({
                "strategy": name, "seed": seed, "volume": volume(found), "evaluations": count,
                "curve": curve, "seconds": round(time.perf_counter() - begin, 1),
            })  # fmt: skip
            for ratio in RATIOS:
                config = at_ratio(found, ratio)
                if config is not None:
                    measured = judge.measure(config, judge.price(config))
                    keep({
                        "strategy": name, "seed": seed, "at": ratio, "accuracy": measured.accuracy,
                        "ratio": measured.price.ratio,
                    })  # fmt: skip
    for ratio in RATIOS:
        config = manual_at(judge, ratio)
        if config is not None:
            measured = judge.measure(config, judge.price(config))
            keep({"strategy": "manual", "at": ratio, "accuracy": measured.accuracy})
    print_tables(results)


if __name__ == "__main__":
    main()
