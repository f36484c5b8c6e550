"""Joint training from pixels: the language model reads what the vision tower says.

Both come from their own training, the tower taught the language model's code. Here the code is
no longer given: pages are rendered, the tower encodes them, and one loss trains both. The guides
and probes of `circuit` stay; the distance to the code keeps the tower's language from drifting.

    python -m glyph.train.nano.joint RUN_FOLDER --novels FOLDER --settings joint.toml

Shape key: B pages, H W page pixels, T visual tokens, D hidden width.
"""

# torch declares its types in part only.
# pyright: reportUnknownMemberType=false

import argparse
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from transformers.models.glm4v.modeling_glm4v import Glm4vVisionModel

from glyph.errors import ConfigError
from glyph.readers.nano.spec import NanoStyle, load_spec
from glyph.train.nano.circuit import GuidedReader
from glyph.train.nano.corpus import TextMixture, training_mixture
from glyph.train.nano.distil import code_loss
from glyph.train.nano.language import LanguageTrainer
from glyph.train.nano.oracle import CodeLayout, MonoGrid, OracleCode
from glyph.train.nano.packing import Batch
from glyph.train.nano.pages import render_labelled
from glyph.train.nano.reading import sample_pages
from glyph.train.nano.settings import JointSettings, read_settings
from glyph.train.nano.tasks import TaskPage
from glyph.train.nano.vision import class_of, encode_pages


def task_planes(pages: Sequence[TaskPage], grid: MonoGrid) -> UInt8[np.ndarray, "B H W"]:
    """Return the pixels of task pages, drawn by the package's own renderer."""
    return np.concatenate(
        [
            render_labelled(
                "\n".join(page.lines), grid.style, grid.width_px, grid.height_px, num_pages=1
            ).plane_PHW
            for page in pages
        ]
    )


def tower_of(net: GuidedReader) -> Glm4vVisionModel:
    """Return the vision tower of a reader."""
    tower = net.model.model.visual
    assert isinstance(tower, Glm4vVisionModel)
    return tower


def see(net: GuidedReader, pages: Sequence[TaskPage], grid: MonoGrid) -> Float[Tensor, "B T D"]:
    """Return what the reader's tower says of rendered pages."""
    return encode_pages(tower_of(net), task_planes(pages, grid)).token_BTE


def other_codes(net: GuidedReader, saved: Mapping[str, Tensor]) -> nn.ModuleDict:
    """Return the saved codes of all styles but the reader's own.

    Args:
        net: Reader, whose own code is part of it.
        saved: Code tables by style and name, from a distillation.
    """
    spec = load_spec()
    names = sorted({key.partition(".")[0] for key in saved} - {net.style.name})
    codes = nn.ModuleDict(
        {
            name: OracleCode(CodeLayout(net.layout.hidden, spec.style(name).num_slots))
            for name in names
        }
    )
    own = f"{net.style.name}."
    codes.load_state_dict({k: v for k, v in saved.items() if not k.startswith(own)})
    return codes


class JointTrainer(LanguageTrainer):
    """Trains tower and language model together; saves and continues as its base does."""

    settings: JointSettings

    def __init__(self, settings: JointSettings, text: TextMixture, folder: Path):
        if not settings.start or not settings.vision:
            raise ConfigError(
                "joint training starts from two checkpoints; name `start` (language model) and "
                "`vision` (tower) in the settings."
            )
        self._text = text
        super().__init__(settings, text, folder)

    def _first_weights(self) -> None:
        super()._first_weights()
        state = torch.load(self.settings.vision, weights_only=True)
        tower_of(self.net).load_state_dict(state["tower"])
        self.codes = other_codes(self.net, state.get("codes", {}))

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Return the language model, its codes and probes, and the tower at its own rate."""
        tower = list(tower_of(self.net).parameters())
        return [
            *super().parameter_groups(),
            {"params": tower, "share": self.settings.tower_rate_share},
        ]

    def losses(
        self, pages: Sequence[TaskPage], grid: MonoGrid, batch: Batch
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Return the parts of the loss from pixels, and where the next id was right."""
        token_BTD = see(self.net, pages, grid)
        parts, right_BL = self.net.losses(batch, token_BTD)
        slots = batch.slot_BRCK
        classes = class_of(slots.numpy().astype(np.uint8)).flatten(1, 2)
        distance, code = code_loss(self.net.codes, token_BTD, slots, classes)
        if self.settings.keep_styles:
            more = self._kept_losses(grid)
            distance, code = (distance + more[0]) / 2, (code + more[1]) / 2
        return {
            **parts,
            "distance": self.settings.distance_weight * distance,
            "code": self.settings.code_weight * code,
        }, right_BL

    def _kept_losses(self, grid: MonoGrid) -> tuple[Tensor, Tensor]:
        names = self.settings.keep_styles
        style = load_spec().style(names[int(self.rng.integers(len(names)))])
        count = max(self.settings.keep_tokens // grid.num_tokens, 1)
        size_px = grid.width_px, grid.height_px
        pages = sample_pages(self._text, self.rng, style, size_px, count)
        slots = torch.from_numpy(pages.slot_PRCK.astype(np.int64))
        token_BTD = encode_pages(tower_of(self.net), pages.plane_PHW).token_BTE
        classes = class_of(pages.slot_PRCK).flatten(1, 2)
        return code_loss(self._codes_of(style), token_BTD, slots, classes)

    def _codes_of(self, style: NanoStyle) -> OracleCode:
        if style.name == self.settings.style:
            return self.net.codes
        found = self.codes[style.name]
        assert isinstance(found, OracleCode)
        return found

    def state(self) -> dict[str, Any]:
        """Return all that a checkpoint holds."""
        return {
            **super().state(),
            "tower": tower_of(self.net).state_dict(),
            "codes": self.codes.state_dict(),
        }

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Go on from what a checkpoint holds."""
        super().restore(saved)
        tower_of(self.net).load_state_dict(saved["tower"])
        self.codes.load_state_dict(saved["codes"])


def main() -> None:
    """Run or continue a joint training from the command line."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--novels", type=Path)
    parser.add_argument("--settings", type=Path, required=True)
    parser.add_argument("--start", default="")
    parser.add_argument("--vision", default="")
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    settings = read_settings(given.settings, JointSettings)
    named = {"start": given.start, "vision": given.vision}
    settings = dataclasses.replace(settings, **{k: v for k, v in named.items() if v})
    trainer = JointTrainer(settings, training_mixture(given.novels), given.folder)
    trainer.run(hours=given.hours, save_every=100)


if __name__ == "__main__":
    main()
