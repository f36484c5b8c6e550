"""The network at run time: two onnxruntime sessions and the embedding table.

Shape key: B pages, H W page pixels, T visual tokens, S new positions, L all positions, D hidden
size, V vocabulary.
"""

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Int64, UInt8

from glyph.errors import ReaderError
from glyph.readers.nano.geometry import merge_order, place_embeddings, rotary_tables
from glyph.readers.nano.spec import CELL_PX, NanoSpec

TOKENS_AT_ONCE = 192
FILES = ("model.safetensors", "vision.onnx", "language.onnx")
EMBEDDING = "model.language_model.embed_tokens.weight"
PLACES = "model.visual.embeddings.position_embedding.weight"


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """What the language model says of new positions.

    Attributes:
        logits_BSV: Of the id that comes next.
        focus_BSL: Where it looks to read, mean over heads.
        held: Keys and values of all positions, for the next step.
    """

    logits_BSV: Float32[np.ndarray, "B S V"]
    focus_BSL: Float32[np.ndarray, "B S L"]
    held: tuple[Any, ...]


class Network:
    """Pages to visual tokens, embeddings to logits; plain arrays in and out.

    Args:
        folder: Model folder.
        spec: Sizes of the network.
        threads: Threads of one run; None uses every core.

    Raises:
        ReaderError: onnxruntime or a file is missing.
    """

    def __init__(self, folder: Path, spec: NanoSpec, threads: int | None = None):
        for name in FILES:
            if not (folder / name).is_file():
                raise ReaderError(
                    f"{folder} is not a whole nano model ({name} is missing); write it again with "
                    "python -m glyph.train.nano.export."
                )
        try:
            self._ort: Any = importlib.import_module("onnxruntime")
            safetensors: Any = importlib.import_module("safetensors.numpy")
        except ImportError as error:
            raise ReaderError(
                f"reader 'nano' needs {error.name}; install it with: "
                "pip install onnxruntime safetensors"
            ) from None
        weights: dict[str, Any] = safetensors.load_file(folder / "model.safetensors")
        self.embedding_VD: Float32[np.ndarray, "V D"] = weights[EMBEDDING].astype(np.float32)
        places = weights[PLACES].astype(np.float32)
        side = round(len(places) ** 0.5)
        self._place_GGD = places.reshape(side, side, -1)
        self._head_dim = int(spec.vision["hidden_size"]) // int(spec.vision["num_heads"])
        self._vision = self._session(folder / "vision.onnx", threads)
        self._language = self._session(folder / "language.onnx", threads)
        self._given = [entry.name for entry in self._language.get_inputs()]
        self._made = [entry.name for entry in self._language.get_outputs()]
        self._num_heads = int(spec.text["num_key_value_heads"])
        self._places = lru_cache(maxsize=8)(self._places_of)

    def _session(self, path: Path, threads: int | None) -> Any:
        options = self._ort.SessionOptions()
        options.log_severity_level = 3
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        if threads is not None:
            options.intra_op_num_threads = threads
        return self._ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def encode(self, plane_BHW: UInt8[np.ndarray, "B H W"]) -> Float32[np.ndarray, "B T D"]:
        """Return the visual tokens of grey pages of one size, row by row."""
        rows, cols = plane_BHW.shape[1] // CELL_PX, plane_BHW.shape[2] // CELL_PX
        cos_Nd, sin_Nd = rotary_tables(rows, cols, self._head_dim)
        feeds = {"place_ND": self._places(rows, cols), "cos_Nd": cos_Nd, "sin_Nd": sin_Nd}
        # Attention of one large page fills the processor's cache; more at once are slower.
        at_once = max(TOKENS_AT_ONCE // (rows * cols), 1)
        parts: list[np.ndarray] = []
        for start in range(0, len(plane_BHW), at_once):
            grey_BNP = merge_order(plane_BHW[start : start + at_once]).astype(np.float32) / 255
            parts += self._vision.run(None, {"grey_BNP": grey_BNP, **feeds})
        return np.concatenate(parts)

    def step(
        self,
        embeds_BSD: Float32[np.ndarray, "B S D"],
        position_3BS: Int64[np.ndarray, "3 B S"],
        mask_B1SL: Float32[np.ndarray, "B 1 S L"],
        held: Sequence[Any] = (),
    ) -> Step:
        """Run the language model over new positions.

        Args:
            embeds_BSD: Embeddings.
            position_3BS: M-RoPE positions.
            mask_B1SL: 0 where a position sees another, very negative where not.
            held: From the step before; empty at the start.
        """
        if not held:
            shape = (len(embeds_BSD), self._num_heads, 0, self._depth)
            empty = self._value(np.zeros(shape, np.float32))
            held = (empty,) * (len(self._given) - 3)
        new = [self._value(array) for array in (embeds_BSD, position_3BS, mask_B1SL)]
        feeds = dict(zip(self._given, [*new, *held], strict=True))
        # Values stay with onnxruntime: keys and values are many megabytes, copied at every step.
        made: list[Any] = list(self._language.run_with_ort_values(self._made, feeds))
        return Step(made[0].numpy(), made[1].numpy(), tuple(made[2:]))

    @property
    def _depth(self) -> int:
        return int(self._language.get_inputs()[3].shape[3])

    def _value(self, array: np.ndarray) -> Any:
        return self._ort.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(array))

    def _places_of(self, rows: int, cols: int) -> Float32[np.ndarray, "N D"]:
        return place_embeddings(self._place_GGD, rows, cols)
