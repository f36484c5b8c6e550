"""Train the vision tower to name every character of a page; resumable to the same curve.

Batches are a function of seed and step alone, so a run that is stopped and resumed sees the same
pages and gives the same weights. A run folder holds `vision.pt` (latest), `vision-best.pt` (lowest
held-out character error), `metrics.jsonl` and, if a loss was not finite, `bad-batch.pt`.

    python -m glyph.train.nano.vision_training --novels DIR --books DIR --out DIR --styles A --steps 3000
"""  # noqa: E501

# The types of torch are partly unknown to the checker.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnnecessaryComparison=false

import argparse
import dataclasses
import json
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from torch import nn
from transformers.models.glm4v.modeling_glm4v import Glm4vVisionModel

from glyph.errors import ConfigError, GlyphError
from glyph.readers.nano.spec import CELL_PX, NanoSpec, load_spec
from glyph.train.nano.corpus import TextMixture, training_mixture
from glyph.train.nano.pages import LabelledPages
from glyph.train.nano.reading import (
    CharacterErrors,
    HeldOut,
    character_errors,
    held_out_pages,
    sample_pages,
)
from glyph.train.nano.vision import (
    CharHeads,
    build_tower,
    class_of,
    encode_pages,
    initialise,
)

BLOCK_STEPS = 32
"""Steps whose pages are rendered together."""

MERGER_RATE_SHARE = 0.3
"""The merger begins as a wide near-identity; at the full rate, noise drowns it."""

TYPICAL_SIZE_PX, TYPICAL_PAGES = (168, 112), 64


class TrainingError(GlyphError):
    """A training run cannot go on."""


@dataclass(frozen=True, kw_only=True)
class VisionRecipe:
    """What decides a run; two runs of one recipe give the same weights on one machine.

    Attributes:
        styles: Names of page styles, drawn evenly.
        steps: Length of the learning-rate schedule.
        seed: Of weights and pages.
        tokens_per_step: Visual tokens of a batch, at most (but at least one page).
        max_page_tokens: Largest page of the specification's sizes that is used.
        page_sizes_px: Widths and heights to use instead of the specification's, drawn evenly.
        learning_rate: After warm-up.
        warmup_steps: Linear warm-up.
        decay_share: Last part of the steps, in which the rate falls to nearly zero as a cosine.
        random_share: Share of random strings in the text.
    """

    styles: tuple[str, ...] = ("A",)
    steps: int = 3000
    seed: int = 0
    tokens_per_step: int = 144
    max_page_tokens: int = 192
    page_sizes_px: tuple[tuple[int, int], ...] = ()
    learning_rate: float = 2e-3
    warmup_steps: int = 60
    decay_share: float = 0.6
    random_share: float = 0.35

    def rate(self, step: int) -> float:
        """Return the learning rate of a step, from 0."""
        decay_start = self.steps * (1 - self.decay_share)
        progress = max(step - decay_start, 0) / max(self.steps - decay_start, 1)
        shape = 0.02 + 0.98 * (0.5 + 0.5 * math.cos(math.pi * min(progress, 1)))
        return self.learning_rate * min(1.0, (step + 1) / self.warmup_steps) * shape


# -- pages -----------------------------------------------------------------------------------


class PageBatches:
    """The batches of a run, by step number.

    Args:
        recipe: Styles, sizes, seed.
        mixture: Text.
        spec: Styles and page sizes.
    """

    def __init__(self, recipe: VisionRecipe, mixture: TextMixture, spec: NanoSpec):
        self._recipe = recipe
        self._mixture = mixture
        self._styles = [spec.style(name) for name in recipe.styles]
        self._sizes = [
            (width, height)
            for width, height in recipe.page_sizes_px or spec.page_sizes_px
            if width * height <= recipe.max_page_tokens * CELL_PX**2
        ]
        if not self._sizes or not self._styles:
            raise ConfigError(
                f"no page size has {recipe.max_page_tokens} visual tokens or fewer, or no style "
                "is named; raise max_page_tokens or name a style."
            )
        self._block = -1
        self._batches: list[LabelledPages] = []

    def batch(self, step: int) -> LabelledPages:
        """Return the pages of a step; the same for every run of the recipe."""
        block, index = divmod(step, BLOCK_STEPS)
        if block != self._block:
            self._batches = self._render_block(block)
            self._block = block
        return self._batches[index]

    def _render_block(self, block: int) -> list[LabelledPages]:
        rng = np.random.default_rng([self._recipe.seed, block])
        kinds = [
            (int(rng.integers(len(self._styles))), int(rng.integers(len(self._sizes))))
            for _ in range(BLOCK_STEPS)
        ]
        counts = [
            max(self._recipe.tokens_per_step * CELL_PX**2 // (width * height), 1)
            for width, height in self._sizes
        ]
        rendered: dict[tuple[int, int], Iterator[LabelledPages]] = {}
        for kind in sorted(set(kinds)):
            style, size = kind
            num_pages = counts[size] * kinds.count(kind)
            pages = sample_pages(
                self._mixture, rng, self._styles[style], self._sizes[size], num_pages
            )
            rendered[kind] = _split(pages, rng, counts[size])
        return [next(rendered[kind]) for kind in kinds]


def _split(
    pages: LabelledPages, rng: np.random.Generator, batch_pages: int
) -> Iterator[LabelledPages]:
    order = rng.permutation(len(pages.plane_PHW))
    for start in range(0, len(order), batch_pages):
        part = order[start : start + batch_pages]
        yield LabelledPages(pages.style, pages.plane_PHW[part], pages.slot_PRCK[part])


# -- run -------------------------------------------------------------------------------------


class VisionRun:
    """One training run in a folder.

    Args:
        recipe: What to train.
        mixture: Training text.
        folder: Where checkpoints and metrics go; a checkpoint there is resumed.
        start: Checkpoint of another run to take weights from, for a new style or page size.
    """

    def __init__(
        self, recipe: VisionRecipe, mixture: TextMixture, folder: Path, start: Path | None = None
    ):
        spec = load_spec()
        self.recipe = recipe
        self.folder = folder
        self.step = 0
        self.best = math.inf
        self._mixture = mixture
        self._batches = PageBatches(recipe, mixture, spec)
        torch.manual_seed(recipe.seed)
        self.tower = build_tower(spec)
        self.heads = nn.ModuleDict(
            {name: CharHeads(spec, spec.style(name)) for name in recipe.styles}
        )
        self._parameters = [*self.tower.parameters(), *self.heads.parameters()]
        self._optimizer = torch.optim.AdamW(
            parameter_groups(self.tower, self._parameters), betas=(0.9, 0.98), weight_decay=0.01
        )
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / "vision.pt").exists():
            self.load(folder / "vision.pt")
        elif start is not None:
            self._start_from(start)
        else:
            initialise(self.tower, self._typical_pages(), recipe.seed)

    def _start_from(self, path: Path) -> None:
        state = torch.load(path, weights_only=True)
        self.tower.load_state_dict(state["tower"])
        known = self.heads.state_dict()
        self.heads.load_state_dict(
            {**known, **{key: value for key, value in state["heads"].items() if key in known}}
        )

    def _typical_pages(self) -> UInt8[np.ndarray, "B H W"]:
        recipe, spec = self.recipe, load_spec()
        rng = np.random.default_rng([recipe.seed, 1 << 32])
        return np.concatenate(
            [
                sample_pages(
                    self._mixture, rng, spec.style(name), TYPICAL_SIZE_PX, TYPICAL_PAGES
                ).plane_PHW
                for name in recipe.styles
            ]
        )

    def head(self, style: str) -> CharHeads:
        """Return the character heads of a style."""
        found = self.heads[style]
        assert isinstance(found, CharHeads)
        return found

    def train(
        self,
        *,
        held_out: list[HeldOut],
        seconds: float = math.inf,
        stop_step: int | None = None,
        eval_every: int = 250,
    ) -> None:
        """Train until the schedule's end, a step, or the time is up; then save.

        Raises:
            TrainingError: A loss is not finite; the batch is saved.
        """
        last = min(self.recipe.steps, self.recipe.steps if stop_step is None else stop_step)
        began = time.monotonic()
        sums = {"token": 0.0, "patch": 0.0, "visual_tokens": 0.0, "chars": 0.0}
        count = 0
        while self.step < last and time.monotonic() - began < seconds:
            for key, value in self._update().items():
                sums[key] += value
            count += 1
            if self.step % eval_every == 0 or self.step == last:
                self._report(sums, count, held_out, time.monotonic() - began)
                sums, count = dict.fromkeys(sums, 0.0), 0
        self.save(self.folder / "vision.pt")

    def _update(self) -> dict[str, float]:
        pages = self._batches.batch(self.step)
        classes = class_of(pages.slot_PRCK).flatten(1, 2)
        encoded = encode_pages(self.tower, pages.plane_PHW)
        token, patch = self.head(pages.style.name).losses(encoded, classes)
        loss = token + patch
        if not bool(torch.isfinite(loss)):
            self._save_bad(pages)
        for group in self._optimizer.param_groups:
            group["lr"] = self.recipe.rate(self.step) * group["share"]
        self._optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self._parameters, 1.0)
        self._optimizer.step()
        self.step += 1
        return {
            "token": token.item(),
            "patch": patch.item(),
            "visual_tokens": float(classes.shape[0] * classes.shape[1]),
            "chars": float((classes > 0).sum()),
        }

    def _save_bad(self, pages: LabelledPages) -> None:
        path = self.folder / "bad-batch.pt"
        torch.save({"step": self.step, "plane": pages.plane_PHW, "slot": pages.slot_PRCK}, path)
        raise TrainingError(
            f"the loss of step {self.step} is not finite; its pages are in {path}. "
            "Resume from the last checkpoint with a lower learning rate."
        )

    def _report(
        self, sums: dict[str, float], count: int, held_out: list[HeldOut], seconds: float
    ) -> None:
        rates = self.evaluate(held_out)
        row: dict[str, Any] = {
            "step": self.step,
            "seconds": round(seconds, 1),
            "rate": self.recipe.rate(self.step - 1),
            "token_loss": round(sums["token"] / count, 4),
            "patch_loss": round(sums["patch"] / count, 4),
            "visual_tokens": int(sums["visual_tokens"]),
            "chars": int(sums["chars"]),
            "character_error": {k: round(v.rate, 5) for k, v in rates.items()},
        }
        with (self.folder / "metrics.jsonl").open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(json.dumps(row), flush=True)
        if rates:
            mean = sum(v.rate for v in rates.values()) / len(rates)
            if mean < self.best:
                self.best = mean
                self.save(self.folder / "vision-best.pt")
        self.save(self.folder / "vision.pt")

    def evaluate(self, held_out: list[HeldOut]) -> dict[str, CharacterErrors]:
        """Return the character errors of the token head on each set of held-out pages."""
        return {
            part.name: character_errors(self.tower, self.head(part.pages.style.name), part.pages)
            for part in held_out
        }

    def save(self, path: Path) -> None:
        """Write a checkpoint; an interrupted write never replaces a good one."""
        state = {
            "recipe": dataclasses.asdict(self.recipe),
            "step": self.step,
            "best": self.best,
            "tower": self.tower.state_dict(),
            "heads": self.heads.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "torch_rng": torch.get_rng_state(),
        }
        partial = path.with_suffix(".partial")
        torch.save(state, partial)
        partial.replace(path)

    def load(self, path: Path) -> None:
        """Go on from a checkpoint of the same recipe.

        Raises:
            ConfigError: The checkpoint is of another recipe.
        """
        state = torch.load(path, weights_only=True)
        recipe = {**state["recipe"], "styles": tuple(state["recipe"]["styles"])}
        if recipe != dataclasses.asdict(self.recipe):
            raise ConfigError(
                f"{path} was made with {recipe}, not with {dataclasses.asdict(self.recipe)}; "
                "use the same recipe or another folder."
            )
        self.tower.load_state_dict(state["tower"])
        self.heads.load_state_dict(state["heads"])
        self._optimizer.load_state_dict(state["optimizer"])
        torch.set_rng_state(state["torch_rng"])
        self.step, self.best = state["step"], state["best"]


def parameter_groups(
    tower: Glm4vVisionModel, parameters: list[nn.Parameter]
) -> list[dict[str, Any]]:
    """Return optimiser groups: the merger learns at a share of the rate of the rest."""
    merging = [*tower.downsample.parameters(), *tower.merger.parameters()]
    known = {id(parameter) for parameter in merging}
    return [
        {"params": [p for p in parameters if id(p) not in known], "share": 1.0},
        {"params": merging, "share": MERGER_RATE_SHARE},
    ]


def main(arguments: list[str] | None = None) -> None:
    """Train from the command line."""
    parser = argparse.ArgumentParser(description="Train the vision tower of the nano reader.")
    parser.add_argument("folder", type=Path, help="run folder")
    parser.add_argument("--novels", type=Path, help="folder of training novels")
    parser.add_argument("--books", type=Path, help="folder of held-out books")
    parser.add_argument("--styles", default="A", help="comma-separated style names")
    parser.add_argument("--steps", type=int, default=3000, help="length of the schedule")
    parser.add_argument("--hours", type=float, default=math.inf, help="stop after this time")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--tokens-per-step", type=int, default=144)
    parser.add_argument("--eval-every", type=int, default=250)
    parser.add_argument("--eval-pages", type=int, default=12)
    parser.add_argument("--start", type=Path, help="checkpoint of another run to begin with")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    recipe = VisionRecipe(
        styles=tuple(given.styles.split(",")),
        steps=given.steps,
        seed=given.seed,
        learning_rate=given.learning_rate,
        tokens_per_step=given.tokens_per_step,
    )
    mixture = training_mixture(given.novels, random_share=recipe.random_share)
    run = VisionRun(recipe, mixture, given.folder, given.start)
    held_out: list[HeldOut] = []
    if given.books:
        held_out = held_out_pages(given.books, recipe.styles, (168, 112), given.eval_pages, seed=0)
    run.train(held_out=held_out, seconds=given.hours * 3600, eval_every=given.eval_every)


if __name__ == "__main__":
    main()
