"""Tabs: what one does with the pages: price them, ask them, test them, and take them along."""

# pyright: basic, reportMissingImports=false, reportPrivateImportUsage=false
# gradio is an extra, and its components carry no types.

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from glyph.config import RenderConfig
from glyph.errors import GlyphError
from glyph.serve.metrics import Metrics
from glyph.serve.playground import asking, exports, looks, needles, runs, traffic
from glyph.serve.playground.lectern import UPSTREAM, Lectern, Who
from glyph.serve.playground.studio import Studio

TRAFFIC_S = 3.0
MAX_QUESTION_CHARS = 4_000
POINT = "(run, _) => [run, window.glyphPoint]"


@dataclass(frozen=True, slots=True)
class Shared:
    """What the tabs work with.

    Attributes:
        studio: The desk.
        view: Holds the name of the view that is shown.
        model: Holds the model that prices it.
        base: Holds the config that the controls change.
        controls: The controls of theta.
        drawing: Arguments of the event that draws.
    """

    studio: Studio
    view: Any
    model: Any
    base: Any
    controls: list[Any]
    drawing: dict[str, Any]


def who_row(lectern: Lectern, prefix: str) -> list[Any]:
    """Place the fields that say who is asked, and how much is shown."""
    with gr.Row(equal_height=True):
        reader = gr.Dropdown(lectern.names, value=lectern.names[-1 if UPSTREAM in lectern.names
                             else 0], label="Reader", elem_id=f"{prefix}-reader")  # fmt: skip
        limit = gr.Slider(1, 64, 8, step=1, label="Pages at most, from the first",
                          elem_id=f"{prefix}-pages")  # fmt: skip
        is_shown = UPSTREAM in lectern.names
        model = gr.Textbox(label="Model, as the upstream calls it", visible=is_shown)
        key = gr.Textbox(label="Key for the upstream; kept nowhere", type="password",
                         visible=is_shown)  # fmt: skip
    return [reader, model, key, limit]


def ask_tab(shared: Shared, lectern: Lectern) -> Any:
    """Place the tab that asks; returns the field of the question."""

    def ask(view_name: str, model: str, question: str, lanes: list[str], reader: str,
            named: str, key: str, limit: float) -> Iterator[str]:  # fmt: skip
        view = shared.studio.view(view_name)
        if not question.strip():
            raise gr.Error("type a question first.", print_exception=False)
        (cost,) = shared.studio.meter.costs(view, [model])
        who = Who(reader, named, key)
        asked = asking.Asking(view, cost, question[:MAX_QUESTION_CHARS], who, int(limit))
        chosen = [asking.Lane(what) for what in asking.LANES if what in lanes]
        for told in asked.run(lectern, chosen):
            yield asking.cards(told, view)

    with gr.Row():
        question = gr.Textbox(label="Question", placeholder="What is the value of ...?", scale=4,
                              max_lines=1, elem_id="question")  # fmt: skip
        button = gr.Button("Ask", variant="primary", scale=1, elem_id="ask")
    row = who_row(lectern, "ask")
    lanes = gr.CheckboxGroup(list(asking.LANES), value=list(asking.LANES),
                             label="Ask one after the other", elem_id="lanes")  # fmt: skip
    answers = gr.HTML(elem_id="answers", apply_default_css=False)
    given = [shared.view, shared.model, question, lanes, *row]
    for trigger in (button.click, question.submit):
        trigger(ask, given, [answers], show_progress="hidden", concurrency_limit=4,
                api_visibility="private")  # fmt: skip
    return question


def needle_tab(shared: Shared, lectern: Lectern) -> None:
    """Place the tab of the self-test."""

    def test(view_name: str, count: float, reader: str, named: str, key: str,
             limit: float) -> Iterator[str]:  # fmt: skip
        view = shared.studio.view(view_name)
        who = Who(reader, named, key)
        trial = needles.Trial(view, who, int(limit), int(count), secrets.randbits(32))
        try:
            planted = trial.plant()
        except GlyphError as error:
            raise gr.Error(str(error), print_exception=False) from None
        yield needles.table(planted)
        for told in trial.run(lectern, planted):
            yield needles.table(told)

    gr.HTML('<p class="gl-soft">Keys with values are put between the sentences of this text, and '
            "each is asked for on its pages. A reader that misses them cannot read these pages."
            "</p>", apply_default_css=False)  # fmt: skip
    with gr.Row():
        count = gr.Slider(1, 20, 5, step=1, label="Keys", elem_id="needle-count")
        button = gr.Button("Test", variant="primary", elem_id="test")
    row = who_row(lectern, "test")
    result = gr.HTML(elem_id="needles", apply_default_css=False)
    button.click(test, [shared.view, count, *row], [result], show_progress="hidden",
                 api_visibility="private")  # fmt: skip


def exact_tab(shared: Shared) -> None:
    """Place the tab that shows the sidecar."""
    button = gr.Button("Show", elem_id="show-exact")
    exact = gr.Textbox(label="Exact strings that would travel as text beside the pages, for at "
                       f"most {shared.studio.sidecar_share:.0%} of the tokens saved", lines=10,
                       max_lines=24, interactive=False, elem_id="exact")  # fmt: skip
    button.click(shared.studio.sidecar, [shared.view, shared.model], [exact],
                 api_visibility="private")  # fmt: skip


def runs_tab(shared: Shared, folder: Path | None) -> None:
    """Place the tab of searches."""
    if folder is None:
        gr.HTML('<p class="gl-soft">Start with <code>glyph serve --runs DIR</code> to see what '
                "<code>glyph search</code> found in the folders below DIR.</p>",
                apply_default_css=False)  # fmt: skip
        return
    names = runs.run_names(folder)

    def show(name: str) -> str:
        try:
            return runs.chart(runs.load_run(folder, name)) if name else ""
        except GlyphError as error:
            return f'<p class="gl-error" role="alert">{escape(str(error))}</p>'

    def load(name: str, number: float) -> list[Any]:
        try:
            front = runs.load_run(folder, name).front
        except GlyphError as error:
            raise gr.Error(str(error), print_exception=False) from None
        if not 0 <= int(number) < len(front):
            raise gr.Error("there is no such point.", print_exception=False)
        config: RenderConfig = front[int(number)].config
        return [config, *looks.values_of(config)]

    first = names[0] if names else None
    run = gr.Dropdown(names, value=first, label="Search", elem_id="run")
    chart = gr.HTML(show(first or ""), elem_id="chart", apply_default_css=False)
    point = gr.Number(visible="hidden")
    button = gr.Button("Load", visible="hidden", elem_id="load-point")
    run.change(show, [run], [chart], api_visibility="private")
    button.click(load, [run, point], [shared.base, *shared.controls], js=POINT,
                 api_visibility="private").success(**shared.drawing)  # fmt: skip


def traffic_tab(metrics: Metrics, tab: Any) -> None:
    """Place the tab of the gateway's traffic; it refreshes itself while it is shown."""
    shown = gr.HTML(traffic.panel(metrics), elem_id="traffic", apply_default_css=False)
    timer = gr.Timer(TRAFFIC_S)
    for trigger in (tab.select, timer.tick):
        trigger(lambda: traffic.panel(metrics), None, [shown], show_progress="hidden",
                api_visibility="private")  # fmt: skip


def export_tab(shared: Shared, question: Any, tab: Any) -> None:
    """Place the tab of exports."""

    def links(view_name: str, model: str, asked: str, request: gr.Request) -> str:
        view = shared.studio.view(view_name)
        assert request.request is not None
        origin = f"{request.request.url.scheme}://{request.request.url.netloc}"
        return exports.panel(view, model, asked or exports.DEFAULT_QUESTION, origin)

    shown = gr.HTML(elem_id="exports", apply_default_css=False)
    for trigger in (tab.select, shared.view.change):
        trigger(links, [shared.view, shared.model, question], [shown], show_progress="hidden",
                api_visibility="private")  # fmt: skip
