"""Exports: a view as PNGs, PDF, preset, or as the request that a model would get."""

import base64
import io
import json
import shlex
import zipfile
from html import escape
from typing import Any
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from glyph.encode import write_pdf
from glyph.prompt import reading_prompt
from glyph.serve.playground.desk import Desk, View

ROOT = "/playground"
WIRES = {
    "chat": "/v1/chat/completions", "responses": "/v1/responses", "messages": "/v1/messages",
}  # fmt: skip
MAX_QUESTION = 4_000
MAX_ANSWER_TOKENS = 512
DEFAULT_QUESTION = "What is this document about?"


def stem_of(view: View) -> str:
    """Return what files of a view are called."""
    name = view.document.name.rpartition("/")[2]
    return name.rpartition(".")[0] or name


def download(data: bytes, media_type: str, name: str) -> Response:
    """Return bytes as a file that a browser saves."""
    headers = {"content-disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}"}
    return Response(data, media_type=media_type, headers=headers)


def as_zip(view: View, desk: Desk) -> Response:
    """Return all pages as PNGs in one archive."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_STORED) as archive:
        for number in range(len(view.layouts)):
            archive.writestr(f"page-{number + 1:04d}.png", desk.png(view, number))
    return download(data.getvalue(), "application/zip", f"{stem_of(view)}-pages.zip")


def as_pdf(view: View) -> Response:
    """Return all pages as one PDF."""
    data = io.BytesIO()
    write_pdf(view.pages(), data, dpi=view.config.dpi)
    return download(data.getvalue(), "application/pdf", f"{stem_of(view)}.pdf")


def as_preset(view: View) -> Response:
    """Return theta as a file for `--preset`."""
    toml = view.config.to_toml(description="from the playground").encode()
    return download(toml, "application/toml", f"{stem_of(view)}.toml")


def as_request(view: View, desk: Desk, request: Request) -> Response:
    """Return the JSON request about a view in one of the three formats."""
    wire = request.query_params.get("wire", "chat")
    if wire not in WIRES:
        return PlainTextResponse(f"the formats are {', '.join(WIRES)}.", 400)
    question = request.query_params.get("q", "")[:MAX_QUESTION].strip() or DEFAULT_QUESTION
    model = request.query_params.get("model", "")[:200]
    values = request_of(view, desk, wire, model, question)
    data = json.dumps(values, ensure_ascii=False, indent=1).encode()
    return download(data, "application/json", f"{stem_of(view)}-{wire}.json")


def request_of(view: View, desk: Desk, wire: str, model: str, question: str) -> dict[str, Any]:
    """Return a request that shows all pages of a view and asks a question."""
    lead, end = reading_prompt(question, len(view.layouts))
    pngs = [
        base64.b64encode(desk.png(view, number)).decode() for number in range(len(view.layouts))
    ]
    if wire == "messages":
        source = {"type": "base64", "media_type": "image/png"}
        images = [{"type": "image", "source": {**source, "data": png}} for png in pngs]
        text = "text"
    elif wire == "responses":
        urls = (f"data:image/png;base64,{png}" for png in pngs)
        images = [{"type": "input_image", "image_url": url} for url in urls]
        text = "input_text"
    else:
        urls = (f"data:image/png;base64,{png}" for png in pngs)
        images = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
        text = "text"
    content = [{"type": text, "text": lead}, *images, {"type": text, "text": end}]
    asked = [{"role": "user", "content": content}]
    if wire == "responses":
        return {"model": model, "input": asked, "max_output_tokens": MAX_ANSWER_TOKENS}
    limit = "max_completion_tokens" if wire == "chat" else "max_tokens"
    return {"model": model, "messages": asked, limit: MAX_ANSWER_TOKENS}


def panel(view: View, model: str, question: str, origin: str) -> str:
    """Return links to all exports, and a curl line that sends each request, as HTML."""
    base = f"{ROOT}/views/{view.name}"
    files = "".join(
        f'<a class="gl-link" href="{base}/{name}" download>{label}</a>'
        for name, label in (("pages.zip", "PNG (zip)"), ("pages.pdf", "PDF"),
                            ("preset.toml", "Theta as preset"))
    )  # fmt: skip
    requests = "".join(_request(view, wire, model, question, origin) for wire in WIRES)
    return f'<p class="gl-links">{files}</p>{requests}'


def _request(view: View, wire: str, model: str, question: str, origin: str) -> str:
    query = urlencode({"wire": wire, "model": model, "q": question})
    href = escape(f"{ROOT}/views/{view.name}/request.json?{query}")
    name = f"{stem_of(view)}-{wire}.json"
    auth = '-H "Authorization: Bearer $API_KEY"'
    if wire == "messages":
        auth = '-H "x-api-key: $API_KEY" -H "anthropic-version: 2023-06-01"'
    line = (
        f"curl {shlex.quote(origin + WIRES[wire])} -H 'content-type: application/json' {auth} "
        f"--data-binary {shlex.quote('@' + name)}"
    )
    return (
        f'<div class="gl-request"><a class="gl-link" href="{href}" download>{wire}.json</a>'
        f"<code>{escape(line)}</code>"
        f'<button type="button" class="gl-copy" data-copy="{escape(line)}">Copy</button></div>'
    )
