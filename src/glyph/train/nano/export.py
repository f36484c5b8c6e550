"""From trained weights to a model folder that transformers and the reader both load.

    python -m glyph.train.nano.export weights.pt MODEL_FOLDER --style A --size 336x448 \\
        --task lookup --task needle --task line

The folder holds `config.json`, `generation_config.json`, `model.safetensors` (half precision),
tokenizer and image processor for plain transformers, two ONNX graphs that refer to the same
weights, and `reader.json`: what the reader may be asked and which pages it reads.
"""

# torch and tokenizers declare their types in part only.
# pyright: reportUnknownMemberType=false, reportMissingTypeStubs=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

import argparse
import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers
from torch import Tensor
from transformers import (
    GenerationConfig,
    Glm4vForConditionalGeneration,
    PreTrainedTokenizerFast,
)
from transformers.models.glm4v.image_processing_pil_glm4v import Glm4vImageProcessorPil

from glyph.errors import ConfigError
from glyph.readers.nano.card import TASKS, ReaderCard, spec_digest
from glyph.readers.nano.scan import CODES
from glyph.readers.nano.spec import CELL_PX, NUM_SPECIALS, OTHER_ID, NanoSpec, load_spec
from glyph.train.nano.circuit import load_reader
from glyph.train.nano.graphs import export_graphs
from glyph.train.nano.model import glm4v_config

STOCK_NAMES = {
    "IMAGE": "<|image|>",
    "BOI": "<|begin_of_image|>",
    "EOI": "<|end_of_image|>",
    "VIDEO": "<|video|>",
    "BOV": "<|begin_of_video|>",
    "EOV": "<|end_of_video|>",
    "NL": "\n",
}
MAX_IMAGE_PX = 588 * 840


def export_model(
    weights: Mapping[str, Tensor],
    folder: Path,
    *,
    style: str,
    page_sizes_px: Sequence[tuple[int, int]],
    tasks: Sequence[str],
    preset: str,
    codes: Mapping[str, Tensor],
) -> None:
    """Write a model folder; it appears complete or not at all.

    Args:
        weights: State of a `Glm4vForConditionalGeneration` of the specification.
        folder: Made or replaced.
        style: Page style the weights were trained on.
        page_sizes_px: Width and height of the pages they were trained on.
        tasks: What they were trained to answer.
        preset: Preset of that style.
        codes: Code tables of every style that the tower speaks, by name; see `write_codes`.

    Raises:
        ConfigError: Weights, style or tasks do not fit the specification.
    """
    spec = load_spec()
    unknown = sorted(set(tasks) - set(TASKS))
    if unknown:
        raise ConfigError(f"unknown task '{unknown[0]}'; tasks: {', '.join(TASKS)}.")
    model = model_of(weights, spec)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as aside:
        made = Path(aside) / "model"
        write_transformers(model, spec, made)
        export_graphs(model.config, made)
        write_codes(codes, made)
        card = ReaderCard(
            style=style,
            preset=preset,
            page_sizes_px=tuple(sorted(page_sizes_px)),
            tasks=tuple(tasks),
            spec_digest=spec_digest(spec, style),
        )
        (made / "reader.json").write_text(card.to_json(), "utf-8")
        if folder.exists():
            shutil.rmtree(folder)
        made.replace(folder)


def load_joint(checkpoint: Path) -> tuple[dict[str, Tensor], dict[str, Tensor], str]:
    """Return weights, code tables by style, and the style of a joint training's checkpoint."""
    saved: Any = torch.load(checkpoint, map_location="cpu", weights_only=False)
    net = load_reader(checkpoint)
    net.model.model.visual.load_state_dict(saved["tower"])
    name = str(saved["style"])
    codes = {name: net.codes.slot_codes.detach()}
    for key, table in saved["codes"].items():
        other, _, part = key.partition(".")
        if part == "slot_codes":
            codes[other] = table
    return dict(net.model.state_dict()), codes, name


def write_codes(codes: Mapping[str, Tensor], folder: Path) -> None:
    """Write the code words by which the tower's visual tokens are read aloud.

    Args:
        codes: For each style the table of `OracleCode`: slots times vocabulary, by width.
        folder: Model folder.
    """
    spec = load_spec()
    words: dict[str, Tensor] = {}
    for name, table in codes.items():
        word_KVD = table.unflatten(0, (spec.style(name).num_slots, -1))[:, NUM_SPECIALS:]
        empty = torch.zeros_like(word_KVD[:, :1])
        words[name] = torch.cat([empty, word_KVD], 1).half().contiguous()
    save_file(words, folder / CODES)


def model_of(weights: Mapping[str, Tensor], spec: NanoSpec) -> Glm4vForConditionalGeneration:
    """Return the network with these weights in half precision.

    Raises:
        ConfigError: A weight is missing or has no place.
    """
    model = Glm4vForConditionalGeneration(glm4v_config(spec))
    state = {name: value.float() for name, value in weights.items()}
    outcome: Any = model.load_state_dict(state, strict=False)
    missing: list[str] = [name for name in outcome.missing_keys if name != "lm_head.weight"]
    wrong = [*missing, *outcome.unexpected_keys]
    if wrong:
        raise ConfigError(
            f"the weights do not fit nano.toml: {len(wrong)} names differ, first '{wrong[0]}'; "
            "give the state of a Glm4vForConditionalGeneration of this specification."
        )
    return model.half().eval()


def write_transformers(model: Glm4vForConditionalGeneration, spec: NanoSpec, folder: Path) -> None:
    """Write everything that plain transformers loads, without torchvision."""
    special = spec.special
    model.generation_config = GenerationConfig(
        pad_token_id=special("PAD"),
        bos_token_id=special("BOS"),
        eos_token_id=special("EOS"),
        do_sample=False,
        max_new_tokens=128,
    )
    model.save_pretrained(folder)
    tokenizer_of(spec).save_pretrained(folder)
    # transformers counts two frames, so it enlarges pages below 8 visual tokens unless told so.
    size = {"shortest_edge": CELL_PX**2, "longest_edge": 2 * MAX_IMAGE_PX}
    Glm4vImageProcessorPil(size=size).save_pretrained(folder)


def tokenizer_of(spec: NanoSpec) -> PreTrainedTokenizerFast:
    """Return the character tokenizer as transformers knows it; specials look like `<|key|>`."""
    names = {name: STOCK_NAMES.get(name, f"<|{name.lower()}|>") for name in spec.specials}
    vocabulary = {name: number for number, name in enumerate(names.values())}
    vocabulary |= {chr(code): code for code in range(NUM_SPECIALS, OTHER_ID)}
    vocabulary["<|other|>"] = OTHER_ID
    backend = Tokenizer(models.WordLevel(vocabulary, unk_token="<|other|>"))
    backend.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    backend.decoder = decoders.Fuse()
    marks = [name for name in names.values() if name != "\n"]
    backend.add_special_tokens([AddedToken(mark, normalized=False) for mark in marks])
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        unk_token="<|other|>",
        pad_token=names["PAD"],
        bos_token=names["BOS"],
        eos_token=names["EOS"],
        clean_up_tokenization_spaces=False,
    )


def main() -> None:
    """Export from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("checkpoint", type=Path, help="last.pt of a joint training")
    parser.add_argument("folder", type=Path, help="model folder to write")
    parser.add_argument("--preset", default="nano")
    parser.add_argument("--size", action="append", metavar="WxH", help="page size in px; repeat")
    parser.add_argument("--task", action="append", choices=TASKS, help="repeat")
    given = parser.parse_args()
    weights, codes, style = load_joint(given.checkpoint)
    sizes = [tuple(map(int, size.split("x"))) for size in given.size or ["336x448"]]
    export_model(
        weights,
        given.folder,
        style=style,
        page_sizes_px=[(width, height) for width, height in sizes],
        tasks=given.task or ["lookup", "line"],
        preset=given.preset,
        codes=codes,
    )
    total = sum(path.stat().st_size for path in given.folder.iterdir())
    print(json.dumps({"folder": str(given.folder), "bytes": total}))


if __name__ == "__main__":
    main()
