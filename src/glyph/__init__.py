"""Glyph: long text as page images, exactly priced.

    text ── layout ──> pages ──> tokens        no model, no network
                         └────> reader ──> answer

`render`, `measure` and `ask` are the way in; `render_pages` streams documents of any size.
"""

from glyph.api import Measurement, Rendering, make_config, measure, render, save
from glyph.asking import Asked, ask
from glyph.config import RenderConfig
from glyph.documents import Document, document_from_text, load_document
from glyph.encode import encode_page, encode_png
from glyph.errors import (
    BudgetError,
    ConfigError,
    DocumentError,
    FontError,
    GlyphError,
    ReaderError,
    RenderError,
    UnknownModelError,
    UpstreamError,
)
from glyph.intake import open_document
from glyph.pages import Box, Page, PageLayout
from glyph.presets import load_preset, preset_names
from glyph.readers import open_reader
from glyph.readers.protocol import Answer, Reader, Request
from glyph.render import render_pages
from glyph.themes import sample_config
from glyph.tokens import Cost, image_cost, model_names

__version__ = "0.1.0"

__all__ = [
    "Answer",
    "Asked",
    "Box",
    "BudgetError",
    "ConfigError",
    "Cost",
    "Document",
    "DocumentError",
    "FontError",
    "GlyphError",
    "Measurement",
    "Page",
    "PageLayout",
    "Reader",
    "ReaderError",
    "RenderConfig",
    "RenderError",
    "Rendering",
    "Request",
    "UnknownModelError",
    "UpstreamError",
    "ask",
    "document_from_text",
    "encode_page",
    "encode_png",
    "image_cost",
    "load_document",
    "load_preset",
    "make_config",
    "measure",
    "model_names",
    "open_document",
    "open_reader",
    "preset_names",
    "render",
    "render_pages",
    "sample_config",
    "save",
]
