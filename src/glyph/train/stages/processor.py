"""Messages and pages to tensors, without torchvision.

The stock processor of Glm4v asks for a video processor, which needs torchvision; nothing here
shows videos. `PageProcessor` is the stock one without it, `NanoProcessor` adds what the nano
reader's vocabulary needs.
"""

# transformers declares its types in part only.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer
from transformers.models.glm4v.image_processing_pil_glm4v import Glm4vImageProcessorPil
from transformers.models.glm4v.processing_glm4v import Glm4vProcessor
from transformers.processing_utils import ProcessorMixin

OPENED, CLOSED = "<think>", "</think>"
CLOSING_WORD = "<|tag21|>"
"""Free word of nano's vocabulary that ends a thought. Where to answer is where a thought begins, as
in the templates of thinking models, so the opening mark needs no word: one more in front would move
the answer away from where the network learned to begin it."""

NANO_TEMPLATE = """\
{%- for message in messages -%}
{%- if message.content is string -%}{{ message.content }}
{%- else -%}
{%- for part in message.content -%}
{%- if part.type == 'image' -%}<|begin_of_image|><|image|><|end_of_image|>
{%- else -%}{{ part.text }}
{%- endif -%}
{%- endfor -%}
{%- endif -%}
{%- if message.role == 'assistant' -%}<|eos|>{%- endif -%}
{%- endfor -%}"""
"""Pages and prompt side by side: a prompt ends in the word where the answer starts."""


class PageProcessor(Glm4vProcessor):
    """Glm4v's processor for pages and text; it knows no videos.

    Args:
        image_processor: Cuts pages into patches.
        tokenizer: Of the model.
        chat_template: How messages become one text.
    """

    def __init__(self, image_processor: Any, tokenizer: Any, chat_template: str | None = None):
        self.image_token: str = getattr(tokenizer, "image_token", "<|image|>")
        self.image_token_id: int = tokenizer.convert_tokens_to_ids(self.image_token)
        self.video_token: str = getattr(tokenizer, "video_token", "<|video|>")
        self.video_token_id: int = tokenizer.convert_tokens_to_ids(self.video_token)
        ProcessorMixin.__init__(self, image_processor, tokenizer, chat_template=chat_template)
        self.video_start_id: int = tokenizer.convert_tokens_to_ids("<|begin_of_video|>")
        self.video_end_id: int = tokenizer.convert_tokens_to_ids("<|end_of_video|>")


class NanoProcessor(PageProcessor):
    """The nano reader's processor: thoughts begin where to answer, and a word ends them."""

    def __call__(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, images: Any = None, text: Any = None, **kwargs: Any
    ) -> Any:
        """Return tensors of texts and their pages."""
        if isinstance(text, str):
            text = _with_words(text)
        elif text is not None:
            text = [_with_words(one) for one in text]
        return super().__call__(images=images, text=text, **kwargs)

    def batch_decode(self, ids: Any, skip_special_tokens: bool = True, **_: Any) -> list[str]:
        """Return the texts of responses, thoughts marked as people write them."""
        return [self.decode(one, skip_special_tokens) for one in ids]

    def decode(self, ids: Any, skip_special_tokens: bool = True, **_: Any) -> str:
        """Return the text of a response."""
        text = str(self.tokenizer.decode(ids)).replace(CLOSING_WORD, CLOSED)
        if skip_special_tokens:
            text = re.sub(r"<\|\w+\|>", "", text)
        return OPENED + text if CLOSED in text else text


def _with_words(text: str) -> str:
    return text.replace(OPENED, "").replace(CLOSED, CLOSING_WORD)


def open_processor(folder: str | Path, *, is_nano: bool) -> PageProcessor:
    """Return the processor of a model folder.

    Args:
        folder: Model folder, or a name that transformers knows.
        is_nano: Whether it is a nano reader.
    """
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    tokenizer.padding_side = "left"
    images: Any = Glm4vImageProcessorPil.from_pretrained(folder)
    if is_nano:
        return NanoProcessor(images, tokenizer, NANO_TEMPLATE)
    return PageProcessor(images, tokenizer, tokenizer.chat_template)


def user_turn(parts: Sequence[str | bytes], images: Sequence[Any]) -> list[dict[str, Any]]:
    """Return the messages of a user's turn.

    Args:
        parts: Pages and texts in order, from `Sample.parts`.
        images: The pages as the processor takes them, in the same order.
    """
    waiting = iter(images)
    content: list[dict[str, Any]] = [
        {"type": "text", "text": part}
        if isinstance(part, str)
        else {"type": "image", "image": next(waiting)}
        for part in parts
    ]
    return [{"role": "user", "content": content}]
