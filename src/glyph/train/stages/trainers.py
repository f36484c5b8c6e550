"""TRL's trainers with what a long run needs: whole checkpoints, a stop at NaN, dropped groups."""

# torch, transformers and TRL declare their types in part only.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false
# pyright: reportUnknownParameterType=false, reportMissingParameterType=false
# pyright: reportAttributeAccessIssue=false, reportPrivateUsage=false
# pyright: reportUnknownLambdaType=false, reportCallIssue=false

import errno
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from trl.trainer.grpo_trainer import GRPOTrainer
from trl.trainer.sft_trainer import SFTTrainer

from glyph.errors import TrainingError
from glyph.train.stages.groups import live_responses

CHECKPOINT = "checkpoint-"
STAGING = ".unfinished"


class _Careful:
    """What both trainers do around TRL's own work."""

    keep: int = 2

    def _save_checkpoint(self: Any, model: Any, trial: Any) -> None:
        """Save aside and rename, so that a checkpoint is whole or not there."""
        out = Path(self.args.output_dir)
        aside = out / STAGING
        shutil.rmtree(aside, ignore_errors=True)
        self.args.output_dir = str(aside)
        try:
            super()._save_checkpoint(model, trial)  # pyright: ignore[reportAttributeAccessIssue]
        except (OSError, RuntimeError, SafetensorError) as error:
            shutil.rmtree(aside, ignore_errors=True)
            raise _not_saved(out, error) from error
        finally:
            self.args.output_dir = str(out)
        name = f"{CHECKPOINT}{self.state.global_step}"
        shutil.rmtree(out / name, ignore_errors=True)
        (aside / name).replace(out / name)
        shutil.rmtree(aside, ignore_errors=True)
        for old in checkpoints(out)[: -self.keep]:
            shutil.rmtree(old)

    def create_model_card(self: Any, *_: Any, **__: Any) -> None:
        """Checkpoints have no card; `training.json` tells how they were made."""

    def training_step(self: Any, *args: Any, **kwargs: Any) -> Any:
        """Stop at a loss that is no number, with the batch saved."""
        loss = super().training_step(*args, **kwargs)  # pyright: ignore[reportAttributeAccessIssue]
        if not torch.isfinite(loss).all():
            path = Path(self.args.output_dir) / f"nan-batch-{self.state.global_step + 1}.pt"
            torch.save(args[1] if len(args) > 1 else kwargs.get("inputs"), path)
            raise TrainingError(
                f"the loss of step {self.state.global_step + 1} is {loss.item()}; the batch is in "
                f"{path}. Look at it, lower learning_rate, and go on with --resume."
            )
        return loss


class SupervisedTrainer(_Careful, SFTTrainer):
    """CPT and SFT."""


class GroupTrainer(_Careful, GRPOTrainer):
    """GRPO that leaves out groups whose responses are all worth the same.

    TRL gives such groups advantage 0 but counts their tokens, so that the more groups are
    all right, the smaller every step. Here they count for nothing, and neither does their KL.
    """

    drop_degenerate: bool = True

    def _calculate_rewards(self, *args: Any, **kwargs: Any) -> Any:
        # Of all processes, in the order of the groups.
        self._reward_NF: torch.Tensor = super()._calculate_rewards(*args, **kwargs)
        return self._reward_NF

    def _generate_and_score_completions(self, inputs: Any) -> Any:
        batch: dict[str, Any] = super()._generate_and_score_completions(inputs)
        model: Any = self.model
        if not model.training or not self.drop_degenerate:
            return batch
        live_N = live_responses(total_rewards(self._reward_NF, self.reward_weights), self._size)
        count = len(batch["completion_mask"])
        at = self.accelerator.process_index * count
        live = live_N[at : at + count].to(batch["completion_mask"].device)
        batch["completion_mask"] = batch["completion_mask"] * live[:, None]
        tokens = batch["completion_mask"].sum()
        batch["num_items_in_batch"] = self.accelerator.gather(tokens).sum()
        groups = live_N.view(-1, self._size).any(1).float()
        self._metrics["train"]["groups_kept"].append(groups.mean().item())
        return batch

    @property
    def _size(self) -> int:
        return int(self.num_generations or 1)


def total_rewards(reward_NF: torch.Tensor, weight_F: torch.Tensor) -> torch.Tensor:
    """Return the weighted sum of reward functions; NaN where none of them knows."""
    total_N = (reward_NF * weight_F.to(reward_NF.device)).nansum(1)
    return total_N.masked_fill(reward_NF.isnan().all(1), torch.nan)


def checkpoints(out: Path) -> list[Path]:
    """Return the whole checkpoints of a run, oldest first."""
    found = [path for path in out.glob(f"{CHECKPOINT}*") if (path / "trainer_state.json").is_file()]
    return sorted(found, key=lambda path: int(path.name.removeprefix(CHECKPOINT)))


def _not_saved(out: Path, error: Exception) -> TrainingError:
    kept = checkpoints(out)
    last = f"the last whole one is {kept[-1]}" if kept else "there is no earlier one"
    is_full = getattr(error, "errno", None) == errno.ENOSPC or "No space left" in str(error)
    why = f"the disk of {out} is full" if is_full else f"it could not be written: {error}"
    return TrainingError(
        f"a checkpoint was not saved: {why}; {last}. Make room, then go on with --resume."
    )
