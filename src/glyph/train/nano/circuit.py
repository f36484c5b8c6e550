"""The small language model with guides and probes that teach it to look up and read.

The network is the stock `Glm4vForConditionalGeneration`; its start comes from `structure.py`.
Training supervises what the layout knows: layer 1 gathers the key at the answer start, MATCH_LAYER
finds the visual token of the key, POINT_LAYER tells every answer position which line that was,
READ_LAYER fetches the visual token of the next character. Guides (on attention) and probes (linear)
exist in training only: the weights load in plain transformers.

Shape key: B rows, L positions, H heads, D hidden width, T visual tokens, N listed positions.
"""

# torch declares its types in part only.
# pyright: reportUnknownMemberType=false

from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional
from transformers import AttentionInterface, Glm4vForConditionalGeneration

from glyph.errors import ConfigError
from glyph.readers.nano.spec import NanoSpec, NanoStyle, load_spec
from glyph.train.nano.model import glm4v_config
from glyph.train.nano.oracle import VOCABULARY, CodeLayout, OracleCode
from glyph.train.nano.packing import IGNORE, KEY_CHARS, Batch

GATHER_LAYER, MATCH_LAYER, POINT_LAYER, READ_LAYER = 1, 2, 3, 4
GUIDED_LAYERS = (MATCH_LAYER, POINT_LAYER, READ_LAYER)
ATTENTION = "glyph_guided"
KEY_INDICES = 16
MAX_LINES = 96


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
        self.model = Glm4vForConditionalGeneration(config)
        self.model.set_attn_implementation({"text_config": ATTENTION})
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
            self.layer(number).register_forward_pre_hook(self._keep(number), with_kwargs=True)

    def _keep(self, number: int) -> Any:
        def hook(_module: nn.Module, args: tuple[Tensor, ...], kwargs: dict[str, Tensor]) -> None:
            self.entering[number] = args[0] if args else kwargs["hidden_states"]

        return hook

    def layer(self, number: int) -> Any:
        """Return a decoder layer of the language model."""
        return self.language.layers[number]

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
        self, batch: Batch, codes_BTD: Float[Tensor, "B T D"]
    ) -> tuple[dict[str, Tensor], Bool[Tensor, "B L"]]:
        """Return the parts of the loss and where the next id was predicted right.

        Args:
            batch: From `pack`.
            codes_BTD: Embeddings of the visual tokens: oracle codes, or what the tower says.
        """
        with recording() as attention:
            hidden = self(batch, codes_BTD)
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
def recording() -> Generator[dict[int, Tensor]]:
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
    assert attention_mask is not None
    scores = query @ key.transpose(2, 3) * scaling + attention_mask
    _recorded[int(layer)] = scores
    return (functional.softmax(scores, -1) @ value).transpose(1, 2).contiguous(), None


AttentionInterface.register(ATTENTION, _guided_attention)


def load_trained(net: GuidedReader, weights: Mapping[str, torch.Tensor]) -> None:
    """Put saved weights into a reader; the vision tower keeps its own.

    Args:
        net: Reader of the same style and spec.
        weights: From a checkpoint of this module.

    Raises:
        ConfigError: The names differ.
    """
    own = dict(net.trained())
    if own.keys() != weights.keys():
        odd = sorted(own.keys() ^ weights.keys())
        raise ConfigError(
            f"the checkpoint does not fit this reader: {len(odd)} weights differ, first "
            f"'{odd[0]}'; give the style and nano.toml it was trained with."
        )
    with torch.no_grad():
        for name, parameter in own.items():
            parameter.copy_(weights[name])


def load_checkpoint(net: GuidedReader, checkpoint: Path) -> None:
    """Put the weights of a checkpoint file into a reader of the same style and spec."""
    saved = torch.load(checkpoint, weights_only=False)
    load_trained(net, saved["weights"])
    net.codes.char_VD.copy_(saved["code_chars"])


def load_reader(checkpoint: Path) -> GuidedReader:
    """Return the reader of a checkpoint, ready to evaluate."""
    style = torch.load(checkpoint, weights_only=False)["style"]
    spec = load_spec()
    net = GuidedReader(spec, spec.style(style))
    load_checkpoint(net, checkpoint)
    return net.eval()
