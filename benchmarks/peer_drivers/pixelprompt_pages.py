"""Pages of pixelprompt, with its preset for the kind of text."""

from line_server import serve
from pixelprompt import PixelPrompt, RenderConfig

PRESETS = {"prose": "prose", "code": "code", "log": "config", "plain": None}


def render(text, request):
    preset = PRESETS[request["kind"]]
    config = RenderConfig.for_content(preset) if preset else RenderConfig()
    images = PixelPrompt(config).render(text)
    tokens = sum(image.tokens for image in images)
    claims = {"visual_tokens": tokens, "text_tokens": max(1, len(text) // 4)}
    return [image.png_bytes() for image in images], claims


serve(render)
