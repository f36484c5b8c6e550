"""Write docs/NANO-CARD.md from what was measured: no figure in it is typed by hand.

python benchmarks/nano.py --json figures.json
python tools/make_nano_card.py --figures figures.json --run benchmarks/results/nano
"""

import argparse
import json
import sys
from pathlib import Path

from glyph.readers.nano.card import read_card
from glyph.readers.nano.reader import packaged_model
from glyph.readers.nano.spec import load_spec

OUT = Path(__file__).parents[1] / "docs" / "NANO-CARD.md"
STAGES = {
    "vision": "the tower names the character in every slot of a visual token",
    "language": "the language model learns look-up and reading on oracle codes, without pixels",
    "distil": "the tower learns to speak the language model's code, in every style",
    "joint": "both learn from pixels",
}
POINTS = 6
HEAD = """# Model card: nano

Written by `tools/make_nano_card.py` from measurements; do not edit.

A vision-language model small enough to come with the package, of the class
`Glm4vForConditionalGeneration`: {parameters:.1f} million parameters, {weights:.1f} MB in half
precision, one vision tower (depth {depth}, width {width}) and one language model ({layers} layers,
width {hidden}, one token a character). It was trained from scratch, on CPU, on pages that this
package rendered. It reads pages of the presets `nano` (style {style}) and `nano-dense` and answers
from their pixels alone.

## What it can do

Held-out text ({books}), three seeds, through the ONNX reader and the real renderer. Intervals are
95 %: Wilson for shares, bootstrap over pages for error rates.

"""
LIMITS = """
## What it cannot do

* Pages of any other font, size or line pitch: it refuses them, because small networks read strange
  pages wrongly and do not notice. Use `--reader ocr`, or a large model by `--reader openai:MODEL`.
* Characters beyond printable ASCII: typographic quotes and dashes are read as ASCII, all others as
  one unknown character.
* Anything that needs understanding. Values of keys are looked up; any other question is answered by
  the words of the page that share most with it.
* Keys inside sentences are not found by the language model, whose keys lead their line; the page as
  read aloud answers those, and the method of an answer says which it was.

## Beside text tokens

The same network on text tokens, one a character, learned the same tasks for 540 of 1,600 steps only
(`benchmarks/results/nano/text-baseline.jsonl`; figures at equal steps are in docs/LOG.md), so there
is no table of both at the end of training.

## Data

Python's documentation and standard library, novels of LitBank's training part (public domain), and
random strings. The books of the tables above were in none of it.

## Licence

Apache-2.0, weights included.
"""


def percent(value: float) -> str:
    """Return a share as people write it, with more digits where it is small."""
    return f"{value:.2%}" if 0 < value < 0.1 else f"{value:.1%}"


def bounds(row: dict) -> str:
    low, high = row["interval"]
    return f"{percent(low)} to {percent(high)}"


def abilities(figures: dict) -> list[str]:
    """Return the tables of what was read and answered."""
    lines = [
        "| preset | read aloud | characters | character errors | interval |",
        "|---|---|---|---|---|",
    ]
    for row in figures["rows"]:
        if "cer" in row:
            what = row["ability"].removeprefix("reading ")
            cells = (row["preset"], what, f"{row['chars']:,}", percent(row["cer"]), bounds(row))
            lines.append(f"| {' | '.join(cells)} |")
    lines += [
        "",
        "| preset | task | pages | n | exact | interval | by the language model | wrong page |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in figures["rows"]:
        if "exact" in row:
            share = percent(row["by_model"]) if "by_model" in row else ""
            cells = (
                row["preset"], row["ability"], str(row["pages"]), str(row["n"]),
                percent(row["exact"]), bounds(row), share, percent(row["wrong_page"]),
            )  # fmt: skip
            lines.append(f"| {' | '.join(cells)} |")
    lines += [
        "",
        "*By the language model*: share of questions where its answer was borne out by the page;",
        "the others were answered from the page read aloud. *Wrong page*: the same questions asked",
        "of another page and answered with the true value all the same.",
    ]
    return lines


def costs(figures: dict) -> list[str]:
    """Return compression and speed."""
    lines = [
        "", "## Compression", "",
        "| preset | characters a visual token | text tokens a visual token | tokenizer |",
        "|---|---|---|---|",
    ]  # fmt: skip
    for row in figures["ratio"]:
        cells = (
            row["preset"], str(row["chars_per_visual_token"]), f"{row['ratio']}x", row["tokenizer"],
        )  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    speed = figures["speed"]
    return [
        *lines, "", "## Speed", "",
        f"{figures['threads']} threads, load average of the machine {speed['load_average']}:", "",
        f"* reading aloud {speed['read_aloud_tokens_per_s']:,} visual tokens a second;",
        f"* a key on {speed['pages']} pages ({speed['visual_tokens']:,} visual tokens) in "
        f"{speed['answer_s']} s warm, {speed['first_answer_s']} s in a fresh process after "
        f"{speed['start_and_render_s']} s of start and rendering;",
        f"* peak memory of that process {speed['peak_rss_mb']} MB.",
    ]  # fmt: skip


def curves(run: Path) -> list[str]:
    """Return the runs that made the weights, with points of their curves.

    Args:
        run: Folder of logs named `N-stage.jsonl`, in the order they were run.
    """
    logs = sorted(path for path in run.glob("*.jsonl") if path.name[0].isdigit())
    rows_of = {path.stem: [json.loads(row) for row in path.open()] for path in logs}
    minutes = {name: seconds_of(rows) / 60 for name, rows in rows_of.items()}
    lines = [
        "",
        "## Training",
        "",
        f"{len(logs)} runs, {sum(minutes.values()):.0f} core-minutes in all, on two CPU cores that "
        "other work shared; logs and settings are in `benchmarks/results/nano`. "
        "`glyph train nano --hours 2.5` runs the same stages in one go.",
        "",
    ]
    for name, rows in rows_of.items():
        about = STAGES[name.partition("-")[2]]
        lines.append(
            f"* **{name}**: {about}; {rows[-1]['step']:,} steps, {minutes[name]:.0f} minutes."
        )
        for row in rows[:: max(len(rows) // POINTS, 1)][:POINTS] + rows[-1:]:
            errors = row.get("character_error")
            if errors:
                shown = ", ".join(f"{key} {percent(rate)}" for key, rate in errors.items())
                lines.append(f"  * step {row['step']:,}: character errors {shown}")
            elif "answer" in row:
                lines.append(f"  * step {row['step']:,}: answer loss {row['answer']:.3f}")
    return lines


def seconds_of(rows: list[dict]) -> float:
    """Return how long a run took; its clock starts anew when it is continued."""
    total = before = 0.0
    for row in rows:
        now = row.get("cpu_s", row.get("seconds", 0.0))
        total += now - before if now >= before else now
        before = now
    return total


def head(figures: dict, model: Path) -> str:
    """Return the first section."""
    spec, card = load_spec(), read_card(model, load_spec())
    size = (model / "model.safetensors").stat().st_size
    return HEAD.format(
        parameters=size / 2e6,
        weights=size / 1e6,
        depth=spec.vision["depth"],
        width=spec.vision["hidden_size"],
        layers=spec.text["num_hidden_layers"],
        hidden=spec.text["hidden_size"],
        style=card.style,
        books="three novels" if figures["held_out"] else "Python's documentation, NOT held out",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--figures", type=Path, required=True, help="by benchmarks/nano.py")
    parser.add_argument("--model", type=Path, help="model folder; default: that of the package")
    parser.add_argument("--run", type=Path, help="folder of training logs, N-stage.jsonl")
    parser.add_argument("--out", type=Path, default=OUT)
    given = parser.parse_args()
    figures = json.loads(given.figures.read_text("utf-8"))
    if figures["quick"]:
        print("warning: figures of a --quick run; too few for a card.", file=sys.stderr)
    lines = [*abilities(figures), *costs(figures)]
    lines += curves(given.run) if given.run else []
    text = head(figures, given.model or packaged_model()) + "\n".join(lines) + "\n" + LIMITS
    given.out.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
