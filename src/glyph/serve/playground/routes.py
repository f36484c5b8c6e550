"""Routes: what the browser fetches beside Gradio: script, style, pages as PNG and as positions.

Names of views are the only key, and nobody guesses them. No path of this machine is ever taken
from a request.
"""

from collections.abc import Callable
from dataclasses import asdict
from importlib import resources
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from glyph.serve.playground import exports
from glyph.serve.playground.desk import Desk, View
from glyph.serve.playground.exports import ROOT

_ASSETS = {
    "viewer.js": ("text/javascript", ("viewer.js", "marks.js", "finding.js", "panels.js")),
    "viewer.css": ("text/css", ("viewer.css", "cards.css")),
}
_FOREVER = {"cache-control": "private, max-age=31536000, immutable"}


def routes(desk: Desk) -> list[Route]:
    """Return the routes of a desk."""

    def of_view(path: str, answer: Callable[[View, Request], Response]) -> Route:
        def endpoint(request: Request) -> Response:
            view = desk.view(request.path_params["view"])
            if view is None:
                return PlainTextResponse("this view was put away; draw the text again.", 404)
            return answer(view, request)

        return Route(f"{ROOT}/views/{{view}}{path}", endpoint)

    def of_page(path: str, answer: Callable[[View, int], Response]) -> Route:
        def checked(view: View, request: Request) -> Response:
            number = request.path_params["page"] - 1
            if not 0 <= number < len(view.layouts):
                return PlainTextResponse(f"there are {len(view.layouts)} pages.", 404)
            return answer(view, number)

        return of_view(f"/pages/{{page:int}}{path}", checked)

    def png(view: View, number: int) -> Response:
        return Response(desk.png(view, number), media_type="image/png", headers=_FOREVER)

    return [
        Route(f"{ROOT}/static/{{name}}", _asset),
        of_view("", lambda view, _: JSONResponse(_outline(view))),
        of_view("/find", _find),
        of_view("/pages.zip", lambda view, _: exports.as_zip(view, desk)),
        of_view("/pages.pdf", lambda view, _: exports.as_pdf(view)),
        of_view("/preset.toml", lambda view, _: exports.as_preset(view)),
        of_view("/request.json", lambda view, asked: exports.as_request(view, desk, asked)),
        of_page(".png", png),
        of_page(".json", _words),
    ]


def _asset(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in _ASSETS:
        return PlainTextResponse("there is no such file.", 404)
    media_type, parts = _ASSETS[name]
    folder = resources.files("glyph.serve.playground") / "static"
    data = b"\n".join((folder / part).read_bytes() for part in parts)
    return Response(data, media_type=media_type, headers={"cache-control": "no-cache"})


def _outline(view: View) -> dict[str, Any]:
    """Return all a browser needs to make room for the pages before it has any."""
    return {
        "name": view.name,
        "title": view.document.name,
        "code": view.document.kind == "code",
        "pages": [[p.width_px, p.height_px, p.end - p.start] for p in view.layouts],
    }


def _words(view: View, number: int) -> Response:
    values = {"text": view.text_of(number), "words": view.words_of(number)}
    return JSONResponse(values, headers=_FOREVER)


def _find(view: View, request: Request) -> Response:
    words = request.query_params.get("q", "")[:200]
    return JSONResponse([asdict(place) for place in view.find(words)])
