"""Studio: what happens when a file is dropped or a slider moves; the page is wired to it."""

# pyright: basic, reportMissingImports=false, reportPrivateImportUsage=false

import time
from collections.abc import Iterator
from contextlib import suppress
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder

from glyph.api import preset_of
from glyph.asking import SIDECAR_SHARE
from glyph.config import RenderConfig
from glyph.documents import Document, document_from_text
from glyph.errors import ConfigError, GlyphError
from glyph.intake import open_document
from glyph.presets import load_preset
from glyph.serve.playground import looks, meter
from glyph.serve.playground.desk import MAX_CHARS, Desk, View
from glyph.sidecar import build_sidecar
from glyph.text_tokens import count_text_tokens

AUTO = "by model"
SAMPLE = "\n".join(
    f"Order {4700 + i}: {3 * i + 2} crates of lamp oil for the keeper of light {i}, paid in full."
    for i in range(1, 160)
)


class Studio:
    """The desk with everything that is worked out from it.

    Attributes:
        desk: Documents and views.
        meter: Counts tokens.
        sidecar_share: Tokens for exact strings, as a share of the tokens saved.
    """

    sidecar_share = SIDECAR_SHARE

    def __init__(self) -> None:
        self.desk = Desk()
        self.meter = meter.Meter()

    # -- documents ---------------------------------------------------------------------------

    def open_file(self, path: str | None, preset: str, model: str) -> list[Any]:
        """Take a dropped file in; return the document's name, and theta as for `preset`.

        The upload is deleted at once: the desk holds its text, and no disk does.
        """
        if path is None:
            raise gr.Error("no file came.", print_exception=False)
        try:
            name = self.desk.take(open_document(Path(path)))
        except GlyphError as error:
            raise gr.Error(str(error), print_exception=False) from None
        finally:
            _throw_away(Path(path))
        return [name, *self.preset(preset, model, name)]

    def open_text(self, text: str) -> str:
        """Take a pasted text in and return the document's name, "" for no text."""
        if not text.strip():
            return ""
        try:
            return self.desk.take(document_from_text(text[: MAX_CHARS + 1]))
        except GlyphError as error:
            raise gr.Error(str(error), print_exception=False) from None

    def document(self, name: str) -> Document:
        """Return an open document; the sample when there is none yet."""
        found = self.desk.document(name) if name else None
        if name and found is None:
            raise gr.Error("this text was put away; drop it again.", print_exception=False)
        return found or document_from_text(SAMPLE, name="sample", kind="prose", unwrap=False)

    # -- theta -------------------------------------------------------------------------------

    def preset(self, preset: str, model: str, name: str) -> list[Any]:
        """Return a preset's config and what the controls show of it."""
        chosen = preset
        if preset == AUTO:
            chosen = preset_of(model, is_code=self.document(name).kind == "code")
        config = load_preset(chosen)
        return [config, *looks.values_of(config)]

    def draw(self, name: str, model: str, models: list[str], base: RenderConfig,
             *values: Any) -> Iterator[tuple[Any, ...]]:  # fmt: skip
        """Yield view, headline, meter, warnings; the pages first, since counting takes longer."""
        began = time.perf_counter()
        try:
            view = self.desk.lay_out(self.document(name), looks.config_of(base, list(values)))
        except ConfigError as error:
            words = f'<p class="gl-error" role="alert">{escape(str(error))}</p>'
            yield gr.skip(), gr.skip(), gr.skip(), words
            return
        seconds = time.perf_counter() - began
        yield view.name, gr.skip(), gr.skip(), gr.skip()
        costs = self.meter.costs(view, [model, *models])
        own = costs[0]
        yield (
            view.name,
            meter.headline(view, own, seconds),
            meter.table(costs),
            meter.warnings(view, own),
        )

    def view(self, name: str) -> View:
        """Return an open view."""
        found = self.desk.view(name) if name else None
        if found is None:
            raise gr.Error("there are no pages yet; drop a file or type.", print_exception=False)
        return found

    def sidecar(self, name: str, model: str) -> str:
        """Return the exact strings that would travel beside the pages of a view."""
        view = self.view(name)
        (cost,) = self.meter.costs(view, [model])
        budget = max(int((cost.text_tokens - cost.visual_tokens) * self.sidecar_share), 0)
        spans = [(layout.start, layout.end) for layout in view.layouts]
        beside = build_sidecar(
            view.document.text, spans, budget, lambda part: count_text_tokens(part, cost.tokenizer)
        )
        return beside.render()


def _throw_away(path: Path) -> None:
    """Delete an upload and its folder; nothing outside the folder of uploads is touched."""
    uploads = Path(get_upload_folder()).resolve()
    if not path.resolve().is_relative_to(uploads):
        return
    path.unlink(missing_ok=True)
    with suppress(OSError):  # another upload is in it
        path.parent.rmdir()
