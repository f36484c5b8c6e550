"""Asking: what a reader is given, what it costs, and answers led back to the text."""

import pytest

import glyph
from glyph.asking import SIDECAR_SHARE
from glyph.errors import ConfigError
from glyph.pages import Box, Page
from glyph.readers import Answer, Request, Transcript, Usage

SENTENCE = "The quiet teacher carried a heavy letter to the village. "


class Pointer:
    """A reader that always points at one box of one page."""

    name = "pointer"

    def __init__(self, index: int, box: Box | None):
        self.index, self.box = index, box
        self.request: Request | None = None

    def answer(self, request: Request) -> Answer:
        self.request = request
        usage = Usage(None, None, None)
        return Answer("there", self.name, (self.index,), self.box, "", None, usage, 0.0)

    def transcribe(self, page: Page) -> Transcript:
        raise AssertionError("not asked")


def test_a_box_is_led_back_to_the_characters_under_it() -> None:
    text = SENTENCE * 300
    pages = glyph.render(text).pages
    start = text.index("letter", pages[1].start + 700)
    (box,) = pages[1].layout.boxes(start, start + len("letter"))
    asked = glyph.ask(text, "where?", reader=Pointer(1, box))
    assert asked.spans == ((start, start + len("letter")),)
    assert asked.num_pages == len(pages)


def test_a_reader_that_does_not_point_gives_no_spans() -> None:
    asked = glyph.ask(SENTENCE, "who?", reader=Pointer(0, None))
    assert asked.spans == ()
    assert asked.answer.text == "there"


def test_the_question_stays_text_and_all_pages_are_shown() -> None:
    reader = Pointer(0, None)
    glyph.ask(SENTENCE * 300, "Who carried it?", reader=reader)
    assert reader.request is not None
    assert reader.request.question == "Who carried it?"
    assert len(reader.request.pages) == len(glyph.render(SENTENCE * 300).pages)


def test_pages_fit_the_model_behind_the_reader_and_are_priced_for_it() -> None:
    reader = Pointer(0, None)
    reader.name = "openai:Qwen/Qwen3-VL-8B-Instruct"
    asked = glyph.ask(SENTENCE * 300, "who?", reader=reader)
    assert asked.cost is not None
    assert asked.cost.model == "qwen3-vl"
    assert not asked.cost.resampled


def test_a_model_without_a_rule_is_asked_but_never_priced_by_another_rule() -> None:
    reader = Pointer(0, None)
    reader.name = "openai:my-own-model"
    assert glyph.ask(SENTENCE, "who?", reader=reader).cost is None
    asked = glyph.ask(SENTENCE, "who?", reader=reader, model="glm-4.5v")
    assert asked.cost is not None
    assert asked.cost.model == "glm-4.5v"


def test_an_empty_question_is_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        glyph.ask(SENTENCE, "  ", reader=Pointer(0, None))
    assert str(caught.value) == "the question is empty; ask something."


def test_endpoints_get_exact_strings_beside_the_pages_within_their_share() -> None:
    class Endpoint(Pointer):
        takes_sidecar = True

    text = SENTENCE * 300 + "The code is 7f3a9c21e4."
    reader = Endpoint(0, None)
    asked = glyph.ask(text, "Which code?", reader=reader)
    assert reader.request is not None and asked.sidecar is not None and asked.cost is not None
    assert "7f3a9c21e4" in reader.request.sidecar
    saved = asked.cost.text_tokens - asked.cost.visual_tokens
    assert 0 < asked.sidecar.num_tokens <= SIDECAR_SHARE * saved
    glyph.ask(text, "Which code?", reader=reader, sidecar_share=0)
    assert reader.request.sidecar == ""
    plain = Pointer(0, None)
    assert glyph.ask(text, "Which code?", reader=plain).sidecar is None
    assert plain.request is not None and plain.request.sidecar == ""
    with pytest.raises(ConfigError, match="0 to 1 is accepted"):
        glyph.ask(text, "Which code?", reader=reader, sidecar_share=2)
