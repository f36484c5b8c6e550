"""The vision tower in training: fast forward, initialisation, character heads.

The tower is the `Glm4vVisionModel` of transformers and stays loadable by it. Three things make it
learn on a CPU:

* pages of one size are a batch, and the strided convolution on grey pixels is one small matrix
  product (`encode_pages`; same numbers as the stock forward);
* the initialisation suits this size: the patch embedding begins by whitening real patches, and the
  merger begins as a near-linear map that gives each of its four patches a subspace of its own
  (`initialise`);
* heads name the character in every slot, of patches and of merged tokens (`CharHeads`).

Shape key: B pages, H W page pixels, N patches of a page in merge order, D hidden size, T visual
tokens of a page, E output size, K slots of a token, V classes.
"""

# The types of torch are partly unknown to the checker.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnnecessaryComparison=false

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn
from torch.nn import functional
from transformers import Glm4vVisionConfig
from transformers.models.glm4v.modeling_glm4v import (
    Glm4vVisionBlock,
    Glm4vVisionModel,
    apply_rotary_pos_emb_vision,
)
from transformers.vision_utils import get_vision_position_ids

from glyph.readers.nano.geometry import CLIP_MEAN, CLIP_STD, MERGE, merge_order
from glyph.readers.nano.spec import NUM_SPECIALS, PATCH_PX, NanoSpec, NanoStyle

NUM_CLASSES = 128 - NUM_SPECIALS + 1
"""Empty, 95 printable characters, any other."""

EMPTY_WEIGHT = 0.25
"""Empty slots are easy and many; together they weigh a quarter of the filled ones."""


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """What the tower says of a batch of pages.

    Attributes:
        patch_BND: Patches before merging, in merge order.
        token_BTE: Visual tokens, row by row.
    """

    patch_BND: Float[Tensor, "B N D"]
    token_BTE: Float[Tensor, "B T E"]


def build_tower(spec: NanoSpec) -> Glm4vVisionModel:
    """Return a vision tower of the specification with the library's own weights."""
    return Glm4vVisionModel(Glm4vVisionConfig(**spec.vision))


# -- forward ---------------------------------------------------------------------------------


def pixel_values(plane_BHW: UInt8[np.ndarray, "B H W"]) -> Float[Tensor, "BN 1176"]:
    """Return the input of the stock model: what `Glm4vImageProcessorPil` makes of the pages."""
    grey = merge_order(plane_BHW).reshape(-1, 1, PATCH_PX * PATCH_PX).astype(np.float32) / 255
    mean = np.array(CLIP_MEAN, np.float32)[:, None]
    std = np.array(CLIP_STD, np.float32)[:, None]
    frames = np.repeat(((grey - mean) / std)[:, :, None], 2, axis=2)
    return torch.from_numpy(frames.reshape(len(grey), -1))


def encode_pages(tower: Glm4vVisionModel, plane_BHW: UInt8[np.ndarray, "B H W"]) -> Encoded:
    """Run the tower on grey pages of one size.

    The result is that of `tower(pixel_values, grid_thw)`. Three channels and two frames of a grey
    page are the same numbers, so their weights are summed before the product.

    Args:
        tower: Vision tower.
        plane_BHW: Grey pages; sides are multiples of 28.
    """
    pages, height, width = plane_BHW.shape
    hidden = _embed(tower, plane_BHW)
    grid = torch.tensor([[1, height // PATCH_PX, width // PATCH_PX]])
    position_N2 = get_vision_position_ids(grid, tower.spatial_merge_size)
    cos, sin = tower.rotary_pos_emb(hidden, position_N2)
    place_ND = tower.embeddings(
        hidden.new_zeros(hidden.shape[1:]),
        torch.tensor([hidden.shape[1]]),
        grid,
        position_N2[:, 0],
        position_N2[:, 1],
    )
    hidden = hidden + place_ND
    for block in tower.blocks:
        assert isinstance(block, Glm4vVisionBlock)
        hidden = _block(block, hidden, cos, sin)
    patch_BND = tower.post_layernorm(hidden)
    weight = tower.downsample.weight.permute(0, 2, 3, 1).flatten(1)
    joined = patch_BND.reshape(pages, -1, weight.shape[1])
    token_BTE = tower.merger(functional.linear(joined, weight, tower.downsample.bias))
    return Encoded(patch_BND, token_BTE)


def _embed(tower: Glm4vVisionModel, plane_BHW: UInt8[np.ndarray, "B H W"]) -> Tensor:
    grey_BNP = torch.from_numpy(merge_order(plane_BHW)).float().div_(255)
    projection = tower.patch_embed.proj
    assert projection.bias is not None
    weight_DCP = projection.weight.sum(2).flatten(2)
    scale_C = 1 / torch.tensor(CLIP_STD)
    weight_DP = torch.einsum("dcp,c->dp", weight_DCP, scale_C)
    shift_D = weight_DCP.sum(2) @ (scale_C * torch.tensor(CLIP_MEAN))
    embedded = functional.linear(grey_BNP, weight_DP, projection.bias - shift_D)
    return tower.post_conv_layernorm(embedded)


def _block(block: Glm4vVisionBlock, hidden: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    pages, patches, width = hidden.shape
    attention = block.attn
    heads = attention.num_heads
    qkv = attention.qkv(block.norm1(hidden)).view(pages, patches, 3, heads, -1)
    query, key, value = qkv.unbind(2)
    query, key = apply_rotary_pos_emb_vision(query, key, cos, sin)
    mixed = functional.scaled_dot_product_attention(
        query.transpose(1, 2),
        key.transpose(1, 2),
        value.transpose(1, 2),
        scale=attention.scaling,
    )
    hidden = hidden + attention.proj(mixed.transpose(1, 2).reshape(pages, patches, width))
    return hidden + block.mlp(block.norm2(hidden))


# -- initialisation --------------------------------------------------------------------------

WHITEN_FLOOR = 0.03
"""Added to the variance of every direction, as a share of the mean one."""


@torch.no_grad()
def initialise(tower: Glm4vVisionModel, plane_BHW: UInt8[np.ndarray, "B H W"], seed: int) -> None:
    """Give a tower weights from which it learns to read on a CPU.

    Args:
        tower: Vision tower, changed in place.
        plane_BHW: Typical grey pages; their statistics decide the patch embedding.
        seed: Seed of all weights.
    """
    generator = torch.Generator().manual_seed(seed)
    for name, module in tower.named_modules():
        if isinstance(module, nn.Linear):
            scale = 0.5 if name.endswith(("attn.proj", "mlp.down_proj")) else 1.0
            fan_in = module.weight.shape[1]
            module.weight.normal_(0, scale * fan_in**-0.5, generator=generator)
            # No linear layer of the tower has a bias.
            assert module.bias is None
    _init_patches(tower, plane_BHW, generator)
    start_merger(tower, generator)


def _init_patches(
    tower: Glm4vVisionModel, plane_BHW: UInt8[np.ndarray, "B H W"], generator: torch.Generator
) -> None:
    """Whiten patches: what tells glyphs apart is small beside the paper and the lines.

    The mean patch is taken off, so that ink and not paper decides the first norm, and every
    direction that varies at all gets the same size.
    """
    grey_SP = torch.from_numpy(merge_order(plane_BHW)).flatten(0, 1).double() / 255
    mean_P = grey_SP.mean(0)
    centred_SP = grey_SP - mean_P
    value_P, vector_PP = torch.linalg.eigh(centred_SP.T @ centred_SP / len(centred_SP))
    projection = tower.patch_embed.proj
    assert projection.bias is not None
    width = projection.weight.shape[0]
    value_D, vector_PD = value_P[-width:], vector_PP[:, -width:]
    whiten_DP = (vector_PD / (value_D + WHITEN_FLOOR * value_P.mean()).sqrt()).T.float()
    turn_DD = torch.empty(width, width)
    nn.init.orthogonal_(turn_DD, generator=generator)
    grey_DP = turn_DD @ whiten_DP
    # The six copies of a pixel share its weight, undoing the division by the channel's deviation.
    copies = torch.einsum("dp,c->dcp", grey_DP, torch.tensor(CLIP_STD) / 6)
    projection.weight.copy_(
        copies[:, :, None].expand(-1, -1, 2, -1).reshape(projection.weight.shape)
    )
    projection.bias.copy_(grey_DP @ (sum(CLIP_MEAN) / 3 - mean_P.float()))
    tower.embeddings.position_embedding.weight.normal_(0, 0.02, generator=generator)


def start_merger(tower: Glm4vVisionModel, generator: torch.Generator) -> None:
    """Start the merger as a near-linear map with a subspace for each of the four patches.

    GELU and the gate are nearly linear around a positive offset, so the offset goes into the bias
    of the norm and into the gate; half of the gated units carry the value, the rest are free.
    """
    downsample, merger = tower.downsample, tower.merger
    assert downsample.bias is not None
    size, width = downsample.weight.shape[:2]
    share = size // MERGE**2
    code_SD = torch.empty(share, width)
    nn.init.orthogonal_(code_SD, generator=generator)
    downsample.weight.zero_()
    downsample.bias.zero_()
    for patch in range(MERGE**2):
        rows = slice(patch * share, (patch + 1) * share)
        downsample.weight[rows, :, patch // MERGE, patch % MERGE] = code_SD
    nn.init.eye_(merger.proj.weight)
    merger.post_projection_norm.weight.fill_(0.5)
    merger.post_projection_norm.bias.fill_(2.0)
    # About half of the offset stays after the gate's own mean is taken off.
    centre = torch.eye(size) - 1 / size
    merger.gate_proj.weight[:size].fill_(1.0 / size)
    merger.up_proj.weight[:size] = centre
    merger.down_proj.weight[:, :size] = torch.eye(size)
    merger.down_proj.weight[:, size:] *= 0.5


# -- heads -----------------------------------------------------------------------------------


def class_of(slot: UInt8[np.ndarray, "..."]) -> Int[Tensor, "..."]:
    """Return the class of vocabulary ids in slots: 0 is empty, printable characters from 1."""
    return torch.from_numpy(np.maximum(slot.astype(np.int64) - NUM_SPECIALS + 1, 0))


def slot_of(classes: Int[Tensor, "..."]) -> UInt8[np.ndarray, "..."]:
    """Return the vocabulary ids of classes, the inverse of `class_of`."""
    found = classes.numpy()
    return np.where(found > 0, found + NUM_SPECIALS - 1, 0).astype(np.uint8)


def patch_slots(style: NanoStyle) -> Int[np.ndarray, "4 k"]:
    """Return the slots of the token that each of its four patches touches.

    With two lines a token, a patch sees one; with three, the middle line is seen by both rows.
    An odd number of bins shares the middle bin between both columns.
    """
    lines, bins = style.lines_per_token, style.bins_per_token
    near_lines, near_bins = math.ceil(lines / MERGE), math.ceil(bins / MERGE)
    table: list[list[int]] = []
    for patch in range(MERGE**2):
        top = 0 if patch < MERGE else lines - near_lines
        left = 0 if patch % MERGE == 0 else bins - near_bins
        table.append(
            [
                line * bins + place
                for line in range(top, top + near_lines)
                for place in range(left, left + near_bins)
            ]
        )
    return np.array(table)


class CharHeads(nn.Module):
    """Name the character in every slot of one style, from patches and from visual tokens.

    Args:
        spec: Sizes of the tower.
        style: Decides the slots.
    """

    def __init__(self, spec: NanoSpec, style: NanoStyle):
        super().__init__()
        self.style = style
        self.slots_4k = torch.from_numpy(patch_slots(style))
        width, size = int(spec.vision["hidden_size"]), int(spec.vision["out_hidden_size"])
        self.patch = nn.Linear(width, self.slots_4k.shape[1] * NUM_CLASSES)
        self.token = nn.Linear(size, style.num_slots * NUM_CLASSES)
        self._look_at_own_patch()

    @torch.no_grad()
    def _look_at_own_patch(self) -> None:
        """Begin with each slot read from the subspaces of the patches that it lies in."""
        size = self.token.in_features
        share = size // MERGE**2
        weight_KVE = self.token.weight.view(self.style.num_slots, NUM_CLASSES, size)
        near_KE = torch.zeros(self.style.num_slots, size)
        for patch, slots in enumerate(self.slots_4k):
            near_KE[slots, patch * share : (patch + 1) * share] = 1
        gain_K = (size / near_KE.sum(1)).sqrt()
        weight_KVE *= (near_KE * gain_K[:, None])[:, None]

    def token_logits(self, encoded: Encoded) -> Float[Tensor, "B T K V"]:
        """Return logits of the character in each slot of each visual token."""
        logits = self.token(encoded.token_BTE)
        return logits.unflatten(-1, (self.style.num_slots, NUM_CLASSES))

    def losses(
        self, encoded: Encoded, class_BTK: Int[Tensor, "B T K"]
    ) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """Return the loss of the token head and of the patch head.

        Args:
            encoded: Of a batch of pages.
            class_BTK: From `class_of`.
        """
        token = slot_loss(self.token_logits(encoded), class_BTK)
        return token, self.patch_loss(encoded, class_BTK)

    def patch_loss(self, encoded: Encoded, class_BTK: Int[Tensor, "B T K"]) -> Float[Tensor, ""]:
        """Return the loss of the patch head; see `losses`."""
        logits = self.patch(encoded.patch_BND).unflatten(-1, (-1, NUM_CLASSES))
        return slot_loss(logits, class_BTK[:, :, self.slots_4k].flatten(1, 2))


def slot_loss(logits: Float[Tensor, "... V"], classes: Int[Tensor, "..."]) -> Float[Tensor, ""]:
    """Return the mean cross-entropy of filled slots plus a quarter of that of empty ones."""
    losses = functional.cross_entropy(logits.flatten(0, -2), classes.flatten(), reduction="none")
    filled = (classes.flatten() > 0).float()
    empty = 1 - filled
    mean_filled = (losses * filled).sum() / filled.sum().clamp(min=1)
    mean_empty = (losses * empty).sum() / empty.sum().clamp(min=1)
    return mean_filled + EMPTY_WEIGHT * mean_empty
