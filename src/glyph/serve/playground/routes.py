"""Routes: what the browser fetches beside Gradio: script, style, pages as PNG and as positions.

Names of views are the only key, and nobody guesses them. No path of this machine is ever taken
from a request.
"""

import io
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import asdict
from importlib import resources
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from glyph.encode import write_pdf
from glyph.serve.playground.desk import Desk, View

ROOT = "/playground"
_ASSETS = {
    "viewer.js": ("text/javascript", ("viewer.js", "marks.js", "finding.js")),
    "viewer.css": ("text/css", ("viewer.css",)),
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
        of_view("/pages.zip", lambda view, _: _zip(view, desk)),
        of_view("/pages.pdf", lambda view, _: _pdf(view)),
        of_view("/preset.toml", lambda view, _: _preset(view)),
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


# -- exports ---------------------------------------------------------------------------------


def _download(data: bytes, media_type: str, name: str) -> Response:
    headers = {"content-disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}"}
    return Response(data, media_type=media_type, headers=headers)


def _stem(view: View) -> str:
    return view.document.name.rpartition("/")[2].rpartition(".")[0] or view.document.name


def _zip(view: View, desk: Desk) -> Response:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_STORED) as archive:
        for name, png in _named(view, desk):
            archive.writestr(name, png)
    return _download(data.getvalue(), "application/zip", f"{_stem(view)}-pages.zip")


def _named(view: View, desk: Desk) -> Iterator[tuple[str, bytes]]:
    for number in range(len(view.layouts)):
        yield f"page-{number + 1:04d}.png", desk.png(view, number)


def _pdf(view: View) -> Response:
    data = io.BytesIO()
    write_pdf(view.pages(), data, dpi=view.config.dpi)
    return _download(data.getvalue(), "application/pdf", f"{_stem(view)}.pdf")


def _preset(view: View) -> Response:
    toml = view.config.to_toml(description="from the playground").encode()
    return _download(toml, "application/toml", f"{_stem(view)}.toml")
