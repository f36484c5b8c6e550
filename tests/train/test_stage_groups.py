"""Groups of responses: TRL's numbers and our dropping against a slow reference."""

import math
import statistics
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from hypothesis import given
from hypothesis import strategies as st

from glyph.train.stages.arguments import trainer_arguments
from glyph.train.stages.groups import live_responses
from glyph.train.stages.policy import open_policy
from glyph.train.stages.rows import to_rows, training_row
from glyph.train.stages.trainers import GroupTrainer, total_rewards

GROUP, PROMPTS = 8, 2
LOW, HIGH, BETA = 0.2, 0.28, 0.05
WORTHS = st.sampled_from([0.0, 0.2, 1.0, 1.2, math.nan])


def slow_live(rewards: list[float], size: int) -> list[bool]:
    """One group after the other, in plain Python."""
    live: list[bool] = []
    for start in range(0, len(rewards), size):
        group = rewards[start : start + size]
        known = [one for one in group if not math.isnan(one)]
        teaches = len(known) > 1 and len(set(known)) > 1
        live += [teaches and not math.isnan(one) for one in group]
    return live


@given(st.lists(st.lists(WORTHS, min_size=4, max_size=4), min_size=1, max_size=5))
def test_a_group_lives_when_its_known_rewards_differ(groups: list[list[float]]):
    rewards = [one for group in groups for one in group]
    assert live_responses(torch.tensor(rewards), 4).tolist() == slow_live(rewards, 4)


def test_a_response_at_the_mean_of_a_group_that_differs_is_kept():
    assert live_responses(torch.tensor([0.0, 0.5, 1.0, 0.5]), 4).all()


def test_rewards_add_up_by_weight_and_are_unknown_only_where_nothing_is_known():
    reward = torch.tensor([[1.0, 0.5], [math.nan, 0.5], [math.nan, math.nan]])
    total = total_rewards(reward, torch.tensor([1.0, 2.0]))
    assert total[:2].tolist() == [2.0, 1.0] and total[2].isnan()


class Worth:
    """A reward that is decided beforehand, response by response."""

    __name__ = "worth"

    def __init__(self, rewards: list[float | None]):
        self.rewards = rewards

    def __call__(self, completions: Any, **_: Any) -> list[float | None]:
        assert len(completions) == len(self.rewards)
        return self.rewards


@pytest.fixture
def trainer(tmp_path: Path) -> GroupTrainer:
    torch.manual_seed(0)
    config = tiny.smoke(
        grpo={"beta": BETA, "generations": GROUP, "device_batch": GROUP * PROMPTS, "batch": PROMPTS}
    )
    policy = open_policy(config.model)
    samples = tiny.made_samples(tmp_path, PROMPTS)
    trainer = GroupTrainer(
        model=policy.model,
        reward_funcs=[Worth([])],
        args=trainer_arguments(config, "grpo", tmp_path / "out", steps=2, seed=0, track="none"),
        train_dataset=to_rows(samples, policy, "grpo", tmp_path / "rows"),
        processing_class=policy.processor,
    )
    trainer.current_gradient_accumulation_steps = 1
    trainer.model.train()
    trainer.inputs = [
        training_row(sample, policy, "grpo") for sample in samples for _ in range(GROUP)
    ]
    return trainer


def _scored(trainer: GroupTrainer, rewards: list[float | None]) -> dict[str, Any]:
    trainer.reward_funcs[0].rewards = rewards
    torch.manual_seed(1)
    return trainer._generate_and_score_completions(trainer.inputs)


MIXED = [0.0, 1.2, 0.2, None, 1.0, 0.0, 0.2, 1.2]
SAME = [1.0] * GROUP


def test_advantages_are_deviations_from_the_group(trainer: GroupTrainer):
    batch = _scored(trainer, MIXED + SAME)
    known = [one for one in MIXED if one is not None]
    mean, deviation = statistics.mean(known), statistics.stdev(known)
    expected = [0.0 if one is None else (one - mean) / (deviation + 1e-4) for one in MIXED]
    assert batch["advantages"].tolist() == pytest.approx(expected + [0.0] * GROUP, abs=1e-5)
    assert batch["advantages"][:GROUP].sum().item() == pytest.approx(0, abs=1e-5)


def test_a_dropped_group_counts_for_nothing_not_even_in_the_denominator(trainer: GroupTrainer):
    batch = _scored(trainer, MIXED + SAME)
    tokens = batch["completion_mask"].sum(1)
    assert (tokens[GROUP:] == 0).all(), "all of these are worth the same"
    assert tokens[3] == 0, "what this one is worth is not known"
    assert (tokens[:GROUP].bool() == torch.tensor([one is not None for one in MIXED])).all()
    assert batch["num_items_in_batch"] == tokens.sum()
    trainer.drop_degenerate = False
    kept = _scored(trainer, MIXED + SAME)
    assert kept["num_items_in_batch"] > batch["num_items_in_batch"]
    # The same responses, of which only the first group teaches: its part of the step must not
    # shrink because there was another group.
    assert torch.equal(kept["completion_ids"], batch["completion_ids"])


def test_a_step_without_any_live_group_changes_nothing(trainer: GroupTrainer):
    batch = _scored(trainer, SAME + [0.0] * GROUP)
    loss = trainer._compute_loss(trainer.model, batch)
    loss.backward()
    grads = [weight.grad for weight in trainer.model.parameters() if weight.grad is not None]
    assert loss.item() == 0 and all(grad.abs().max() == 0 for grad in grads)


def slow_loss(trainer: GroupTrainer, batch: dict[str, Any], model: Any) -> torch.Tensor:
    """The objective token by token: clipped ratio, KL to the frozen policy, mean over tokens."""
    ids = torch.cat([batch["prompt_ids"], batch["completion_ids"]], 1)
    mask = torch.cat([batch["prompt_mask"], batch["completion_mask"]], 1)
    pages = {k: batch[k] for k in ("pixel_values", "image_grid_thw", "mm_token_type_ids")}
    pages["pixel_values"] = pages["pixel_values"].to(model.dtype)
    logits = model(input_ids=ids, attention_mask=mask, **pages).logits
    count = batch["completion_ids"].shape[1]
    log_probs = torch.log_softmax(logits[:, -count - 1 : -1].double(), -1)
    total, tokens = torch.zeros((), dtype=torch.float64), 0
    for n, response in enumerate(batch["completion_ids"]):
        advantage = float(batch["advantages"][n])
        for t, word in enumerate(response):
            if not batch["completion_mask"][n, t]:
                continue
            log_prob = log_probs[n, t, word]
            ratio = torch.exp(log_prob - float(batch["old_per_token_logps"][n, t]))
            clipped = ratio.clamp(1 - LOW, 1 + HIGH)
            gain = torch.minimum(ratio * advantage, clipped * advantage)
            back = float(batch["ref_per_token_logps"][n, t]) - log_prob
            # The ratio makes the slope of the estimate that of the divergence itself.
            total = total - gain + BETA * ratio * (torch.exp(back) - back - 1)
            tokens += 1
    return total / tokens


def test_loss_and_slope_are_those_of_the_objective_with_asymmetric_clipping(
    trainer: GroupTrainer,
):
    batch = _scored(trainer, MIXED + SAME)
    fresh, _, _ = trainer._get_per_token_logps_and_entropies(
        trainer.model,
        torch.cat([batch["prompt_ids"], batch["completion_ids"]], 1),
        torch.cat([batch["prompt_mask"], batch["completion_mask"]], 1),
        batch["completion_ids"].shape[1],
        **{k: batch[k] for k in ("pixel_values", "image_grid_thw", "mm_token_type_ids")},
        num_images=batch["num_images"],
    )
    # Ratios between 0.67 and 1.5, on both sides of both bounds.
    drift = torch.linspace(-0.4, 0.4, fresh.numel()).view_as(fresh)
    batch["old_per_token_logps"] = fresh.detach() + drift
    batch["ref_per_token_logps"] = fresh.detach() - drift / 2
    loss = trainer._compute_loss(trainer.model, batch)
    exact = trainer.model.__class__(trainer.model.config).double()
    exact.load_state_dict(trainer.model.state_dict())
    assert loss.item() == pytest.approx(slow_loss(trainer, batch, exact).item(), abs=1e-5)
    loss.backward()
    # Behind the last norm, which computes in single precision whatever the model's.
    name = "model.language_model.norm.weight"
    grad = dict(trainer.model.named_parameters())[name].grad.double()
    weight = dict(exact.named_parameters())[name]
    way = torch.randn(weight.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    way /= way.norm()
    step = 1e-6
    with torch.no_grad():
        weight += step * way
        above = slow_loss(trainer, batch, exact)
        weight -= 2 * step * way
        below = slow_loss(trainer, batch, exact)
    slope = (above - below).item() / (2 * step)
    assert (grad * way).sum().item() == pytest.approx(slope, abs=1e-5)
