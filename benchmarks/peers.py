"""Glyph beside its peers: `python benchmarks/peers.py [--install] [--fresh] [--json]`.

Every peer runs in an environment of its own (`--envs`; `--install` makes them) and is skipped when
it is not there. Price, speed, reading, coverage and what appending changes are measured on prose,
source code and a log; each result is written at once, so that a stopped run goes on. The reader is
PP-OCR (extra `[ocr]`), which is no vision-language model: its errors compare pages, not models.
"""

import argparse
import json
import os
import statistics
import sys
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import peer_measures as measures
from glyph import load_preset, open_reader
from peer_renderers import (
    DEFAULT_ENVS,
    PEERS,
    Local,
    Piped,
    glyph_renderer,
    preset_renderer,
    usual_pipeline,
)
from speed import pin_to_one_core

RESULTS = Path(__file__).parent / "results" / "peers.json"
MODELS = ("claude-sonnet-4.6", "gpt-5.4", "glm-4.1v", "qwen3-vl")
READ_BY = "claude-sonnet-4.6"
KINDS = {"prose": measures.prose, "code": measures.source_code, "log": measures.log}
PRESETS_28 = ("aligned-28", "aligned-28-flow", "aligned-28-dense", "aligned-28-flow-dense", "code")
PRESETS_32 = ("aligned-32", "aligned-32-flow", "code-32")
EQUAL_BASE = "aligned-28-flow-dense"
SLOW = "abstractcore"
LEAST_EQUAL = 3.0
"""Ratio from which Glyph is also read at a peer's own ratio."""

Renderer = Local | Piped


class Journal:
    """Results by name on disk, each written once."""

    def __init__(self, path: Path, *, fresh: bool):
        self.path = path
        self.results: dict[str, dict] = {}
        if path.exists() and not fresh:
            self.results = json.loads(path.read_text("utf-8"))["results"]

    def once(self, key: str, work: Callable[[], dict]) -> dict:
        """Return a result of an earlier run, or measure and keep it."""
        if key not in self.results:
            print(f"  {key}", file=sys.stderr, flush=True)
            self.results[key] = work()
            aside = self.path.with_suffix(".part")
            head = {"date": f"{date.today()}", "python": sys.version.split()[0]}
            aside.write_text(json.dumps({**head, "results": self.results}, indent=1) + "\n")
            aside.replace(self.path)
        return self.results[key]


def pages_for(model: str, others: list[Renderer]) -> Iterator[Renderer]:
    """Yield the renderers whose pages a model is sent: Glyph's presets of its grid, and peers."""
    is_28 = model in ("claude-sonnet-4.6", "glm-4.1v")
    yield from map(preset_renderer, PRESETS_28 if is_28 else PRESETS_32)
    yield from others


def at_ratio(ratio: float, text: str) -> Renderer:
    """Return Glyph at the highest dpi whose ratio on this text is no lower than a peer's."""
    config = load_preset(EQUAL_BASE)
    for dpi in range(110, 40, -1):
        found = glyph_renderer(f"Glyph {EQUAL_BASE} --dpi {dpi}", config.replace(dpi=dpi))
        if measures.price(found.render(text), text, READ_BY)["ratio"] >= ratio:
            return found
    raise SystemExit(f"no dpi of {EQUAL_BASE} reaches a ratio of {ratio}")


def measure_prices(
    journal: Journal, others: list[Renderer], chars: int, models: tuple[str, ...]
) -> None:
    for kind, source in KINDS.items():
        text, _ = source(chars)
        for model in models:
            for renderer in pages_for(model, others):
                journal.once(
                    f"price/{kind}/{model}/{renderer.name}",
                    lambda r=renderer, m=model, k=kind, t=text: measures.price(
                        r.render(t, m, k), t, m
                    ),
                )


def timed(renderer: Renderer, text: str, kind: str, runs: int) -> dict:
    seconds = renderer.render(text, READ_BY, kind, runs).seconds
    median = statistics.median(seconds)
    return {
        "chars": len(text),
        "seconds": round(median, 4),
        "chars_per_s": round(len(text) / median),
    }


def measure_speed(journal: Journal, renderers: list[Renderer], chars: int, runs: int) -> None:
    for kind, source in KINDS.items():
        text, _ = source(chars)
        for renderer in renderers:
            journal.once(
                f"speed/{kind}/{renderer.name}",
                lambda r=renderer, k=kind, t=text: timed(r, t, k, runs),
            )


def measure_reading(journal: Journal, renderers: list[Renderer]) -> None:
    words, _ = measures.texts.without_newlines(120_000)
    reader = open_reader("ocr", threads=1)
    texts_of = {"strings": measures.random_strings(120_000), "prose": words}
    for renderer in renderers:
        for kind, text in texts_of.items():
            journal.once(
                f"reading/{kind}/{renderer.name}",
                lambda r=renderer, t=text: measures.reading(reader, r, t, READ_BY),
            )


def measure_the_rest(journal: Journal, renderers: list[Renderer], chars: int) -> None:
    text, _ = measures.prose(chars + 2_000)
    for renderer in renderers:
        samples = 40 if SLOW in renderer.name else 200
        journal.once(
            f"append/{renderer.name}",
            lambda r=renderer: measures.appending(r, text[:chars], text[chars:]),
        )
        journal.once(
            f"traces/{renderer.name}",
            lambda r=renderer, n=samples: measures.traces(r, text[:12_000], n),
        )
        journal.once(f"coverage/{renderer.name}", lambda r=renderer: measures.coverage(r))


def table(results: dict[str, dict], section: str, columns: tuple[str, ...]) -> None:
    """Print one section as lines of a Markdown table."""
    print(f"\n| {section} | " + " | ".join(columns) + " |")
    print("|---" * (len(columns) + 1) + "|")
    for key, values in results.items():
        if key.startswith(section + "/"):
            cells = [str(values.get(column, "")) for column in columns]
            print(f"| {key.removeprefix(section + '/')} | " + " | ".join(cells) + " |")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--envs", type=Path, default=DEFAULT_ENVS, help="folder of environments")
    parser.add_argument("--install", action="store_true", help="make the environments first")
    parser.add_argument("--chars", type=int, default=40_000, help="length of each text")
    parser.add_argument("--runs", type=int, default=3, help="timed runs")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where results are kept")
    parser.add_argument("--fresh", action="store_true", help="measure all again")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    return parser.parse_args()


def main() -> None:
    arguments = parse()
    for recipe in PEERS if arguments.install else ():
        recipe.install(arguments.envs)
    pin_to_one_core()
    os.environ["OMP_NUM_THREADS"] = "1"
    peers = [peer for recipe in PEERS if (peer := recipe.open(arguments.envs))]
    others: list[Renderer] = [*peers, *filter(None, [usual_pipeline()])]
    journal = Journal(arguments.results, fresh=arguments.fresh)
    ours = [preset_renderer(preset) for preset in PRESETS_28]
    measure_prices(journal, others, arguments.chars, (READ_BY,))
    text, _ = measures.prose(arguments.chars)
    names = [key for key in journal.results if key.startswith(f"price/prose/{READ_BY}/")]
    ratios = [journal.results[key]["ratio"] for key in names if "Glyph" not in key]
    ratios = [ratio for ratio in ratios if ratio >= LEAST_EQUAL]
    # Glyph at each peer's own ratio, so that a column of errors compares like with like.
    equal = {found.name: found for ratio in ratios if (found := at_ratio(ratio, text))}
    for found in equal.values():
        journal.once(
            f"price/prose/{READ_BY}/{found.name}",
            lambda r=found: measures.price(r.render(text), text, READ_BY),
        )
    measure_speed(journal, [*ours, *others], arguments.chars, arguments.runs)
    measure_reading(journal, [*equal.values(), *others, *ours[:4]])
    measure_the_rest(journal, [*ours[:2], *others], arguments.chars)
    measure_prices(journal, others, arguments.chars, MODELS)
    for peer in peers:
        peer.close()
    if arguments.json:
        print(json.dumps(journal.results))
        return
    table(
        journal.results, "price", ("ratio", "visual_tokens", "claimed_visual_tokens", "resampled")
    )
    table(journal.results, "speed", ("chars_per_s",))
    table(journal.results, "reading", ("chars", "as_seen", "enlarged_2x"))
    table(journal.results, "append", ("pages", "changed", "bytes_percent"))
    table(journal.results, "traces", ("letters", "no_trace"))
    table(journal.results, "coverage", ("scripts", "spacing_is_visible"))


if __name__ == "__main__":
    main()
