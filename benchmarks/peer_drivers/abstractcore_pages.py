"""Pages of AbstractCore's Glyph module with its profile for the model's provider; no cache."""

import base64
import logging
import shutil
import tempfile

from abstractcore.compression import GlyphConfig, GlyphProcessor
from abstractcore.utils.token_utils import TokenUtils
from line_server import serve

logging.disable(logging.CRITICAL)


def render(text, request):
    model = request["model"]
    provider = "anthropic" if "claude" in model else "openai" if "gpt" in model else "ollama"
    folder = tempfile.mkdtemp()
    config = GlyphConfig.default()
    config.cache_directory, config.temp_dir = f"{folder}/cache", f"{folder}/pages"
    try:
        contents = GlyphProcessor(config).process_text(text, provider, model, "always")
        pages = [base64.b64decode(content.content) for content in contents]
        formatted = TokenUtils.estimate_tokens(text, model)
        ratio = contents[0].metadata["compression_ratio"]
    finally:
        shutil.rmtree(folder)
    return pages, {"visual_tokens": round(formatted / ratio), "text_tokens": formatted}


serve(render)
