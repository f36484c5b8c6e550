"""What a set of weights can read and answer."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from glyph.errors import ReaderError
from glyph.readers.nano.spec import NanoSpec

TASKS = ("lookup", "needle", "line", "read", "quote", "present")
"""What a language model may be trained to answer; see `prompts`."""


@dataclass(frozen=True, slots=True)
class ReaderCard:
    """The file `reader.json` of a model folder.

    Attributes:
        style: Style of `nano.toml` on whose pages the language model was trained.
        preset: Preset that makes such pages.
        page_sizes_px: Width and height of the page sizes trained on.
        tasks: What may be asked, of TASKS.
        spec_digest: Of the specification the weights belong to.
    """

    style: str
    preset: str
    page_sizes_px: tuple[tuple[int, int], ...]
    tasks: tuple[str, ...]
    spec_digest: str

    def to_json(self) -> str:
        """Return the text of the file."""
        return json.dumps(asdict(self), indent=1) + "\n"


def read_card(folder: Path, spec: NanoSpec) -> ReaderCard:
    """Return the card of a model folder.

    Raises:
        ReaderError: The folder holds no model, or one of another specification.
    """
    path = folder / "reader.json"
    try:
        values: dict[str, Any] = json.loads(path.read_text("utf-8"))
        card = ReaderCard(
            style=str(values["style"]),
            preset=str(values["preset"]),
            page_sizes_px=tuple((int(w), int(h)) for w, h in values["page_sizes_px"]),
            tasks=tuple(map(str, values["tasks"])),
            spec_digest=str(values["spec_digest"]),
        )
    except FileNotFoundError:
        raise ReaderError(
            f"{folder} holds no nano model (no reader.json); train one with "
            "python -m glyph.train.nano, or give the folder of another as nano:FOLDER."
        ) from None
    except (ValueError, KeyError, TypeError):
        raise ReaderError(f"{path} is damaged; write the model folder again.") from None
    if card.spec_digest != spec_digest(spec, card.style):
        raise ReaderError(
            f"the model in {folder} was made for another nano.toml; use the version of the package "
            "it came with, or train and export it again."
        )
    return card


def model_digest(folder: Path) -> str:
    """Return the digest of a model folder's weights and card: what it reads depends on them."""
    sha = hashlib.sha256()
    for path in sorted(folder.glob("*")):
        if path.suffix in (".safetensors", ".json", ".onnx"):
            sha.update(f"{path.name} {path.stat().st_size}\n".encode())
            sha.update(path.read_bytes())
    return sha.hexdigest()


def spec_digest(spec: NanoSpec, style: str) -> str:
    """Return the digest of everything that weights depend on; comments do not count."""
    values = {
        "specials": spec.specials,
        "text": dict(spec.text),
        "vision": dict(spec.vision),
        "style": {k: v for k, v in asdict(spec.style(style)).items() if k != "about"},
    }
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
