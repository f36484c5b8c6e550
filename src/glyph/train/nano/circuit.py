"""How the small language model is made to look up and read: initial weights, guides, probes.

The network is the stock `Glm4vForConditionalGeneration`. Its start is not random: layer 1 gathers
the key at the answer start, MATCH_LAYER finds the visual token of the key, POINT_LAYER tells every
answer position which line that was, READ_LAYER fetches the visual token of the next character and
its MLP keeps one slot of it. Training then supervises what the layout knows (guided attention,
linear probes). Guides and probes exist in training only: the weights load in plain transformers.

Shape key: B rows, L positions, H heads, D hidden width, T visual tokens, N listed positions.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional
from transformers import AttentionInterface, Glm4vForConditionalGeneration

from glyph.train.nano.oracle import (
    CODE_STD,
    FLAG_ANSWER,
    FLAG_CHAR,
    FLAG_LINE,
    FLAG_PAGE,
    FLAG_TAG,
    FLAG_VISUAL,
    VOCABULARY,
    CodeLayout,
    CodeNoise,
    MonoGrid,
    OracleCode,
)
from glyph.train.nano.packing import IGNORE, KEY_CHARS, Batch
from glyph.train.nano.spec import NanoSpec, NanoStyle, glm4v_config

GATHER_LAYER, MATCH_LAYER, POINT_LAYER, READ_LAYER = 1, 2, 3, 4
GUIDED_LAYERS = (MATCH_LAYER, POINT_LAYER, READ_LAYER)
ATTENTION = "glyph_guided"
EMBEDDING_STD = 0.0625
FLAG_STD = 0.5
KEY_INDICES = 16
MAX_LINES = 96
ROTARY_DIMS = 32
CHAR_THRESHOLD = 6.5
EARLY_GAIN, LATE_GAIN = 0.15, 0.25
CLEAN_START = 20
"""Head dimensions from here on are hardly turned by position: slow width pairs, then none."""

TAGS = ("KEY", "NEEDLE", "LINE", "READ", "QUOTE", "PRESENT", "VAR")


class GuidedReader(nn.Module):
    """The language model with its code tables, probes and hooks.

    Attributes:
        model: Stock network; only its language model is trained here.
        codes: Oracle code of the style.

    Args:
        spec: Sizes.
        style: Page style, which decides the slots.
    """

    def __init__(self, spec: NanoSpec, style: NanoStyle):
        super().__init__()
        config = glm4v_config(spec)
        config._attn_implementation = ATTENTION
        self.model = Glm4vForConditionalGeneration(config)
        self.language = self.model.model.language_model
        self.style = style
        hidden = int(spec.text["hidden_size"])
        self.layout = CodeLayout(hidden, style.num_slots)
        self.codes = OracleCode(self.layout)
        self.slot_probe = nn.Linear(hidden, style.num_slots)
        self.index_probe = nn.Linear(hidden, KEY_INDICES)
        self.key_probe = nn.Linear(hidden, KEY_CHARS * VOCABULARY)
        self.line_probe = nn.Linear(hidden, MAX_LINES)
        self.entering: dict[int, Tensor] = {}
        for number in (GATHER_LAYER, MATCH_LAYER, POINT_LAYER, READ_LAYER):
            self.language.layers[number].register_forward_pre_hook(
                self._keep(number), with_kwargs=True
            )

    def _keep(self, number: int) -> Any:
        def hook(_module: nn.Module, args: tuple[Tensor, ...], kwargs: dict[str, Tensor]) -> None:
            self.entering[number] = args[0] if args else kwargs["hidden_states"]

        return hook

    def trained(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Yield the named parameters this stage trains: all but the vision tower."""
        return ((n, p) for n, p in self.named_parameters() if ".visual." not in n)

    def forward(self, batch: Batch, codes_BTD: Float[Tensor, "B T D"]) -> Float[Tensor, "B L D"]:
        """Return the final hidden states of packed rows.

        Args:
            batch: From `pack`.
            codes_BTD: Embeddings of the visual tokens.
        """
        embeds = self.language.embed_tokens(batch.ids_BL)
        end = 1 + batch.num_visual
        embeds = torch.cat([embeds[:, :1], codes_BTD, embeds[:, end:]], 1)
        return self.language(
            inputs_embeds=embeds,
            position_ids=batch.position_3BL,
            attention_mask=batch.mask_B1LL,
            use_cache=False,
        ).last_hidden_state

    def losses(
        self, batch: Batch, noise: CodeNoise | None
    ) -> tuple[dict[str, Tensor], Bool[Tensor, "B L"]]:
        """Return the parts of the loss and where the next id was predicted right.

        Args:
            batch: From `pack`.
            noise: What to do to the codes; None leaves them clean.
        """
        slots = batch.slot_BRCK
        codes = self.codes(slots) if noise is None else self.codes.noisy(slots, noise)
        with recording() as attention:
            hidden = self(batch, codes)
        asked = batch.labels_BL != IGNORE
        logits = self.model.lm_head(hidden[asked])
        wanted = batch.labels_BL[asked]
        right = torch.zeros_like(asked)
        right[asked] = logits.argmax(-1) == wanted
        parts = {"answer": functional.cross_entropy(logits, wanted)}
        parts |= self._guides(batch, attention)
        parts |= self._probes(batch)
        return parts, right

    def _guides(self, batch: Batch, attention: dict[int, Tensor]) -> dict[str, Tensor]:
        row, at, token, _ = batch.read_N4.unbind(1)
        num_heads = attention[READ_LAYER].shape[1]
        read = _log_weight(attention[READ_LAYER], row, at, token[:, None].expand(-1, num_heads))
        row, at, start = batch.point_N3.unbind(1)
        point = _log_weight(attention[POINT_LAYER], row, at, start[:, None].expand(-1, num_heads))
        row, at, token, line = batch.match_N4.unbind(1)
        # A visual token holds several lines. Each head serves one of them; the others look at
        # BOI, so that the heads say which of the lines it was.
        head_line = torch.arange(num_heads) % self.style.lines_per_token
        goal_NH = torch.where(head_line[None] == line[:, None], token[:, None], 0)
        match = _log_weight(attention[MATCH_LAYER], row, at, goal_NH)
        return {"read": -_mean(read), "point": -_mean(point), "match": -_mean(match)}

    def _probes(self, batch: Batch) -> dict[str, Tensor]:
        read_row, read_at, _, slot = batch.read_N4.unbind(1)
        line_row, line_at, line = batch.line_N3.unbind(1)
        index_N3 = batch.index_N3[batch.index_N3[:, 2] < KEY_INDICES]
        index_row, index_at, index = index_N3.unbind(1)
        key_row, key_at = batch.key_N[:, :2].unbind(1)
        chars = self.key_probe(self.entering[MATCH_LAYER][key_row, key_at])
        return {
            "slot": _surprise(self.slot_probe(self.entering[READ_LAYER][read_row, read_at]), slot),
            "line": _surprise(self.line_probe(self.entering[POINT_LAYER][line_row, line_at]), line),
            "index": _surprise(
                self.index_probe(self.entering[GATHER_LAYER][index_row, index_at]), index
            ),
            "key": _surprise(chars.view(-1, VOCABULARY), batch.key_N[:, 2:].flatten()),
        }


def _log_weight(
    scores_BHLL: Tensor, row_N: Tensor, at_N: Tensor, seen_NH: Tensor
) -> Float[Tensor, "N H"]:
    """Return the log of the weight with which each head at (row, at) sees a position."""
    return functional.log_softmax(scores_BHLL[row_N, :, at_N], -1).gather(2, seen_NH[..., None])[
        ..., 0
    ]


def _mean(values: Tensor) -> Tensor:
    """Return the mean, 0 of nothing."""
    return values.sum() / max(values.numel(), 1)


def _surprise(logits: Tensor, wanted: Tensor) -> Tensor:
    """Return the mean cross entropy over the listed positions, 0 when none is listed."""
    total = functional.cross_entropy(logits, wanted, ignore_index=IGNORE, reduction="sum")
    return total / (wanted != IGNORE).sum().clamp(min=1)


_recorded: dict[int, Tensor] | None = None


@contextmanager
def recording() -> Iterator[dict[int, Tensor]]:
    """Collect masked attention scores (B H L L) of the guided layers within the block."""
    global _recorded
    _recorded = {}
    try:
        yield _recorded
    finally:
        _recorded = None


def _guided_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float,
    **_kwargs: Any,
) -> tuple[Tensor, None]:
    """Attend like the stock function; keep the scores of guided layers while recording."""
    layer = getattr(module, "layer_idx", None)
    if _recorded is None or layer not in GUIDED_LAYERS:
        mixed = functional.scaled_dot_product_attention(
            query,
            key,
            value,
            attn_mask=attention_mask,
            scale=scaling,
            is_causal=attention_mask is None and query.shape[2] > 1,
        )
        return mixed.transpose(1, 2).contiguous(), None
    scores = query @ key.transpose(2, 3) * scaling
    scores = scores + attention_mask
    _recorded[int(layer)] = scores
    return (functional.softmax(scores, -1) @ value).transpose(1, 2).contiguous(), None


AttentionInterface.register(ATTENTION, _guided_attention)


@torch.no_grad()
def structured_init(net: GuidedReader, grid: MonoGrid, spec: NanoSpec) -> None:
    """Give the network the start from which lookup is learned in minutes instead of hours.

    Args:
        net: Freshly made.
        grid: Any page of the style; only the places of the first characters matter.
        spec: Vocabulary.
    """
    _scale_all(net)
    _embed(net, spec)
    directions = _quiet_directions(net.layout, 48)
    _count_from_tags(net, directions[:8])
    _place_key_chars(net, grid, directions[:4])
    _gather(net, directions[:8])
    _match(net, directions[:8])
    _point(net)
    _read(net, directions[8:])
    _start_probes(net, grid)


def _quiet_directions(layout: CodeLayout, count: int) -> Tensor:
    """Return orthonormal directions that the sum over slots and the place dimensions do not see."""
    tiled = torch.randn(count, layout.num_slots, layout.slot_dims)
    tiled = (tiled - tiled.mean(1, keepdim=True)).view(count, -1)
    place = torch.zeros(count, layout.hidden - layout.char_dims)
    return torch.linalg.qr(torch.cat([tiled, place], 1).T)[0].T


def _without(weight: Tensor, directions: Tensor) -> Tensor:
    """Return a weight that is blind to what comes in along the given orthonormal directions."""
    return weight - weight @ directions.T @ directions


def _scale_all(net: GuidedReader) -> None:
    for name, weight in net.language.named_parameters():
        if "post_self_attn" in name or "post_mlp" in name:
            weight.fill_(0.08)
        elif name.endswith("bias"):
            weight.zero_()
        elif weight.ndim == 2 and "embed" not in name:
            weight.normal_(0, weight.shape[1] ** -0.5)


def _embed(net: GuidedReader, spec: NanoSpec) -> None:
    """Text characters carry the code of their glyph in every slot, so that reading is copying."""
    layout, table = net.layout, net.language.embed_tokens.weight
    table.normal_(0, EMBEDDING_STD)
    table[32:] = 0
    code = net.codes.char_VD[32:] * (EMBEDDING_STD / CODE_STD)
    table[32:, : layout.char_dims] = code.repeat(1, layout.num_slots)
    table[:, layout.char_dims :] = 0
    table[32:, layout.flags + FLAG_CHAR] = FLAG_STD / 2
    for name in TAGS:
        table[spec.special(name), layout.flags + FLAG_TAG] = FLAG_STD
    table[spec.special("VAL"), layout.flags + FLAG_ANSWER] = FLAG_STD
    table[spec.special("BOI"), layout.flags + FLAG_PAGE] = FLAG_STD


PHASES = ((0, 0.0), (0, math.pi / 2), (2, 0.0), (2, math.pi / 2))
"""Rotary pair and phase of each head that measures a distance."""


def _count_from_tags(net: GuidedReader, directions: Tensor) -> None:
    """Layer 0: four heads measure how far the tag and the answer start are.

    A head weighs the tag against BOI by the cosine of one rotary pair; two phases of a fast and of
    a slow pair tell distances of up to 20 apart.
    """
    layout, layer = net.layout, net.language.layers[0]
    attention, size = layer.self_attn, net.language.layers[0].self_attn.head_dim
    tag, answer = layout.flags + FLAG_TAG, layout.flags + FLAG_ANSWER
    boi = layout.flags + FLAG_PAGE
    for weight in (attention.k_proj.weight, attention.v_proj.weight, attention.o_proj.weight):
        weight.mul_(0.1)
    attention.q_proj.weight.mul_(0.1)
    sure, swing = 8.0, 2.0
    num_heads = int(net.model.config.text_config.num_attention_heads)
    for head in range(num_heads):
        pair, phase = PHASES[head % len(PHASES)]
        start = head * size
        # Flags are the largest part of their token: about 6 after the layer's RMS norm.
        scale = math.sqrt(size) / 6
        bias = attention.q_proj.bias
        bias[start + 2 * pair] = swing * math.cos(phase)
        bias[start + 2 * pair + 1] = swing * math.sin(phase)
        bias[start + size - 1] = sure
        for flag in (tag, answer):
            attention.k_proj.weight[start + 2 * pair, flag] = scale
            attention.k_proj.weight[start + size - 1, flag] = scale
        attention.k_proj.weight[start + size - 1, boi] = scale
        attention.v_proj.weight[start, tag] = 1.0
        attention.v_proj.weight[start, boi] = -1.0
        attention.v_proj.weight[start + 1, answer] = 1.0
        attention.o_proj.weight[:, start] = directions[head % 4]
        attention.o_proj.weight[:, start + 1] = directions[4 + head % 4]
    layer.post_self_attn_layernorm.weight.fill_(EARLY_GAIN)


def _place_key_chars(net: GuidedReader, grid: MonoGrid, directions: Tensor) -> None:
    """Layer 0 MLP: the j-th character after a tag goes to the slots where a key has its j-th."""
    layout, layer = net.layout, net.language.layers[0]
    rates = [10000.0 ** (-pair / 16) for pair, _ in PHASES]
    size, units = layout.slot_dims, layer.mlp.down_proj.weight.shape[1]
    gate_up, down = layer.mlp.gate_up_proj.weight, layer.mlp.down_proj.weight
    bins = grid.style.bins_per_token
    for j in range(min(KEY_CHARS, units // size)):
        parts = [
            math.cos(rate * (j + 1) + phase) for rate, (_, phase) in zip(rates, PHASES, strict=True)
        ]
        wanted = torch.tensor(parts) @ directions
        wanted = wanted / wanted.norm()
        net.index_probe.weight[j] = wanted
        for i in range(size):
            unit = j * size + i
            gate_up[unit] = wanted
            gate_up[unit, layout.flags + FLAG_CHAR] -= CHAR_THRESHOLD
            gate_up[units + unit] = 0
            gate_up[units + unit, i : layout.char_dims : size] = 1.5 / layout.num_slots**0.5
            down[:, unit] = 0
            for line in range(grid.style.lines_per_token):
                slot = line * bins + grid.slot(0, j)
                down[slot * size + i, unit] = 0.5
    layer.post_mlp_layernorm.weight.fill_(EARLY_GAIN)


def _start_probes(net: GuidedReader, grid: MonoGrid) -> None:
    """Probes begin at the codes they are to find, so that their first gradients mean something."""
    layout, size = net.layout, net.layout.slot_dims
    keys = net.key_probe.weight.view(KEY_CHARS, VOCABULARY, -1)
    keys.zero_()
    for j in range(KEY_CHARS):
        for line in range(grid.style.lines_per_token):
            start = (line * grid.style.bins_per_token + grid.slot(0, j)) * size
            keys[j, :, start : start + size] = net.codes.char_VD * 2
    net.line_probe.weight.zero_()
    for number in range(MAX_LINES):
        row, line = divmod(number, grid.style.lines_per_token)
        if row < len(net.codes.row_codes):
            code = net.codes.row_codes[row, layout.rows]
            net.line_probe.weight[number, layout.rows] = code
            net.line_probe.weight[number, layout.flags + FLAG_LINE + line] = 1.0


def _gather(net: GuidedReader, counts: Tensor) -> None:
    """GATHER_LAYER: the answer start takes up the characters of its query, slot by slot."""
    layout, layer = net.layout, net.language.layers[GATHER_LAYER]
    attention = layer.self_attn
    copy = torch.linalg.qr(torch.randn(layout.hidden, layout.hidden))[0]
    attention.v_proj.weight.copy_(_without(copy, counts))
    attention.o_proj.weight.copy_(copy.T)
    for start in range(0, layout.hidden, attention.head_dim):
        last = start + attention.head_dim - 1
        attention.q_proj.weight[last] = 0
        attention.k_proj.weight[last] = 0
        attention.q_proj.weight[last, layout.flags + FLAG_ANSWER] = 6.0
        attention.k_proj.weight[last, layout.flags + FLAG_CHAR] = 6.0
    layer.post_self_attn_layernorm.weight.fill_(EARLY_GAIN)


def _match(net: GuidedReader, counts: Tensor) -> None:
    """MATCH_LAYER: each head compares the slots of one line, else looks at BOI; rows are copied."""
    layout, layer = net.layout, net.language.layers[MATCH_LAYER]
    attention, style = layer.self_attn, net.style
    attention.o_proj.weight.mul_(0.05)
    attention.v_proj.weight.mul_(0.05)
    size, width = attention.head_dim, style.bins_per_token * layout.slot_dims
    num_rows = layout.cols.start - layout.rows.start
    for head in range(layout.hidden // size):
        line, start = head % style.lines_per_token, head * size
        weight = torch.zeros(size, layout.hidden)
        clean = size - 1 - CLEAN_START
        weight[CLEAN_START : size - 1, line * width : (line + 1) * width] = (
            torch.linalg.qr(torch.randn(width, clean))[0].T * 2.2
        )
        weight = _without(weight, counts)
        attention.q_proj.weight[start : start + size] = weight
        weight[size - 1, layout.flags + FLAG_PAGE] = 5.0
        attention.k_proj.weight[start : start + size] = weight
        attention.q_proj.bias[start + size - 1] = 6.0
        for i in range(num_rows):
            attention.v_proj.weight[start + i, layout.rows.start + i] = 1.0
            attention.o_proj.weight[layout.rows.start + i, start + i] = 0.5
        attention.v_proj.weight[start + num_rows, layout.flags + FLAG_VISUAL] = 1.0
        attention.o_proj.weight[layout.flags + FLAG_LINE + line, start + num_rows] = 1.0
    layer.post_self_attn_layernorm.weight.fill_(LATE_GAIN)


def _point(net: GuidedReader) -> None:
    """POINT_LAYER: answer positions copy row and line from the answer start."""
    layout, layer = net.layout, net.language.layers[POINT_LAYER]
    attention = layer.self_attn
    attention.o_proj.weight.mul_(0.05)
    attention.v_proj.weight.mul_(0.05)
    size = attention.head_dim
    copied = list(range(layout.rows.start, layout.rows.stop))
    copied += list(range(layout.flags + FLAG_LINE, layout.hidden))
    for start in range(0, layout.hidden, size):
        attention.k_proj.weight[start + size - 1] = 0
        attention.k_proj.weight[start + size - 1, layout.flags + FLAG_ANSWER] = 8.0
        attention.q_proj.bias[start + size - 1] = 8.0
        for i, dim in enumerate(copied):
            attention.v_proj.weight[start + i, dim] = 1.0
            attention.o_proj.weight[dim, start + i] = 0.25
    layer.post_self_attn_layernorm.weight.fill_(LATE_GAIN)


def _read(net: GuidedReader, directions: Tensor) -> None:
    """READ_LAYER: fetch the visual token of the wanted row and column, keep one slot of it."""
    layout, layer, style = net.layout, net.language.layers[READ_LAYER], net.style
    attention, size = layer.self_attn, layer.self_attn.head_dim
    num_place = layout.cols.stop - layout.rows.start
    for head in range(layout.hidden // size):
        start = head * size
        weight = torch.randn(size, layout.hidden) * 0.02
        place = torch.linalg.qr(torch.randn(size - CLEAN_START, num_place))[0] * 0.8
        weight[CLEAN_START:, layout.rows.start : layout.cols.stop] = place
        attention.q_proj.weight[start : start + size] = weight
        attention.k_proj.weight[start : start + size] = weight
    copy = torch.linalg.qr(torch.randn(layout.hidden, layout.hidden))[0]
    attention.v_proj.weight.copy_(copy)
    attention.o_proj.weight.copy_(copy.T)
    layer.post_self_attn_layernorm.weight.fill_(LATE_GAIN)
    gate_up, down = layer.mlp.gate_up_proj.weight, layer.mlp.down_proj.weight
    dims, units = layout.slot_dims, down.shape[1]
    for slot in range(layout.num_slots):
        line, place = divmod(slot, style.bins_per_token)
        wanted = directions[place].clone()
        wanted[layout.flags + FLAG_LINE + line] += 1.0
        net.slot_probe.weight[slot] = wanted * 2
        for i in range(dims):
            unit = slot * dims + i
            if unit >= units:
                break
            gate_up[unit] = wanted
            gate_up[units + unit] = 0
            gate_up[units + unit, slot * dims + i] = 1.5
            down[:, unit] = 0
            down[i : layout.char_dims : dims, unit] = 0.3
    layer.post_mlp_layernorm.weight.fill_(LATE_GAIN)


@torch.no_grad()
def center_queries(net: GuidedReader, batch: Batch) -> None:
    """Take out of the match queries what all queries have in common, which prefers no key.

    Args:
        net: After `structured_init`.
        batch: Pages with key queries, as training has them.
    """
    net(batch, net.codes(batch.slot_BRCK))
    layer = net.language.layers[MATCH_LAYER]
    row, at = batch.match_N4[:, :2].unbind(1)
    asking = layer.input_layernorm(net.entering[MATCH_LAYER][row, at])
    attention = layer.self_attn
    common = (asking @ attention.q_proj.weight.T).mean(0)
    for start in range(0, len(common), attention.head_dim):
        compared = slice(start + CLEAN_START, start + attention.head_dim - 1)
        attention.q_proj.bias[compared] = -common[compared]
