"""Page: what stands where on the playground, and which control moves what."""

# pyright: basic, reportMissingImports=false, reportPrivateImportUsage=false
# gradio is an extra, and its components carry no types.

from pathlib import Path
from typing import Any

import gradio as gr

from glyph import api
from glyph.presets import load_preset, preset_names
from glyph.serve.metrics import Metrics
from glyph.serve.playground import looks
from glyph.serve.playground import tabs as tabs_of
from glyph.serve.playground.lectern import Lectern
from glyph.serve.playground.studio import AUTO, SAMPLE, Studio
from glyph.serve.playground.tabs import Shared
from glyph.tokens import model_names

VIEWER = '<div id="glyph-viewer"></div>'
SHOW = "(name) => { window.glyphShow(name); }"
MAX_TYPED_LINES = 6
UPLOAD_S = 600


def blocks(studio: Studio, lectern: Lectern, metrics: Metrics, runs: Path | None) -> gr.Blocks:
    """Return the page of a studio."""
    # Uploads are deleted when they are read; this is for those that nobody opened.
    with gr.Blocks(
        title="Glyph", analytics_enabled=False, fill_width=True, delete_cache=(UPLOAD_S, UPLOAD_S)
    ) as page:
        document = gr.State("")
        base = gr.State(load_preset(api.DEFAULT_PRESET))
        with gr.Row(equal_height=False):
            with gr.Column(scale=1, min_width=270):
                file, text, model, preset, controls = _left()
            with gr.Column(scale=4, min_width=340):
                headline = gr.HTML(elem_id="headline", apply_default_css=False)
                gr.HTML(VIEWER, apply_default_css=False)
                notes = gr.HTML(elem_id="notes", apply_default_css=False)
                view = gr.Textbox(visible="hidden", elem_id="view")
                with gr.Tabs() as tabs, gr.Tab("Tokens and money"):
                    models = gr.Dropdown(
                        list(model_names()), value=list(api.DEFAULT_MODELS), multiselect=True,
                        label="Models", elem_id="models",
                    )  # fmt: skip
                    table = gr.HTML(elem_id="meter", apply_default_css=False)
        drawing: dict[str, Any] = {
            "fn": studio.draw, "inputs": [document, model, models, base, *controls],
            "outputs": [view, headline, table, notes], "show_progress": "hidden",
            "trigger_mode": "always_last", "api_visibility": "private",
        }  # fmt: skip
        styling: dict[str, Any] = {
            "fn": studio.preset, "inputs": [preset, model, document],
            "outputs": [base, *controls], "show_progress": "hidden", "api_visibility": "private",
        }  # fmt: skip
        with tabs:
            _tabs(Shared(studio, view, model, base, controls, drawing), lectern, metrics, runs)
        file.upload(
            studio.open_file, [file, preset, model], [document, base, *controls],
            api_visibility="private",
        ).success(**drawing)  # fmt: skip
        text.input(
            studio.open_text, [text], [document], trigger_mode="always_last",
            show_progress="hidden", api_visibility="private",
        ).success(**drawing)  # fmt: skip
        gr.on([model.input, preset.input], **styling).success(**drawing)
        gr.on([each.input for each in controls] + [models.change, page.load], **drawing)
        view.change(None, [view], None, js=SHOW)
    return page


def _tabs(shared: Shared, lectern: Lectern, metrics: Metrics, runs: Path | None) -> None:
    with gr.Tab("Ask"):
        question = tabs_of.ask_tab(shared, lectern)
    with gr.Tab("Exact strings"):
        tabs_of.exact_tab(shared)
    with gr.Tab("Self-test"):
        tabs_of.needle_tab(shared, lectern)
    with gr.Tab("Searches"):
        tabs_of.runs_tab(shared, runs)
    with gr.Tab("Traffic") as traffic:
        tabs_of.traffic_tab(metrics, traffic)
    with gr.Tab("Export") as export:
        tabs_of.export_tab(shared, question, export)


def _left() -> tuple[Any, Any, Any, Any, list[Any]]:
    gr.HTML('<h1 class="gl-title">Glyph</h1><p class="gl-soft">Long text as page images, exactly '
            "priced.</p>", apply_default_css=False)  # fmt: skip
    file = gr.File(label="Drop a file", file_count="single", type="filepath", height=120,
                   elem_id="file")  # fmt: skip
    text = gr.Textbox(
        SAMPLE, label="or paste a text", lines=MAX_TYPED_LINES, max_lines=MAX_TYPED_LINES,
        elem_id="text",
    )  # fmt: skip
    model = gr.Dropdown(list(model_names()), value=api.DEFAULT_MODEL, label="Model",
                        elem_id="model")  # fmt: skip
    preset = gr.Dropdown([AUTO, *preset_names()], value=AUTO, label="Preset", elem_id="preset")
    controls = looks.controls(load_preset(api.DEFAULT_PRESET))
    return file, text, model, preset, controls
