"""The chunked loss of supervised training against the textbook's, and against differences."""

import pytest
import tiny
import torch
import trl.trainer.utils
from torch.nn import functional
from trl.trainer.utils import add_fused_lm_head

LENGTH, ROWS = 24, 3
BEHIND_THE_LAST_ROUNDING = ("model.language_model.norm.weight", "lm_head.weight")
"""Norms compute in single precision whatever the model's, which a small step would not survive."""


def _batch(seed: int) -> dict[str, torch.Tensor]:
    chance = torch.Generator().manual_seed(seed)
    ids = torch.randint(32, 127, (ROWS, LENGTH), generator=chance)
    labels = ids.clone()
    labels[:, :9] = -100
    labels[1, 20:] = -100
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": labels}


def _slow_loss(model, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """All logits at once, in the model's own precision."""
    logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    return functional.cross_entropy(
        logits[:, :-1].flatten(0, 1), batch["labels"][:, 1:].flatten(), ignore_index=-100
    )


def _chunked(model, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    return model(**batch, fused_lm_head=True).loss


@pytest.fixture(params=[7, 48, 32768])
def chunk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Words of the vocabulary whose logits exist at a time."""
    monkeypatch.setattr(trl.trainer.utils, "_CHUNKED_LOGPROB_CHUNK_SIZE", request.param)
    return int(request.param)


def test_the_chunked_loss_and_its_gradient_are_those_of_all_logits_at_once(chunk: int):
    batch = _batch(chunk)
    slow, chunked = tiny.tiny_model(tied=False).double(), tiny.tiny_model(tied=False)
    add_fused_lm_head(chunked)
    expected, loss = _slow_loss(slow, batch), _chunked(chunked, batch)
    assert loss.item() == pytest.approx(expected.item(), abs=1e-5)
    expected.backward()
    loss.backward()
    ours = dict(chunked.named_parameters())
    for name, weight in slow.named_parameters():
        if weight.grad is not None:
            assert ours[name].grad is not None, name
            torch.testing.assert_close(
                ours[name].grad.double(), weight.grad, atol=1e-5, rtol=1e-4, msg=name
            )


def test_the_gradient_of_the_chunked_loss_is_the_slope_of_the_loss(chunk: int):
    batch = _batch(chunk + 1)
    chunked = tiny.tiny_model(tied=False)
    add_fused_lm_head(chunked)
    _chunked(chunked, batch).backward()
    exact = tiny.tiny_model(tied=False).double()
    chance = torch.Generator().manual_seed(5)
    ours, theirs = dict(chunked.named_parameters()), dict(exact.named_parameters())
    for name in BEHIND_THE_LAST_ROUNDING:
        grad, weight = ours[name].grad, theirs[name]
        assert grad is not None
        way = torch.randn(weight.shape, generator=chance, dtype=torch.float64)
        way /= way.norm()
        step = 1e-5
        with torch.no_grad():
            weight += step * way
            above = _slow_loss(exact, batch)
            weight -= 2 * step * way
            below = _slow_loss(exact, batch)
            weight += step * way
        slope = (above - below).item() / (2 * step)
        assert (grad.double() * way).sum().item() == pytest.approx(slope, abs=1e-5), name


def test_prompts_and_padding_take_no_part_in_the_loss(chunk: int):
    batch = _batch(3)
    chunked = tiny.tiny_model(tied=False)
    add_fused_lm_head(chunked)
    before = _chunked(chunked, batch).item()
    # What a label of -100 hides may be anything, as long as nothing behind it is asked for.
    batch["input_ids"] = batch["input_ids"].clone()
    batch["input_ids"][1, 20:] = 40
    assert _chunked(chunked, batch).item() == pytest.approx(before, abs=1e-6)
