"""The tables that the reader makes without torch are those of transformers."""

# ruff: noqa: E402 (imports after the skips)

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs the [train] extra")
pytest.importorskip("transformers", reason="training needs the [train] extra")

from transformers.vision_utils import get_vision_position_ids

from glyph.readers.nano.geometry import patch_positions, place_embeddings, rotary_tables
from glyph.readers.nano.spec import load_spec
from glyph.train.nano.vision import build_tower

SIZES = ((1, 1), (2, 3), (16, 12), (4, 6), (30, 21))


@pytest.mark.parametrize(("rows", "cols"), SIZES)
def test_patches_turn_and_stand_as_in_transformers(rows: int, cols: int):
    tower = build_tower(load_spec())
    grid = torch.tensor([[1, 2 * rows, 2 * cols]])
    position_N2 = get_vision_position_ids(grid, 2)
    assert patch_positions(rows, cols).tolist() == position_N2.tolist()
    hidden = torch.zeros(len(position_N2), 192)
    cos, sin = tower.rotary_pos_emb(hidden, position_N2)
    mine = rotary_tables(rows, cols, 64)
    np.testing.assert_allclose(mine[0], cos.numpy(), atol=1e-5)
    np.testing.assert_allclose(mine[1], sin.numpy(), atol=1e-5)


@pytest.mark.parametrize(("rows", "cols"), SIZES)
def test_the_position_table_is_resampled_as_in_transformers(rows: int, cols: int):
    tower = build_tower(load_spec())
    weight = tower.embeddings.position_embedding.weight
    torch.nn.init.normal_(weight)
    grid = torch.tensor([[1, 2 * rows, 2 * cols]])
    position_N2 = get_vision_position_ids(grid, 2)
    with torch.no_grad():
        stock = tower.embeddings(
            torch.zeros(len(position_N2), 192),
            torch.tensor([len(position_N2)]),
            grid,
            position_N2[:, 0],
            position_N2[:, 1],
        )
    table = weight.detach().numpy().reshape(24, 24, 192)
    np.testing.assert_allclose(
        place_embeddings(table, rows, cols), stock.numpy(), rtol=1e-5, atol=1e-5
    )
