"""Training of the language model on oracle codes: one command, resumable to the same curve.

    python -m glyph.train.nano.language RUN_FOLDER --novels FOLDER --steps 1500
    python -m glyph.train.nano.language NEXT_FOLDER --novels FOLDER --settings stage.toml \\
        --start RUN_FOLDER/last.pt

A run folder holds `metrics.jsonl` (one line every few steps), `last.pt` (weights, optimiser, all
sources of chance, step), `settings.json`, and after an evaluation `evaluation.jsonl`. Starting
again in the same folder continues at the saved step and gives the curve of an unbroken run.
"""

# torch declares its types in part only.
# pyright: reportUnknownMemberType=false

import argparse
import dataclasses
import json
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from glyph.errors import ConfigError, GlyphError
from glyph.readers.nano.spec import NanoStyle, load_spec
from glyph.train.nano.circuit import GuidedReader, load_checkpoint, load_trained
from glyph.train.nano.corpus import TextMixture, training_mixture
from glyph.train.nano.oracle import MonoGrid
from glyph.train.nano.packing import Batch, pack
from glyph.train.nano.scoring import TRAIN_STREAM, answered, generator
from glyph.train.nano.settings import LanguageSettings, read_settings
from glyph.train.nano.structure import center_queries, structured_init
from glyph.train.nano.tasks import TaskMaker, TaskPage

CENTERING_PAGES = 32


class LanguageTrainer:
    """Trains, saves and continues.

    Args:
        settings: What to do.
        text: Prose between the keys.
        folder: Where checkpoint and metrics go.

    Raises:
        ConfigError: The folder belongs to a run with other settings.
    """

    def __init__(self, settings: LanguageSettings, text: TextMixture, folder: Path):
        self.settings = settings
        self.folder = folder
        spec = load_spec()
        torch.manual_seed(settings.seed)
        self.rng = generator(settings.seed, TRAIN_STREAM)
        style = spec.style(settings.style)
        self.grids = [MonoGrid(style, width, height) for width, height, _ in settings.page_sizes]
        self.makers = [TaskMaker(grid, text, settings.mix, self.rng) for grid in self.grids]
        self.net = GuidedReader(spec, self.token_style(style))
        self._first_weights()
        groups = self.parameter_groups()
        self.parameters = [parameter for group in groups for parameter in group["params"]]
        self.optimiser = torch.optim.AdamW(
            groups,
            lr=settings.learning_rate,
            betas=(0.9, 0.98),
            weight_decay=0.01,
            fused=True,
        )
        self.step = 0
        self.seconds = 0.0
        self.means: dict[str, float] = {}
        self._open()

    def token_style(self, style: NanoStyle) -> NanoStyle:
        """Return how the tokens of a page are divided into slots."""
        return style

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Return what is trained, each group with its share of the learning rate."""
        return [{"params": [parameter for _, parameter in self.net.trained()], "share": 1.0}]

    def _first_weights(self) -> None:
        if self.settings.start:
            load_checkpoint(self.net, Path(self.settings.start))
            return
        grid = self.grids[0]
        structured_init(self.net, grid, load_spec())
        pages = [self.makers[0].key_page(2) for _ in range(CENTERING_PAGES)]
        center_queries(self.net, pack(pages, grid))

    def _open(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        mine = json.dumps(dataclasses.asdict(self.settings), indent=1, sort_keys=True)
        path = self.folder / "settings.json"
        if path.exists() and path.read_text("utf-8") != mine:
            raise ConfigError(
                f"{self.folder} holds a run with other settings; give another folder, or the "
                "settings in its settings.json."
            )
        path.write_text(mine, "utf-8")
        if (self.folder / "last.pt").exists():
            self.restore(torch.load(self.folder / "last.pt", weights_only=False))

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Go on from what a checkpoint holds."""
        load_trained(self.net, saved["weights"])
        self.optimiser.load_state_dict(saved["optimiser"])
        self.rng.bit_generator.state = saved["pages"]
        torch.set_rng_state(saved["noise"])
        self.step, self.seconds, self.means = saved["step"], saved["seconds"], saved["means"]
        metrics = self.folder / "metrics.jsonl"
        rows = metrics.read_text("utf-8").splitlines() if metrics.exists() else []
        kept = [row for row in rows if json.loads(row)["step"] <= self.step]
        metrics.write_text("".join(row + "\n" for row in kept), "utf-8")

    def save(self) -> None:
        """Write the checkpoint; the old one stays until the new one is complete."""
        torch.save(self.state(), self.folder / "new.pt")
        (self.folder / "new.pt").replace(self.folder / "last.pt")

    def state(self) -> dict[str, Any]:
        """Return all that a checkpoint holds."""
        return {
            "weights": {name: p.detach() for name, p in self.net.trained()},
            "code_chars": self.net.codes.char_VD,
            "style": self.settings.style,
            "optimiser": self.optimiser.state_dict(),
            "pages": self.rng.bit_generator.state,
            "noise": torch.get_rng_state(),
            "step": self.step,
            "seconds": self.seconds,
            "means": self.means,
        }

    def run(self, *, hours: float, save_every: int = 200, log_every: int = 20) -> None:
        """Train until the schedule ends or the time is up, then save.

        Args:
            hours: Most wall time of this call.
            save_every: Steps between checkpoints.
            log_every: Steps between lines of metrics.

        Raises:
            GlyphError: The loss is not finite; the batch is saved beside the checkpoint.
        """
        self.net.train()
        deadline = time.monotonic() + hours * 3600
        while self.step < self.settings.steps and time.monotonic() < deadline:
            started = time.process_time()
            self.train_step()
            self.seconds += time.process_time() - started
            if self.step % log_every == 0:
                self._log()
            if self.step % save_every == 0:
                self.save()
        self.save()

    def train_step(self) -> float:
        """Make one batch, learn from it, and return the loss."""
        pages, grid = self.next_pages()
        batch = self.pack(pages, grid)
        parts, right_BL = self.losses(pages, grid, batch)
        fade = self._guide_weight()
        loss = parts["answer"] + sum(
            value * fade for name, value in parts.items() if name != "answer"
        )
        if not loss.isfinite():
            self._stop(pages, grid, parts)
        for group in self.optimiser.param_groups:
            group["lr"] = self._rate() * group["share"]
        self.optimiser.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimiser.step()
        self.step += 1
        values = {name: float(value.detach()) for name, value in parts.items()}
        self._note({**values, "gradient": float(norm)}, 0.95)
        self._note_answers(batch, grid, right_BL)
        return float(loss.detach())

    def pack(self, pages: Sequence[TaskPage], grid: MonoGrid) -> Batch:
        """Return the rows of a step."""
        return pack(pages, grid)

    def losses(
        self, _pages: Sequence[TaskPage], _grid: MonoGrid, batch: Batch
    ) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        """Return the parts of the loss, and where the next id was predicted right."""
        return self.net.losses(batch, self.net.codes.noisy(batch.slot_BRCK, self.settings.noise))

    def next_pages(self) -> tuple[list[TaskPage], MonoGrid]:
        """Return pages of one size, about `tokens_per_step` positions of them."""
        shares = np.array([share for _, _, share in self.settings.page_sizes])
        size = int(self.rng.choice(len(shares), p=shares / shares.sum()))
        pages: list[TaskPage] = []
        total = 0
        while total < self.settings.tokens_per_step:
            page = self.makers[size].page()
            total += self.grids[size].num_tokens + 2
            total += sum(len(q.prompt) + len(q.answer) for q in page.queries)
            pages.append(page)
        return pages, self.grids[size]

    def _rate(self) -> float:
        settings, done = self.settings, self.step / self.settings.steps
        fall = max(0.0, (done - settings.constant_share) / (1 - settings.constant_share))
        rise = min(1.0, (self.step + 1) / settings.warmup_steps)
        return settings.learning_rate * rise * (0.5 + 0.5 * math.cos(math.pi * fall))

    def _guide_weight(self) -> float:
        settings, done = self.settings, self.step / self.settings.steps
        if done <= settings.guide_end:
            return settings.guide_weight
        left = (1 - done) / (1 - settings.guide_end)
        return settings.guide_weight * max(0.1, left)

    def _note(self, values: Mapping[str, float], memory: float) -> None:
        for name, value in values.items():
            old = self.means.get(name, value)
            self.means[name] = memory * old + (1 - memory) * value

    def _note_answers(self, batch: Batch, grid: MonoGrid, right_BL: torch.Tensor) -> None:
        for target in batch.targets:
            keys = target.query.num_keys
            bucket = f"-{1 << (keys.bit_length() - 1)}" if keys else ""
            exact, _ = answered(target, right_BL)
            self._note({f"exact/{target.query.task}-{grid.num_tokens}vt{bucket}": exact}, 0.97)

    def _log(self) -> None:
        row = {"step": self.step, "cpu_s": round(self.seconds, 1), "rate": self._rate()}
        row |= {name: round(value, 4) for name, value in sorted(self.means.items())}
        with (self.folder / "metrics.jsonl").open("a", encoding="utf-8") as sink:
            sink.write(json.dumps(row) + "\n")

    def _stop(
        self, pages: list[TaskPage], grid: MonoGrid, parts: Mapping[str, torch.Tensor]
    ) -> None:
        path = self.folder / "bad-batch.pt"
        weights = {name: p.detach() for name, p in self.net.trained()}
        torch.save({"pages": pages, "grid": grid, "weights": weights, "step": self.step}, path)
        bad = ", ".join(name for name, value in parts.items() if not value.isfinite())
        raise GlyphError(
            f"the loss is not finite at step {self.step} (in: {bad}); the batch and the weights "
            f"are in {path}; lower the learning rate, or look at the batch."
        )


def main() -> None:
    """Run or continue a training from the command line."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--novels", type=Path)
    parser.add_argument("--settings", type=Path)
    parser.add_argument("--start", default="")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    settings = (
        read_settings(given.settings, LanguageSettings) if given.settings else LanguageSettings()
    )
    named = {"start": given.start or None, "steps": given.steps, "seed": given.seed}
    settings = dataclasses.replace(
        settings, **{name: value for name, value in named.items() if value is not None}
    )
    trainer = LanguageTrainer(settings, training_mixture(given.novels), given.folder)
    trainer.run(hours=given.hours)


if __name__ == "__main__":
    main()
