"""The vision tower learns to speak the language model's code.

The language model learned on oracle codes, the tower learned to name characters; here the tower
learns to say each page in that code, so that both can be joined. The start is closed-form: the
last linear map of the merger is the least-squares map from what enters it to the code. Then the
tower is trained on the distance to the code and on naming each slot by the nearest code.

    python -m glyph.train.nano.distil RUN_FOLDER --novels FOLDER --books FOLDER \\
        --vision VISION.pt --language LANGUAGE.pt --steps 2000

Shape key: B pages, T visual tokens, D hidden width, K slots, V classes, I width inside the merger.
"""

# torch declares its types in part only.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

import argparse
import dataclasses
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn
from transformers.models.glm4v.modeling_glm4v import Glm4vVisionModel

from glyph.errors import ConfigError, GlyphError
from glyph.readers.nano.spec import CELL_PX, NUM_SPECIALS, NanoStyle, load_spec
from glyph.train.nano.circuit import GuidedReader, load_reader
from glyph.train.nano.corpus import TextMixture, training_mixture
from glyph.train.nano.oracle import VOCABULARY, CodeLayout, OracleCode
from glyph.train.nano.pages import LabelledPages, read_slots
from glyph.train.nano.reading import (
    CharacterErrors,
    HeldOut,
    edit_distance,
    held_out_pages,
)
from glyph.train.nano.vision import (
    CharHeads,
    class_of,
    encode_pages,
    slot_loss,
    slot_of,
    start_merger,
)
from glyph.train.nano.vision_training import PageBatches, VisionRecipe, parameter_groups

SHARPNESS = 2.0
"""Logits for each unit of squared distance between codes."""

RIDGE = 1e-3


def code_logits(codes: OracleCode, token_BTD: Float[Tensor, "B T D"]) -> Float[Tensor, "B T K V"]:
    """Return how near each slot of each visual token is to each character's code.

    Classes are those of `class_of`: 0 is empty, printable characters from 1.

    Args:
        codes: Code tables; the codes of different slots are nearly orthogonal.
        token_BTD: What the tower says.
    """
    num_slots = codes.layout.num_slots
    table = codes.slot_codes.view(num_slots, VOCABULARY, -1)[:, NUM_SPECIALS:]
    empty = table.new_zeros(num_slots, 1, table.shape[2])
    table_KVD = torch.cat([empty, table], 1).detach()
    likeness = torch.einsum("btd,kvd->btkv", token_BTD, table_KVD)
    return SHARPNESS * (likeness - table_KVD.square().sum(-1) / 2)


def code_loss(
    codes: OracleCode,
    token_BTD: Float[Tensor, "B T D"],
    slot_BRCK: Int[Tensor, "B R C K"],
    class_BTK: Int[Tensor, "B T K"],
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Return the mean squared distance to the code, and the loss of naming slots by it."""
    wanted_BTD = codes(slot_BRCK).detach()
    distance = (token_BTD - wanted_BTD).square().mean()
    return distance, slot_loss(code_logits(codes, token_BTD), class_BTK)


@torch.no_grad()
def fit_code(
    tower: Glm4vVisionModel,
    codes_of: Callable[[NanoStyle], OracleCode],
    batches: Sequence[LabelledPages],
    seed: int = 0,
) -> float:
    """Give the merger the best start onto the code; return the mean squared error that is left.

    The strided convolution becomes the least-squares map from the four patches to the code, the
    merger begins anew as a near-linear map, and its last matrix is fitted in turn.

    Args:
        tower: Trained to name characters.
        codes_of: What to say of pages of a style.
        batches: Pages of 10,000 visual tokens or more.
        seed: Of the merger's free units.
    """
    wanted_ND = torch.cat(
        [
            codes_of(p.style)(torch.from_numpy(p.slot_PRCK.astype(np.int64))).flatten(0, 1)
            for p in batches
        ]
    )
    patch_NP = torch.cat(
        [encode_pages(tower, p.plane_PHW).patch_BND.unflatten(1, (-1, 4)).flatten(2).flatten(0, 1)
         for p in batches]
    )  # fmt: skip
    downsample = tower.downsample
    weight_PD = _least_squares(patch_NP, wanted_ND)
    start_merger(tower, torch.Generator().manual_seed(seed))
    # The convolution lists the four patches last; the product lists them first.
    weight = weight_PD.T.unflatten(1, (2, 2, -1)).permute(0, 3, 1, 2)
    downsample.weight.copy_(weight)
    inside: list[Tensor] = []
    hook = tower.merger.down_proj.register_forward_pre_hook(
        lambda _module, args: inside.append(args[0].flatten(0, -2))
    )
    try:
        for pages in batches:
            encode_pages(tower, pages.plane_PHW)
    finally:
        hook.remove()
    inside_NI = torch.cat(inside)
    weight_ID = _least_squares(inside_NI, wanted_ND)
    tower.merger.down_proj.weight.copy_(weight_ID.T)
    return float((inside_NI @ weight_ID - wanted_ND).square().mean())


def _least_squares(known_NA: Tensor, wanted_NB: Tensor) -> Tensor:
    known, wanted = known_NA.double(), wanted_NB.double()
    gram = known.T @ known
    gram += RIDGE * gram.diagonal().mean() * torch.eye(len(gram), dtype=gram.dtype)
    return torch.linalg.solve(gram, known.T @ wanted).float()


@torch.no_grad()
def code_errors(
    tower: Glm4vVisionModel, codes: OracleCode, pages: LabelledPages, batch_tokens: int = 384
) -> CharacterErrors:
    """Return how well pages are read when every slot is named by the nearest code."""
    height_px, width_px = pages.plane_PHW.shape[1:]
    rows, cols = height_px // CELL_PX, width_px // CELL_PX
    batch = max(batch_tokens // (rows * cols), 1)
    edits = chars = 0
    for start in range(0, len(pages.plane_PHW), batch):
        part = slice(start, start + batch)
        token_BTD = encode_pages(tower, pages.plane_PHW[part]).token_BTE
        slots = slot_of(code_logits(codes, token_BTD).argmax(-1))
        read = slots.reshape(-1, rows, cols, codes.layout.num_slots)
        for slot_RCK, true_RCK in zip(read, pages.slot_PRCK[part], strict=True):
            said, truth = read_slots(slot_RCK, pages.style), read_slots(true_RCK, pages.style)
            for line, true_line in zip(said, truth, strict=True):
                edits += 0 if line == true_line else edit_distance(line, true_line)
                chars += len(true_line)
    return CharacterErrors(edits, chars, len(pages.plane_PHW))


@torch.no_grad()
def place_errors(
    tower: Glm4vVisionModel, codes: OracleCode, plane_BHW: UInt8[np.ndarray, "B H W"]
) -> tuple[float, float]:
    """Return the shares of visual tokens whose row and whose column is named wrong."""
    token_BTD = encode_pages(tower, plane_BHW).token_BTE
    rows, cols = plane_BHW.shape[1] // CELL_PX, plane_BHW.shape[2] // CELL_PX
    errors: list[float] = []
    for table, where, index in (
        (codes.row_codes, codes.layout.rows, torch.arange(rows).repeat_interleave(cols)),
        (codes.col_codes, codes.layout.cols, torch.arange(cols).repeat(rows)),
    ):
        distance = torch.cdist(token_BTD[..., where].flatten(0, 1), table[:, where])
        wrong = distance.argmin(-1) != index.repeat(len(token_BTD))
        errors.append(float(wrong.float().mean()))
    return errors[0], errors[1]


@dataclass(frozen=True, kw_only=True)
class DistilRecipe(VisionRecipe):
    """What decides a run.

    Attributes:
        distance_weight: Weight of the distance to the code.
        code_weight: Weight of naming slots by the nearest code.
        patch_weight: Weight of the patch head.
        fit_tokens: Visual tokens from which the start is fitted.
    """

    learning_rate: float = 1e-3
    random_share: float = 0.5
    distance_weight: float = 2.0
    code_weight: float = 0.5
    patch_weight: float = 0.5
    fit_tokens: int = 16_384


class DistilRun:
    """One run in a folder.

    Args:
        recipe: What to train.
        mixture: Training text.
        folder: Where checkpoints and metrics go; a checkpoint there is resumed.
        vision: Checkpoint of the tower and its heads, or of an earlier distillation.
        language: Checkpoint of the language model, whose code is spoken.
    """

    def __init__(
        self, recipe: DistilRecipe, mixture: TextMixture, folder: Path, vision: Path, language: Path
    ):
        spec = load_spec()
        self.recipe = recipe
        self.folder = folder
        self.step = 0
        self.net: GuidedReader = load_reader(language)
        self.tower: Glm4vVisionModel = self.net.model.model.visual
        torch.manual_seed(recipe.seed)
        self.heads = nn.ModuleDict(
            {name: CharHeads(spec, spec.style(name)) for name in recipe.styles}
        )
        self.codes = nn.ModuleDict(
            {name: self._codes_of(spec.style(name)) for name in recipe.styles}
        )
        self._batches = PageBatches(recipe, mixture, spec)
        state = torch.load(vision, weights_only=True)
        self.tower.load_state_dict(state["tower"])
        self.heads.load_state_dict(state["heads"], strict=False)
        own = f"{self.net.style.name}."
        others = {k: v for k, v in state.get("codes", {}).items() if not k.startswith(own)}
        self.codes.load_state_dict(others, strict=False)
        self._parameters = [
            *self.tower.parameters(),
            *(p for name in recipe.styles for p in self.head(name).patch.parameters()),
        ]
        self._optimizer = torch.optim.AdamW(
            parameter_groups(self.tower, self._parameters), betas=(0.9, 0.98), weight_decay=0.01
        )
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / "distil.pt").exists():
            self._load(folder / "distil.pt")
        elif "codes" not in state:
            num_batches = -(-recipe.fit_tokens // recipe.tokens_per_step)
            fitting = [self._batches.batch(step) for step in range(num_batches)]
            error = fit_code(self.tower, self.codes_of, fitting)
            print(json.dumps({"fit_error": round(error, 4)}), flush=True)

    def _codes_of(self, style: NanoStyle) -> OracleCode:
        """Return the language model's code for its style, a fresh one for others."""
        if style.name == self.net.style.name:
            return self.net.codes
        return OracleCode(CodeLayout(self.net.layout.hidden, style.num_slots))

    def codes_of(self, style: NanoStyle) -> OracleCode:
        """Return the code of a style."""
        found = self.codes[style.name]
        assert isinstance(found, OracleCode)
        return found

    def head(self, name: str) -> CharHeads:
        """Return the character heads of a style."""
        found = self.heads[name]
        assert isinstance(found, CharHeads)
        return found

    def train(
        self, *, held_out: list[HeldOut], seconds: float = math.inf, eval_every: int = 250
    ) -> None:
        """Train until the schedule's end or the time is up; then save.

        Raises:
            GlyphError: A loss is not finite.
        """
        began = time.monotonic()
        sums = {"distance": 0.0, "code": 0.0, "patch": 0.0}
        count = 0
        while self.step < self.recipe.steps and time.monotonic() - began < seconds:
            for key, value in self._update().items():
                sums[key] += value
            count += 1
            if self.step % eval_every == 0 or self.step == self.recipe.steps:
                self._report(sums, count, held_out, time.monotonic() - began)
                sums, count = dict.fromkeys(sums, 0.0), 0
        self.save()

    def _update(self) -> dict[str, float]:
        recipe, pages = self.recipe, self._batches.batch(self.step)
        classes = class_of(pages.slot_PRCK).flatten(1, 2)
        encoded = encode_pages(self.tower, pages.plane_PHW)
        slots = torch.from_numpy(pages.slot_PRCK.astype(np.int64))
        codes = self.codes_of(pages.style)
        distance, code = code_loss(codes, encoded.token_BTE, slots, classes)
        patch = self.head(pages.style.name).patch_loss(encoded, classes)
        loss = (
            recipe.distance_weight * distance
            + recipe.code_weight * code
            + recipe.patch_weight * patch
        )
        if not bool(torch.isfinite(loss)):
            raise GlyphError(
                f"the loss of step {self.step} is not finite; resume from the last checkpoint "
                "with a lower learning rate."
            )
        for group in self._optimizer.param_groups:
            group["lr"] = recipe.rate(self.step) * group["share"]
        self._optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self._parameters, 1.0)
        self._optimizer.step()
        self.step += 1
        return {"distance": distance.item(), "code": code.item(), "patch": patch.item()}

    def _report(
        self, sums: dict[str, float], count: int, held_out: list[HeldOut], seconds: float
    ) -> None:
        row: dict[str, Any] = {
            "step": self.step,
            "seconds": round(seconds, 1),
            "rate": self.recipe.rate(self.step - 1),
            **{key: round(value / count, 4) for key, value in sums.items()},
            "character_error": {
                part.name: round(self._errors(part.pages).rate, 5) for part in held_out
            },
            "place_error": {
                part.name: place_errors(
                    self.tower, self.codes_of(part.pages.style), part.pages.plane_PHW[:4]
                )
                for part in held_out
                if "prose" in part.name
            },
        }
        with (self.folder / "metrics.jsonl").open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(json.dumps(row), flush=True)
        self.save()

    def _errors(self, pages: LabelledPages) -> CharacterErrors:
        return code_errors(self.tower, self.codes_of(pages.style), pages)

    def save(self) -> None:
        """Write a checkpoint; an interrupted write never replaces a good one."""
        state = {
            "recipe": dataclasses.asdict(self.recipe),
            "step": self.step,
            "tower": self.tower.state_dict(),
            "heads": self.heads.state_dict(),
            "codes": self.codes.state_dict(),
            "optimizer": self._optimizer.state_dict(),
        }
        partial = self.folder / "distil.partial"
        torch.save(state, partial)
        partial.replace(self.folder / "distil.pt")

    def _load(self, path: Path) -> None:
        state = torch.load(path, weights_only=True)
        if state["recipe"] != dataclasses.asdict(self.recipe):
            raise ConfigError(
                f"{path} was made with {state['recipe']}; use the same recipe or another folder."
            )
        self.tower.load_state_dict(state["tower"])
        self.heads.load_state_dict(state["heads"])
        self.codes.load_state_dict(state["codes"])
        self._optimizer.load_state_dict(state["optimizer"])
        self.step = state["step"]


def main(arguments: list[str] | None = None) -> None:
    """Train from the command line."""
    parser = argparse.ArgumentParser(description="Teach the vision tower the reader's code.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--novels", type=Path, help="folder of training novels")
    parser.add_argument("--books", type=Path, help="folder of held-out books")
    parser.add_argument("--vision", type=Path, required=True)
    parser.add_argument("--language", type=Path, required=True)
    parser.add_argument("--styles", default="A", help="comma-separated style names")
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--hours", type=float, default=math.inf, help="stop after this time")
    parser.add_argument("--sizes", default="168x112,336x224,336x448", help="page sizes in pixels")
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--tokens-per-step", type=int, default=192)
    parser.add_argument("--eval-every", type=int, default=250)
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    sizes = [tuple(map(int, size.split("x"))) for size in given.sizes.split(",")]
    recipe = DistilRecipe(
        styles=tuple(given.styles.split(",")),
        steps=given.steps,
        seed=given.seed,
        learning_rate=given.learning_rate,
        tokens_per_step=given.tokens_per_step,
        page_sizes_px=tuple((width, height) for width, height in sizes),
    )
    mixture = training_mixture(given.novels, random_share=recipe.random_share)
    run = DistilRun(recipe, mixture, given.folder, given.vision, given.language)
    largest = max(recipe.page_sizes_px, key=lambda size: size[0] * size[1])
    held_out: list[HeldOut] = []
    if given.books:
        held_out = held_out_pages(given.books, recipe.styles, largest, 3, seed=0)
    run.train(held_out=held_out, seconds=given.hours * 3600, eval_every=given.eval_every)


if __name__ == "__main__":
    main()
