"""One training sample: pages, what is asked about them, and what should be said."""

from dataclasses import dataclass
from typing import Literal

Reward = Literal["match", "ocr", "judge"]

IMAGE_MARK = "<image>"
"""Stands in a prompt where a page stands; a prompt without it follows after all its pages."""

SPAN_MARK = "\f"
"""Between the texts of pages that text lies between; no document holds it."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Pages, a prompt and its response; loss counts on the response only.

    Attributes:
        id: Unique among the samples of one seed.
        family: What kind of task it is, one of `glyph.train.samples.config.FAMILIES`.
        document: Where the text came from; samples of one document are in one split.
        images: The pages as PNG files, in reading order.
        prompt: What is asked. Holds `IMAGE_MARK` once for each page where text stands between
            pages, and else not at all: then the pages come first.
        completion: What should be said; "" where only a reward is known.
        answers: What a right answer holds, all of them.
        reward: How an answer is judged: it holds `answers`, its edit distance to `completion`, or
            by a model.
        source: The text on the pages, to train or answer from text instead. The texts of pages
            that text lies between are parted by `SPAN_MARK`.
        visual_tokens: What the pages cost the model, without the marks around images.
        text_tokens: What `source` would cost it as text.
        config_digest: Of the theta the pages were rendered with.
        seed: Of the run that made it.
    """

    id: str
    family: str
    document: str
    images: tuple[bytes, ...]
    prompt: str
    completion: str
    answers: tuple[str, ...]
    reward: Reward
    source: str
    visual_tokens: int
    text_tokens: int
    config_digest: str
    seed: int

    def parts(self) -> tuple[str | bytes, ...]:
        """Return the user's turn in order: pages as PNG files and the text around them.

        Example:
            >>> pages = (b"one", b"two")
            >>> sample = Sample("0", "ocr", "d", pages, "Read.", "", (), "ocr", "", 2, 2, "", 0)
            >>> sample.parts()
            (b'one', b'two', 'Read.')
        """
        if IMAGE_MARK not in self.prompt:
            return (*self.images, self.prompt)
        texts = self.prompt.split(IMAGE_MARK)
        assert len(texts) == len(self.images) + 1
        parts: list[str | bytes] = [texts[0]]
        for image, text in zip(self.images, texts[1:], strict=True):
            parts += [image, text]
        return tuple(part for part in parts if part)

    def text_prompt(self) -> str:
        """Return the user's turn with the text in place of its pages.

        Example:
            >>> sample = Sample("0", "ocr", "d", (b"",), "Read.", "", (), "ocr", "Owl", 1, 1, "", 0)
            >>> sample.text_prompt()
            'Owl\\n\\nRead.'
        """
        if IMAGE_MARK not in self.prompt:
            return f"{self.source}\n\n{self.prompt}"
        # The pages of one span stand side by side; the span's text takes the place of them all.
        spans = iter(self.source.split(SPAN_MARK))
        texts = self.prompt.split(IMAGE_MARK)
        shown = texts[0]
        for number, after in enumerate(texts[1:]):
            is_first = number == 0 or bool(texts[number])
            shown += (next(spans) if is_first else "") + after
        return shown
