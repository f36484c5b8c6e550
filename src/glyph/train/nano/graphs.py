"""The network as two ONNX graphs that hold no weights of their own.

One graph turns patches into visual tokens, one predicts text; each serves every page size and
batch. They are written out operation by operation, which takes milliseconds, needs no tracer and
keeps them small. Their weights are *references into* `model.safetensors`: half precision there,
cast when a session opens, so that no weight is stored twice.

Sums and permutations of weights (the six copies of a grey pixel, the halves that rotary embedding
turns) are written as operations on constants; onnxruntime does them once.

Shape key: B pages, N patches, P pixels of a patch, S new positions, L all positions, H heads,
d head size, D hidden size, F rotary frequencies, E size of visual tokens.
"""

# onnx declares its types in part only.
# pyright: reportUnknownMemberType=false, reportMissingTypeStubs=false
# pyright: reportUnknownVariableType=false

import json
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from transformers import Glm4vConfig

from glyph.readers.nano.geometry import CLIP_MEAN, CLIP_STD, MERGE
from glyph.readers.nano.spec import PATCH_PX
from glyph.train.nano.circuit import READ_LAYER

OPSET, IR_VERSION = 18, 9
WEIGHTS = "model.safetensors"
EMBEDDING = "model.language_model.embed_tokens.weight"
VISUAL, LANGUAGE = "model.visual.", "model.language_model."
Stored = dict[str, tuple[int, int, list[int]]]


def export_graphs(config: Glm4vConfig, folder: Path) -> None:
    """Write `vision.onnx` and `language.onnx` beside the weights they refer to.

    Args:
        config: Of the network.
        folder: With `model.safetensors`, in half precision, in it.
    """
    stored = stored_tensors(folder / WEIGHTS)
    graphs = {"vision": vision_graph(config, stored), "language": language_graph(config, stored)}
    for name, graph in graphs.items():
        aside = folder / f"{name}.onnx.part"
        aside.write_bytes(graph.SerializeToString())
        onnx.checker.check_model(str(aside))
        aside.replace(folder / f"{name}.onnx")


def stored_tensors(path: Path) -> Stored:
    """Return offset, length and shape of each tensor in a safetensors file of half precision."""
    with path.open("rb") as source:
        (size,) = struct.unpack("<Q", source.read(8))
        header: dict[str, Any] = json.loads(source.read(size))
    header.pop("__metadata__", None)
    found: Stored = {}
    for name, entry in header.items():
        assert entry["dtype"] == "F16", f"{name} is {entry['dtype']}"
        start, end = entry["data_offsets"]
        found[name] = (8 + size + start, end - start, entry["shape"])
    return found


class Builder:
    """Collects the operations of a graph; every method returns the name of a value."""

    def __init__(self, stored: Stored, prefix: str):
        self.stored = stored
        self.prefix = prefix
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[TensorProto] = []
        self.known: dict[str, str] = {}

    def add(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Add an operation with one output."""
        return self.add_many(kind, 1, *inputs, **attributes)[0]

    def add_many(self, kind: str, count: int, *inputs: str, **attributes: Any) -> list[str]:
        """Add an operation with several outputs."""
        outputs = [f"v{len(self.nodes)}.{i}" for i in range(count)]
        self.nodes.append(helper.make_node(kind, list(inputs), outputs, **attributes))
        return outputs

    def constant(self, value: Any, dtype: Any = np.float32) -> str:
        """Return a constant; equal ones are one."""
        array = np.asarray(value, dtype)
        key = f"{array.dtype}{array.shape}{array.tobytes()!r}"
        if key not in self.known:
            self.known[key] = f"c{len(self.known)}"
            self.constants.append(numpy_helper.from_array(array, self.known[key]))
        return self.known[key]

    def ints(self, *values: int) -> str:
        """Return a vector of whole numbers."""
        return self.constant(values, np.int64)

    def weight(self, name: str) -> str:
        """Return a weight of the model in single precision."""
        full = name if name in self.stored else self.prefix + name
        if full not in self.known:
            offset, length, shape = self.stored[full]
            tensor = TensorProto(name=full, data_type=TensorProto.FLOAT16, dims=shape)
            tensor.data_location = TensorProto.EXTERNAL
            for key, value in (("location", WEIGHTS), ("offset", offset), ("length", length)):
                tensor.external_data.add(key=key, value=str(value))
            self.constants.append(tensor)
            self.known[full] = self.add("Cast", full, to=TensorProto.FLOAT)
        return self.known[full]

    def linear(self, given: str, name: str) -> str:
        """Apply a linear layer without bias."""
        weight = self.add("Transpose", self.weight(f"{name}.weight"), perm=[1, 0])
        return self.add("MatMul", given, weight)

    def rms_norm(self, given: str, name: str, epsilon: float) -> str:
        """Divide by the root mean square and scale."""
        square = self.add("Pow", given, self.constant(2.0))
        mean = self.add("ReduceMean", square, self.ints(-1), keepdims=1)
        root = self.add("Sqrt", self.add("Add", mean, self.constant(epsilon)))
        return self.add("Mul", self.add("Div", given, root), self.weight(f"{name}.weight"))

    def gelu(self, given: str) -> str:
        """Apply GELU in its exact form."""
        erf = self.add("Erf", self.add("Div", given, self.constant(2**0.5)))
        both = self.add("Mul", given, self.add("Add", erf, self.constant(1.0)))
        return self.add("Mul", both, self.constant(0.5))

    def gated(self, gate: str, value: str) -> str:
        """Multiply by SiLU of the gate."""
        return self.add("Mul", self.add("Mul", gate, self.add("Sigmoid", gate)), value)

    def split(self, given: str, sizes: Sequence[int]) -> list[str]:
        """Cut along the last axis."""
        return self.add_many("Split", len(sizes), given, self.ints(*sizes), axis=-1)

    def heads(self, given: str, num_heads: int) -> str:
        """Reshape B S D to B H S d."""
        shaped = self.add("Reshape", given, self.ints(0, 0, num_heads, -1))
        return self.add("Transpose", shaped, perm=[0, 2, 1, 3])

    def joined(self, given: str) -> str:
        """Reshape B H S d to B S D."""
        turned = self.add("Transpose", given, perm=[0, 2, 1, 3])
        return self.add("Reshape", turned, self.ints(0, 0, -1))

    def attention_weights(self, query: str, key: str, head_dim: int, mask: str = "") -> str:
        """Return the softmax of scaled products, B H S L."""
        product = self.add("MatMul", query, self.add("Transpose", key, perm=[0, 1, 3, 2]))
        scores = self.add("Mul", product, self.constant(head_dim**-0.5))
        return self.add("Softmax", self.add("Add", scores, mask) if mask else scores, axis=-1)

    def model(
        self, name: str, inputs: dict[str, list[Any]], outputs: dict[str, str]
    ) -> onnx.ModelProto:
        """Return the graph; inputs have shapes, outputs the values they name.

        Args:
            name: Of the graph.
            inputs: Shape of each; `position` inputs are whole numbers.
            outputs: Value of each.
        """
        nodes = [*self.nodes]
        nodes += [helper.make_node("Identity", [value], [key]) for key, value in outputs.items()]
        given = [
            helper.make_tensor_value_info(
                key, TensorProto.INT64 if key.startswith("position") else TensorProto.FLOAT, shape
            )
            for key, shape in inputs.items()
        ]
        ranks = {key: 4 if key.startswith("present") else 3 for key in outputs}
        made = [
            helper.make_tensor_value_info(key, TensorProto.FLOAT, [None] * rank)
            for key, rank in ranks.items()
        ]
        graph = helper.make_graph(nodes, name, given, made, self.constants)
        return helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION
        )


def vision_graph(config: Glm4vConfig, stored: Stored) -> onnx.ModelProto:
    """Return the graph from grey patches in merge order to visual tokens, row by row."""
    vision: Any = config.vision_config
    build = Builder(stored, VISUAL)
    size, num_heads, epsilon = vision.hidden_size, vision.num_heads, vision.rms_norm_eps
    hidden = build.rms_norm(_embed_patches(build, "grey_BNP"), "post_conv_layernorm", epsilon)
    hidden = build.add("Add", hidden, "place_ND")
    for number in range(vision.depth):
        block = f"blocks.{number}"
        normed = build.rms_norm(hidden, f"{block}.norm1", epsilon)
        parts = build.split(build.linear(normed, f"{block}.attn.qkv"), [size] * 3)
        query, key, value = (build.heads(part, num_heads) for part in parts)
        query, key = (_turn_halves(build, part, size // num_heads) for part in (query, key))
        weights = build.attention_weights(query, key, size // num_heads)
        mixed = build.joined(build.add("MatMul", weights, value))
        hidden = build.add("Add", hidden, build.linear(mixed, f"{block}.attn.proj"))
        normed = build.rms_norm(hidden, f"{block}.norm2", epsilon)
        hidden = build.add("Add", hidden, _gated_mlp(build, normed, f"{block}.mlp"))
    hidden = build.rms_norm(hidden, "post_layernorm", epsilon)
    dims = ["4 tokens", size // num_heads]
    inputs = {
        "grey_BNP": ["pages", "4 tokens", PATCH_PX**2],
        "place_ND": ["4 tokens", size],
        "cos_Nd": dims,
        "sin_Nd": dims,
    }
    return build.model("vision", inputs, {"token_BTE": _merge(build, hidden, size)})


def _embed_patches(build: Builder, grey: str) -> str:
    """Three channels and two frames of a grey page are one number: sum their weights first."""
    pixels = PATCH_PX**2
    kernel = build.weight("patch_embed.proj.weight")
    flat = build.add("Reshape", kernel, build.ints(0, 0, 2, pixels))
    frames = build.add("ReduceSum", flat, build.ints(2), keepdims=0)
    scale = 1 / np.array(CLIP_STD)
    scaled = build.add("Mul", frames, build.constant(scale[:, None]))
    weight = build.add("ReduceSum", scaled, build.ints(1), keepdims=0)
    shifted = build.add("Mul", scaled, build.constant(np.array(CLIP_MEAN)[:, None]))
    shift = build.add("ReduceSum", shifted, build.ints(1, 2), keepdims=0)
    bias = build.add("Sub", build.weight("patch_embed.proj.bias"), shift)
    product = build.add("MatMul", grey, build.add("Transpose", weight, perm=[1, 0]))
    return build.add("Add", product, bias)


def _turn_halves(build: Builder, given: str, head_dim: int) -> str:
    """Turn the first half of each head against the second."""
    first, second = build.split(given, [head_dim // 2] * 2)
    swapped = build.add("Concat", build.add("Neg", second), first, axis=-1)
    straight = build.add("Mul", given, "cos_Nd")
    return build.add("Add", straight, build.add("Mul", swapped, "sin_Nd"))


def _gated_mlp(build: Builder, given: str, name: str) -> str:
    gate = build.linear(given, f"{name}.gate_proj")
    value = build.linear(given, f"{name}.up_proj")
    return build.linear(build.gated(gate, value), f"{name}.down_proj")


def _merge(build: Builder, hidden: str, size: int) -> str:
    """Join the four patches of each visual token, which follow each other."""
    kernel = build.add("Transpose", build.weight("downsample.weight"), perm=[2, 3, 1, 0])
    weight = build.add("Reshape", kernel, build.ints(MERGE**2 * size, -1))
    joined = build.add("Reshape", hidden, build.ints(0, -1, MERGE**2 * size))
    token = build.add("MatMul", joined, weight)
    token = build.add("Add", token, build.weight("downsample.bias"))
    normed = build.add(
        "LayerNormalization",
        build.linear(token, "merger.proj"),
        build.weight("merger.post_projection_norm.weight"),
        build.weight("merger.post_projection_norm.bias"),
        epsilon=1e-5,
    )
    return _gated_mlp(build, build.gelu(normed), "merger")


def language_graph(config: Glm4vConfig, stored: Stored) -> onnx.ModelProto:
    """Return the graph from embeddings to logits, with keys and values of all positions so far.

    `focus_BSL` is the attention of READ_LAYER, mean over heads: where each character was read.
    Keys are kept in the order the graph turns them in, which is not that of transformers.
    """
    text: Any = config.text_config
    build = Builder(stored, LANGUAGE)
    num_heads, epsilon = text.num_attention_heads, text.rms_norm_eps
    head_dim = text.hidden_size // num_heads
    turn = _angles(build, text.rope_parameters, head_dim)
    hidden, outputs = "embeds_BSD", {"logits_BSV": "", "focus_BSL": ""}
    for number in range(text.num_hidden_layers):
        layer = f"layers.{number}"
        normed = build.rms_norm(hidden, f"{layer}.input_layernorm", epsilon)
        query, key, value = _projected(build, normed, f"{layer}.self_attn", num_heads, head_dim)
        query, key = (_turn_pairs(build, part, turn, head_dim) for part in (query, key))
        key = build.add("Concat", f"past_key_{number}", key, axis=2)
        value = build.add("Concat", f"past_value_{number}", value, axis=2)
        weights = build.attention_weights(query, key, head_dim, "mask_B1SL")
        mixed = build.joined(build.add("MatMul", weights, value))
        mixed = build.linear(mixed, f"{layer}.self_attn.o_proj")
        mixed = build.rms_norm(mixed, f"{layer}.post_self_attn_layernorm", epsilon)
        hidden = build.add("Add", hidden, mixed)
        normed = build.rms_norm(hidden, f"{layer}.post_attention_layernorm", epsilon)
        both = build.linear(normed, f"{layer}.mlp.gate_up_proj")
        thought = build.gated(*build.split(both, [text.intermediate_size] * 2))
        thought = build.linear(thought, f"{layer}.mlp.down_proj")
        thought = build.rms_norm(thought, f"{layer}.post_mlp_layernorm", epsilon)
        hidden = build.add("Add", hidden, thought)
        outputs |= {f"present_key_{number}": key, f"present_value_{number}": value}
        if number == READ_LAYER:
            outputs["focus_BSL"] = build.add("ReduceMean", weights, build.ints(1), keepdims=0)
    vocabulary = build.add("Transpose", build.weight(EMBEDDING), perm=[1, 0])
    outputs["logits_BSV"] = build.add("MatMul", build.rms_norm(hidden, "norm", epsilon), vocabulary)
    return build.model("language", _language_inputs(config), outputs)


def _language_inputs(config: Glm4vConfig) -> dict[str, list[Any]]:
    text: Any = config.text_config
    held = ["pages", text.num_key_value_heads, "past", text.hidden_size // text.num_attention_heads]
    inputs: dict[str, list[Any]] = {
        "embeds_BSD": ["pages", "new", text.hidden_size],
        "position_3BS": [3, "pages", "new"],
        "mask_B1SL": ["pages", 1, "new", "past + new"],
    }
    for number in range(text.num_hidden_layers):
        inputs |= {f"past_key_{number}": held, f"past_value_{number}": held}
    return inputs


def _angles(build: Builder, rope: dict[str, Any], head_dim: int) -> tuple[str, str]:
    """Return cosine and sine, B 1 S F; each frequency turns by one of the three positions."""
    turned = int(head_dim * rope["partial_rotary_factor"])
    rate_F = float(rope["rope_theta"]) ** (-np.arange(0, turned, 2, dtype=np.float32) / turned)
    axis_F = np.repeat(np.arange(len(rope["mrope_section"])) % 3, rope["mrope_section"])
    rate_3F = np.where(np.arange(3)[:, None] == axis_F, rate_F, 0)
    position = build.add("Cast", "position_3BS", to=TensorProto.FLOAT)
    position = build.add("Unsqueeze", position, build.ints(2, 4))
    angles = build.add("Mul", position, build.constant(rate_3F[:, None, None, None]))
    angle = build.add("ReduceSum", angles, build.ints(0), keepdims=0)
    return build.add("Cos", angle), build.add("Sin", angle)


def _projected(
    build: Builder, given: str, name: str, num_heads: int, head_dim: int
) -> tuple[str, str, str]:
    """Return query, key and value, B H S d, from one product."""
    # Rotary embedding turns neighbouring dimensions; sorted apart they are two plain blocks.
    turned = head_dim // 2
    one = [*range(0, turned, 2), *range(1, turned, 2), *range(turned, head_dim)]
    order = build.ints(*(head * head_dim + i for head in range(num_heads) for i in one))
    parts = {
        kind: [build.weight(f"{name}.{side}_proj.{kind}") for side in "qkv"]
        for kind in ("weight", "bias")
    }
    joined: dict[str, str] = {}
    for kind, (query, key, value) in parts.items():
        sorted_ones = [build.add("Gather", part, order, axis=0) for part in (query, key)]
        joined[kind] = build.add("Concat", *sorted_ones, value, axis=0)
    weight = build.add("Transpose", joined["weight"], perm=[1, 0])
    product = build.add("Add", build.add("MatMul", given, weight), joined["bias"])
    query, key, value = (
        build.heads(part, num_heads) for part in build.split(product, [num_heads * head_dim] * 3)
    )
    return query, key, value


def _turn_pairs(build: Builder, given: str, turn: tuple[str, str], head_dim: int) -> str:
    quarter = head_dim // 4
    even, odd, rest = build.split(given, [quarter, quarter, head_dim - 2 * quarter])
    cos, sin = turn
    first = build.add("Sub", build.add("Mul", even, cos), build.add("Mul", odd, sin))
    second = build.add("Add", build.add("Mul", odd, cos), build.add("Mul", even, sin))
    return build.add("Concat", first, second, rest, axis=-1)
