"""Lines on the patch grid against lines off it: two vision towers, equal steps, one figure.

    python benchmarks/alignment.py --novels FOLDER --books FOLDER --out runs/alignment

Both towers are the nano reader's, from the same seed, on the same text in the same font; one sees
14 px lines, which fall on rows of 14 px patches, the other 15 px lines, which do not. Writes
`alignment.json` and `alignment.png`.
"""

import argparse
import json
from pathlib import Path

import matplotlib.pyplot as plt
import torch

from glyph.train.nano.corpus import training_mixture
from glyph.train.nano.reading import held_out_pages
from glyph.train.nano.vision_training import VisionRecipe, VisionRun

STYLES = {"A": "14 px lines, on the patch grid", "M": "15 px lines, off the grid"}


def curve(style: str, given: argparse.Namespace) -> list[dict[str, float]]:
    recipe = VisionRecipe(
        styles=(style,), steps=given.steps, tokens_per_step=96, page_sizes_px=((168, 112),)
    )
    folder = given.out / style
    run = VisionRun(recipe, training_mixture(given.novels), folder)
    held_out = held_out_pages(given.books, (style,), (168, 112), 8, seed=0)
    run.train(held_out=held_out, eval_every=given.eval_every)
    rows = [json.loads(row) for row in (folder / "metrics.jsonl").read_text().splitlines()]
    return [
        {"step": row["step"], **{k.split("-")[1]: v for k, v in row["character_error"].items()}}
        for row in rows
    ]


def draw(curves: dict[str, list[dict[str, float]]], path: Path) -> None:
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), sharey=True)
    for axis, text in zip(axes, ("prose", "random"), strict=True):
        for style, rows in curves.items():
            steps = [row["step"] for row in rows]
            axis.plot(steps, [row[text] for row in rows], label=STYLES[style])
        axis.set(title=text, xlabel="step", ylim=(0, 1))
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("character error rate")
    axes[0].legend(frameon=False)
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--novels", type=Path, required=True)
    parser.add_argument("--books", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("runs/alignment"))
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--eval-every", type=int, default=50)
    given = parser.parse_args()
    torch.set_num_threads(1)
    curves = {style: curve(style, given) for style in STYLES}
    (given.out / "alignment.json").write_text(json.dumps(curves, indent=1))
    draw(curves, given.out / "alignment.png")
    print(json.dumps({style: rows[-1] for style, rows in curves.items()}))


if __name__ == "__main__":
    main()
