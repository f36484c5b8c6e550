"""Playground: see a text as pages, what they cost, what a reader makes of them, and the traffic.

Everything is drawn and counted by the same code as everywhere else. No font, script or picture is
fetched from elsewhere. Controls are Gradio's; the viewer, where pages and text point at each
other, is this package's own script.

    a file, a text ──> Document ──Desk──> View (positions) ──> PNG and JSON, page by page
"""

# pyright: basic, reportMissingImports=false, reportPrivateImportUsage=false

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import gradio as gr

from glyph.serve.playground.exports import ROOT
from glyph.serve.playground.lectern import Lectern
from glyph.serve.playground.page import blocks
from glyph.serve.playground.routes import routes
from glyph.serve.playground.studio import Studio

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from glyph.serve.gateway import Gateway

MAX_FILE_BYTES = 64 << 20
HEAD = (
    f'<link rel="stylesheet" href="{ROOT}/static/viewer.css">'
    f'<script src="{ROOT}/static/viewer.js"></script>'
)


def mount(app: "Starlette", gateway: "Gateway", runs: Path | None = None) -> Any:
    """Mount the playground at the root of an application, behind its other routes.

    Args:
        app: The application.
        gateway: Whose traffic is shown, and whose upstreams may be asked.
        runs: Folder of folders that `glyph search` wrote; None shows none.
    """
    studio = Studio()
    app.router.routes.extend(routes(studio.desk))
    return gr.mount_gradio_app(
        app,  # pyright: ignore[reportArgumentType]
        blocks(studio, Lectern(gateway.router), gateway.metrics, runs),
        path="/",
        show_error=True,
        max_file_size=MAX_FILE_BYTES,
        footer_links=[],
        head=HEAD,
        theme=gr.themes.Base(
            primary_hue="teal", font=["system-ui", "sans-serif"], font_mono=["monospace"]
        ),
    )
