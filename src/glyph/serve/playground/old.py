"""Playground: see a text as pages, what they cost, what a reader makes of them, and the traffic.

Everything is drawn and counted by the same code as everywhere else. No font, script or picture is
fetched from elsewhere.
"""

# pyright: basic, reportMissingImports=false, reportPrivateImportUsage=false
# pyright: reportAttributeAccessIssue=false
# gradio is an extra, and its components carry no types.

import os
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import gradio as gr

from glyph import api
from glyph.documents import Document, document_from_text, load_document
from glyph.errors import GlyphError
from glyph.readers import Reader, open_reader
from glyph.render import render_pages
from glyph.serve.local import ReaderUpstream
from glyph.sidecar import build_sidecar
from glyph.text_tokens import count_text_tokens
from glyph.tokens import model_names, resolve_model

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from glyph.serve.gateway import Gateway

MAX_SHOWN = 24
MAX_CHARS = 2_000_000
SIDECAR_SHARE = 0.05
TRAFFIC_S = 5.0
SAMPLE = "\n".join(
    f"Order {4700 + i}: {3 * i + 2} crates of lamp oil for the keeper of light {i}, paid in full."
    for i in range(1, 160)
)
COST_HEADERS = ["model", "text tokens", "visual tokens", "pages", "ratio", "saved", "pixels"]
TRAFFIC_HEADERS = ["wire", "model", "action", "reason", "status", "text tokens", "page tokens",
                   "pages", "first byte ms", "outcome"]  # fmt: skip


def mount(app: "Starlette", gateway: "Gateway") -> Any:
    """Mount the playground at the root of an application, behind its other routes."""
    reader = _reader_of(gateway)
    return gr.mount_gradio_app(
        app,  # pyright: ignore[reportArgumentType]
        blocks(gateway, reader),
        path="/",
        show_error=True,
        theme=gr.themes.Base(font=["system-ui", "sans-serif"], font_mono=["monospace"]),
    )


def _reader_of(gateway: "Gateway") -> Callable[[], Reader]:
    """Return what opens the reader that answers: the one served, or the one on this machine."""
    for route in gateway.router.routes:
        if isinstance(route.upstream, ReaderUpstream):
            served = route.upstream.reader
            return lambda: served
    return lambda: open_reader("ocr")


def blocks(gateway: "Gateway", reader: Callable[[], Reader]) -> gr.Blocks:
    """Return the page."""
    with gr.Blocks(title="Glyph", analytics_enabled=False, fill_width=True) as page:
        gr.Markdown("# Glyph\nLong text as page images, exactly priced.")
        with gr.Tab("Pages"):
            _pages_tab(reader)
        with gr.Tab("Traffic"):
            _traffic_tab(gateway)
    return page


def _pages_tab(reader: Callable[[], Reader]) -> None:
    with gr.Row():
        with gr.Column(scale=1):
            file = gr.File(label="File", file_count="single", type="filepath")
            text = gr.Textbox(SAMPLE, label="Text", lines=8, max_lines=8)
            model = gr.Dropdown(list(model_names()), value=api.DEFAULT_MODEL, label="Model")
            dpi = gr.Slider(48, 144, 72, step=4, label="dpi")
            size = gr.Slider(6, 16, 9, step=0.5, label="Font size (pt)")
            leading = gr.Slider(0, 4, 1 / 3, step=1 / 3, label="Line gap (pt)")
            flow = gr.Checkbox(True, label="Line breaks as marks, text flows on")
        with gr.Column(scale=2):
            ratio = gr.Markdown(elem_id="ratio")
            gallery = gr.Gallery(label="Pages", columns=3, height=520, format="png")
            warnings = gr.Markdown()
            costs = gr.Dataframe(headers=COST_HEADERS, label="Tokens", interactive=False)
            with gr.Accordion("Exact strings that travel beside the pages", open=False):
                sidecar = gr.Textbox(show_label=False, lines=6, interactive=False)
    with gr.Row():
        question = gr.Textbox(label="Question", placeholder="What is order 4711?", scale=3)
        ask = gr.Button("Ask", variant="primary", scale=1)
    with gr.Row():
        from_pages = gr.Textbox(label="From the pages", interactive=False, elem_id="answer")
    theta = [text, model, dpi, size, leading, flow]
    shown = [ratio, gallery, warnings, costs, sidecar]
    file.upload(_text_of_file, [file], [text])
    for control in theta:
        control.change(show_pages, theta, shown, show_progress="hidden", trigger_mode="always_last")
    page = gr.context.Context.root_block
    assert page is not None
    page.load(show_pages, theta, shown)
    answer = _asking(reader)
    ask.click(answer, [question, *theta], [from_pages])
    question.submit(answer, [question, *theta], [from_pages])


def _traffic_tab(gateway: "Gateway") -> None:
    summary = gr.Markdown()
    table = gr.Dataframe(headers=TRAFFIC_HEADERS, interactive=False)

    def rows() -> tuple[str, list[list[Any]]]:
        passages = list(gateway.metrics.traffic)[::-1]
        paged = [each for each in passages if each.action == "compressed"]
        saved = sum(each.text_tokens - each.page_tokens for each in paged)
        words = f"{len(passages)} requests, {len(paged)} with pages, **{saved:,} tokens saved**"
        return words, [
            [each.wire, each.model, each.action, each.reason, each.status, each.text_tokens,
             each.page_tokens, each.pages, round(1e3 * each.first_byte_s), each.outcome]
            for each in passages[:100]
        ]  # fmt: skip

    refresh = gr.Button("Refresh")
    refresh.click(rows, None, [summary, table])
    gr.Timer(TRAFFIC_S).tick(rows, None, [summary, table], show_progress="hidden")


def _text_of_file(path: str) -> str:
    try:
        return load_document(path).text[:MAX_CHARS]
    except GlyphError as error:
        raise gr.Error(str(error)) from None


def _rendered(
    text: str, model: str, dpi: float, size_pt: float, gap_pt: float, flow: bool
) -> tuple[Document, Any]:
    try:
        document = document_from_text(text[:MAX_CHARS], kind="prose", unwrap=False)
        config = api.make_config(
            model=model, dpi=dpi, font_size_pt=size_pt, line_height_pt=size_pt + gap_pt,
            newline_marker="¶" if flow else "",
        )  # fmt: skip
    except GlyphError as error:
        raise gr.Error(str(error)) from None
    return document, render_pages(document, config)


def show_pages(
    text: str, model: str, dpi: float, size_pt: float, gap_pt: float, flow: bool
) -> tuple[str, list[Any], str, list[list[Any]], str]:
    """Return everything the page shows of a text: ratio, images, warnings, costs, sidecar."""
    document, stream = _rendered(text, model, dpi, size_pt, gap_pt, flow)
    began = time.perf_counter()
    images: list[Any] = []
    sizes: list[tuple[int, int]] = []
    spans: list[tuple[int, int]] = []
    for page in stream:
        sizes.append((page.width_px, page.height_px))
        spans.append((page.start, page.end))
        if len(images) < MAX_SHOWN:
            words = " ".join(document.text[page.start : page.end].split()[:8])
            images.append((page.rgb(), f"{page.index + 1}: {words} ..."))
    seconds = time.perf_counter() - began
    names = list(dict.fromkeys([model, *api.DEFAULT_MODELS]))
    costs = api.price(document, sizes, names)
    own = costs[0]
    rows = [
        [c.model, c.text_tokens, c.visual_tokens, c.pages, round(c.ratio, 2),
         f"{1 - c.visual_tokens / c.text_tokens:.0%}", "resampled" if c.resampled else "kept"]
        for c in costs
    ]  # fmt: skip
    notes = [*own.warnings]
    if stream.missing:
        notes.append(f"{stream.missing.total()} characters have no glyph and are shown as boxes.")
    if len(sizes) > MAX_SHOWN:
        notes.append(f"the first {MAX_SHOWN} of {len(sizes)} pages are shown.")
    head = (
        f"## {own.ratio:.2f}x\n{own.text_tokens:,} text tokens as {own.visual_tokens:,} visual "
        f"tokens on {own.pages} pages for {own.model}, drawn in {1e3 * seconds:.0f} ms"
    )
    tokenizer = resolve_model(model).tokenizer
    budget = max(int((own.text_tokens - own.visual_tokens) * SIDECAR_SHARE), 0)
    exact = build_sidecar(
        document.text, spans, budget, lambda part: count_text_tokens(part, tokenizer)
    )
    return head, images, "\n".join(f"* {note}" for note in notes), rows, exact.render()


def _asking(reader: Callable[[], Reader]) -> Callable[..., str]:
    opened: list[Reader] = []

    def ask(question: str, *theta: Any) -> str:
        try:
            if not opened:
                opened.append(reader())
            _, stream = _rendered(*theta)
            asked = api.ask(stream.document, question, reader=opened[0], preset=stream.config)
        except GlyphError as error:
            raise gr.Error(str(error)) from None
        answer = asdict(asked.answer)
        where = ", ".join(str(index + 1) for index in answer["pages"][:4])
        return f"{answer['text']}\n(page {where}; {answer['seconds']:.1f} s, {answer['reader']})"

    return ask
