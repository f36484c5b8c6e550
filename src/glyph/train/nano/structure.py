"""Initial weights from which lookup is learned in minutes instead of hours.

Layer 0 measures how far each character is from the tag of its query and moves key characters to
the slots where a page would have them; GATHER_LAYER collects them at the answer start; MATCH_LAYER
compares slots with slots and copies the row of what it found; POINT_LAYER hands that row to every
answer position; READ_LAYER fetches the visual token of the wanted row and column, and its MLP
keeps one slot of it. All of this is only a start: every weight is trained.
"""

# torch declares its types in part only.
# pyright: reportUnknownMemberType=false

import math

import torch
from torch import Tensor
from torch.nn import functional

from glyph.readers.nano.spec import NUM_SPECIALS, NanoSpec
from glyph.train.nano.circuit import (
    GATHER_LAYER,
    MATCH_LAYER,
    MAX_LINES,
    POINT_LAYER,
    READ_LAYER,
    GuidedReader,
)
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
    MonoGrid,
)
from glyph.train.nano.packing import KEY_CHARS, Batch

EMBEDDING_STD = 0.0625
FLAG_STD = 0.5
CHAR_THRESHOLD = 6.5
"""What the index of a key character must reach before layer 0 moves the character."""

EARLY_GAIN, LATE_GAIN = 0.15, 0.25
"""Weights of the norms behind attention and MLP where a part of the circuit writes."""

CLEAN_START = 20
"""Head dimensions from here on are hardly turned by position: slow width pairs, then none."""

TAGS = ("KEY", "NEEDLE", "LINE", "READ", "QUOTE", "PRESENT", "VAR")


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


@torch.no_grad()
def plain_init(net: GuidedReader, spec: NanoSpec) -> None:
    """Give the network weights that train at this size, without any circuit for visual tokens.

    Args:
        net: Freshly made.
        spec: Vocabulary.
    """
    _scale_all(net)
    _embed(net, spec)


def _quiet_directions(layout: CodeLayout, count: int) -> Tensor:
    """Return orthonormal directions that the sum over slots and the place dimensions do not see."""
    tiled = torch.randn(count, layout.num_slots, layout.slot_dims)
    tiled = (tiled - tiled.mean(1, keepdim=True)).view(count, -1)
    place = torch.zeros(count, layout.hidden - layout.char_dims)
    return _orthonormalise(torch.cat([tiled, place], 1).T).T


def _orthonormalise(matrix: Tensor) -> Tensor:
    return torch.linalg.qr(matrix).Q  # pyright: ignore[reportUnknownVariableType]


def _orthonormal(rows: int, columns: int) -> Tensor:
    """Return a random matrix with orthonormal columns; `rows` is not less than `columns`."""
    return _orthonormalise(torch.randn(rows, columns))


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
    table[NUM_SPECIALS:] = 0
    code = net.codes.char_VD[NUM_SPECIALS:] * (EMBEDDING_STD / CODE_STD)
    table[NUM_SPECIALS:, : layout.char_dims] = code.repeat(1, layout.num_slots)
    table[:, layout.char_dims :] = 0
    table[NUM_SPECIALS:, layout.flags + FLAG_CHAR] = FLAG_STD / 2
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
    layout, layer = net.layout, net.layer(0)
    attention, size = layer.self_attn, layer.self_attn.head_dim
    tag, answer = layout.flags + FLAG_TAG, layout.flags + FLAG_ANSWER
    boi = layout.flags + FLAG_PAGE
    for weight in (attention.k_proj.weight, attention.v_proj.weight, attention.o_proj.weight):
        weight.mul_(0.1)
    attention.q_proj.weight.mul_(0.1)
    sure, swing = 8.0, 2.0
    for head in range(layout.hidden // size):
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
    layout, layer = net.layout, net.layer(0)
    rates = [10000.0 ** (-pair / 16) for pair, _ in PHASES]
    size, units = layout.slot_dims, layer.mlp.down_proj.weight.shape[1]
    gate_up, down = layer.mlp.gate_up_proj.weight, layer.mlp.down_proj.weight
    bins = grid.style.bins_per_token
    for j in range(min(KEY_CHARS, units // size)):
        parts = [
            math.cos(rate * (j + 1) + phase) for rate, (_, phase) in zip(rates, PHASES, strict=True)
        ]
        wanted = functional.normalize(torch.tensor(parts) @ directions, dim=0)
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
            keys[j, :, start : start + size] = net.codes.char_VD
    net.line_probe.weight.zero_()
    for number in range(MAX_LINES):
        row, line = divmod(number, grid.style.lines_per_token)
        if row < len(net.codes.row_codes):
            code = net.codes.row_codes[row, layout.rows]
            net.line_probe.weight[number, layout.rows] = code
            net.line_probe.weight[number, layout.flags + FLAG_LINE + line] = 1.0


def _gather(net: GuidedReader, counts: Tensor) -> None:
    """GATHER_LAYER: the answer start takes up the characters of its query, slot by slot."""
    layout, layer = net.layout, net.layer(GATHER_LAYER)
    attention = layer.self_attn
    copy = _orthonormal(layout.hidden, layout.hidden)
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
    layout, layer = net.layout, net.layer(MATCH_LAYER)
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
            _orthonormal(width, clean).T * 2.2
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
    layout, layer = net.layout, net.layer(POINT_LAYER)
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
    layout, layer, style = net.layout, net.layer(READ_LAYER), net.style
    attention, size = layer.self_attn, layer.self_attn.head_dim
    num_place = layout.cols.stop - layout.rows.start
    for head in range(layout.hidden // size):
        start = head * size
        weight = torch.randn(size, layout.hidden) * 0.02
        place = _orthonormal(size - CLEAN_START, num_place) * 0.8
        weight[CLEAN_START:, layout.rows.start : layout.cols.stop] = place
        attention.q_proj.weight[start : start + size] = weight
        attention.k_proj.weight[start : start + size] = weight
    copy = _orthonormal(layout.hidden, layout.hidden)
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
    """Take out of the answer starts what all of them have in common, which prefers no key.

    Args:
        net: After `structured_init`.
        batch: Pages with key queries, as training has them.
    """
    net(batch, net.codes(batch.slot_BRCK))
    layer = net.layer(MATCH_LAYER)
    row, at = batch.match_N4[:, :2].unbind(1)
    held = net.entering[MATCH_LAYER][row, at]
    net.key_probe.bias.copy_(-net.key_probe.weight @ held.mean(0))
    asking = layer.input_layernorm(held)
    attention = layer.self_attn
    common = (asking @ attention.q_proj.weight.T).mean(0)
    for start in range(0, len(common), attention.head_dim):
        compared = slice(start + CLEAN_START, start + attention.head_dim - 1)
        attention.q_proj.bias[compared] = -common[compared]
