"""The verbs: sources, configs, prices, manifests, and answers led back to the text."""

import io
import json
import textwrap
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import glyph
from glyph.api import (
    DEFAULT_MODELS,
    DEFAULT_PRESET,
    PRESETS_OF_GRID,
    SIDECAR_SHARE,
    as_document,
    is_proxy,
    make_config,
    preset_of,
    price,
    save,
)
from glyph.config import RenderConfig
from glyph.documents import document_from_text, load_document
from glyph.errors import ConfigError, DocumentError, UnknownModelError
from glyph.pages import Box, Page
from glyph.presets import load_preset, preset_names
from glyph.readers import Answer, Request, Transcript, Usage
from glyph.render import render_pages
from glyph.text_tokens import count_text_tokens
from glyph.tokens import document_cost, image_cost, model_names, resolve_model
from glyph.vision_models import FAMILIES

SENTENCE = "The quiet teacher carried a heavy letter to the village. "
WRAPPED = "\n\n".join([textwrap.fill(SENTENCE * 9, 72)] * 8) + "\n"


# -- sources ---------------------------------------------------------------------------------


def test_text_path_bytes_stream_and_document_are_taken_alike(tmp_path: Path) -> None:
    path = tmp_path / "note.txt"
    path.write_text(SENTENCE, "utf-8")
    sources = [SENTENCE, path, str(path), SENTENCE.encode(), io.BytesIO(SENTENCE.encode())]
    sources.append(document_from_text(SENTENCE))
    digests = {glyph.render(source).pages[0].digest for source in sources}
    assert len(digests) == 1


def test_a_word_that_names_no_file_is_refused() -> None:
    with pytest.raises(DocumentError) as caught:
        glyph.render("jane_eyre.txt")
    assert str(caught.value) == (
        "'jane_eyre.txt' is no file, and too short to be a text. Check the path, or pass "
        "glyph.document_from_text(...) to render just this word."
    )


@pytest.mark.parametrize(
    "text", ["x" * 2_000, "two words", "long words " * 80, "line\nbreak", "nul\0byte"]
)
def test_what_can_only_be_a_text_is_a_text(text: str) -> None:
    assert as_document(text).name == "text"


@pytest.mark.parametrize("text", ["", "  \n\t "])
def test_a_text_of_nothing_is_refused(text: str) -> None:
    with pytest.raises(DocumentError, match="so there is nothing to show"):
        glyph.render(text)


# -- configs ---------------------------------------------------------------------------------


@pytest.mark.parametrize("model", model_names())
def test_every_model_has_a_preset_that_exists(model: str) -> None:
    assert preset_of(model) in preset_names()
    assert preset_of(model, is_code=True) in preset_names()


def test_presets_of_grids_lie_on_their_grids() -> None:
    for grid_px, presets in PRESETS_OF_GRID.items():
        # Cells of OpenAI's tile models are halves of their tiles.
        side_px = 512 if grid_px == 256 else grid_px
        for preset in presets:
            assert all(side % side_px == 0 for side in load_preset(preset).page_size_px), preset


VARIANTS = [
    name
    for family in FAMILIES
    for model in family.contexts
    for name in (model, *(f"{model}@{variant}" for variant in family.variants))
]
TEXTS = ("hi", "x\n" * 50, "a few words here\n" * 3, "word " * 40, "word " * 9_000)


@cache
def sizes_of(preset: str) -> set[tuple[int, int]]:
    """Return the sizes of pages of very short, narrow, low and long texts."""
    layouts = (render_pages(text, load_preset(preset)).layouts() for text in TEXTS)
    return {(page.width_px, page.height_px) for pages in layouts for page in pages}


@pytest.mark.parametrize("is_code", [False, True])
@pytest.mark.parametrize("model", VARIANTS)
def test_no_page_of_a_models_own_preset_is_resampled_by_it(model: str, is_code: bool) -> None:
    preset = preset_of(model, is_code=is_code)
    for size in sizes_of(preset):
        assert not image_cost(*size, model).resampled, (preset, size)


def test_fields_win_over_settings_and_settings_over_the_preset() -> None:
    config = make_config("aligned-28", settings=["dpi=96", "font_size_pt=8"], dpi=144)
    assert (config.dpi, config.font_size_pt, config.grid_px) == (144, 8, 28)
    assert make_config(config) == config


def test_code_gets_its_own_preset() -> None:
    rendering = glyph.render(document_from_text("def f(x):\n    return x\n", name="f.py"))
    assert rendering.config == load_preset("code")
    assert len(np.unique(rendering.pages[0].plane_HW)) > 20


def test_unknown_names_are_refused_before_any_work(tmp_path: Path) -> None:
    def never() -> Iterator[bytes]:
        raise AssertionError("the document was read")
        yield b""

    class Unread(io.RawIOBase):
        def read(self, _size: int = -1) -> bytes:
            return b"".join(never())

    with pytest.raises(UnknownModelError, match="no visual-token rule is known for model 'gpt-9'"):
        glyph.measure(Unread(), models=["gpt-9"])
    with pytest.raises(ConfigError, match="unknown tokenizer 'bpe-9'"):
        save(Unread(), tmp_path / "run", tokenizer="bpe-9")
    assert not (tmp_path / "run").exists()


# -- prices ----------------------------------------------------------------------------------


def test_measuring_gives_the_price_of_rendering_without_drawing() -> None:
    text = SENTENCE * 300
    rendering = glyph.render(text, model="qwen2.5-vl")
    measured = glyph.measure(text, models=["qwen2.5-vl"])
    assert measured.costs == (rendering.cost,)
    assert measured.characters == len(text)
    assert measured.page_sizes_px == tuple((p.width_px, p.height_px) for p in rendering.pages)


def test_each_model_is_priced_by_its_own_rule_and_tokenizer() -> None:
    document = document_from_text(SENTENCE * 100)
    sizes = [(588, 840), (588, 280)]
    for cost, model in zip(price(document, sizes, DEFAULT_MODELS), DEFAULT_MODELS, strict=True):
        tokenizer = resolve_model(model).tokenizer
        tokens = count_text_tokens(document.text, tokenizer)
        assert cost == document_cost(sizes, tokens, model, tokenizer)
        assert is_proxy(cost) == (not resolve_model(model).tokenizer_is_exact)


def test_another_tokenizer_is_always_a_proxy() -> None:
    document = document_from_text(SENTENCE)
    (own,) = price(document, [(588, 840)], ["qwen3-vl"])
    (other,) = price(document, [(588, 840)], ["qwen3-vl"], "cl100k_base")
    assert not is_proxy(own)
    assert is_proxy(other)
    assert other.tokenizer == "cl100k_base"


def test_characters_without_a_glyph_are_counted() -> None:
    text = "plain and \U0010fffd\U0010fffd and \ue000"
    assert dict(glyph.render(text).missing) == {"\U0010fffd": 2, "\ue000": 1}
    assert dict(glyph.measure(text).missing) == {"\U0010fffd": 2, "\ue000": 1}


# -- folders ---------------------------------------------------------------------------------


def test_saving_gives_the_pages_of_rendering(tmp_path: Path) -> None:
    document = document_from_text(SENTENCE * 300, name="letters.txt")
    rendering = glyph.render(document)
    run = save(document, tmp_path / "run")
    assert [page.digest for page in run.pages] == [page.digest for page in rendering.pages]
    assert (run.costs[0].visual_tokens, run.preset) == (
        rendering.cost.visual_tokens,
        DEFAULT_PRESET,
    )
    files = [tmp_path / "run" / page.file for page in run.pages]
    assert run.num_bytes == sum(path.stat().st_size for path in files)


def test_the_manifest_says_what_the_pages_are(tmp_path: Path) -> None:
    document = document_from_text(WRAPPED, name="wrapped.txt", unwrap=True)
    run = save(document, tmp_path / "run", models=["glm-4.5v", "gpt-5.4"], dpi=96)
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text("utf-8"))
    assert manifest["glyph_version"] == glyph.__version__
    assert manifest["document"]["notes"] == list(document.notes) != []
    assert manifest["document"]["characters"] == len(document.text)
    assert manifest["document"]["source_characters"] == len(WRAPPED)
    assert RenderConfig.from_dict(manifest["config"]) == run.config
    assert manifest["config_digest"] == run.config.digest
    assert (manifest["preset"], manifest["format"], manifest["dpi"]) == ("aligned-28", "png", 96)
    assert [cost["model"] for cost in manifest["costs"]] == ["glm-4.5v", "gpt-5.4"]
    pages = manifest["pages"]
    assert sum(page["visual_tokens"] for page in pages) == manifest["costs"][0]["visual_tokens"]
    assert (pages[0]["start"], pages[-1]["end"]) == (0, len(document.text))
    assert (pages[0]["source_start"], pages[-1]["source_end"]) == (0, len(WRAPPED))


def test_pages_of_the_manifest_tile_the_text_and_the_source(tmp_path: Path) -> None:
    source = WRAPPED * 30
    document = document_from_text(source, unwrap=True)
    save(document, tmp_path / "run")
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text("utf-8"))
    pages = manifest["pages"]
    assert len(pages) > 3
    for before, after in pairwise(pages):
        assert before["end"] == after["start"]
        assert before["source_end"] == after["source_start"]
    texts = [document.text[page["start"] : page["end"]] for page in pages]
    sources = [source[page["source_start"] : page["source_end"]] for page in pages]
    assert "".join(sources) == source
    assert [text.split() for text in texts] == [text.split() for text in sources]


def test_the_manifest_is_the_same_on_every_run(tmp_path: Path) -> None:
    for name in ("one", "two"):
        save(document_from_text(SENTENCE * 200), tmp_path / name)
    one, two = (tmp_path / name / "manifest.json" for name in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()


def test_a_pdf_is_priced_as_its_pages_and_has_its_size(tmp_path: Path) -> None:
    text = SENTENCE * 200
    run = save(text, tmp_path / "run", format="pdf")
    assert run.costs[0].visual_tokens == glyph.render(text).cost.visual_tokens
    assert run.num_bytes == (tmp_path / "run" / "document.pdf").stat().st_size


# -- questions -------------------------------------------------------------------------------


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


@given(st.data())
def test_boxes_and_spans_undo_each_other(data: st.DataObject) -> None:
    words = data.draw(st.lists(st.text("abcdefgh", min_size=1, max_size=9), min_size=3))
    text = " ".join(words)
    (page,) = render_pages(text, load_preset("aligned-28"))
    first = data.draw(st.integers(0, len(words) - 1))
    start = len(" ".join(words[:first])) + (first > 0)
    end = start + len(words[first])
    spans = [span for box in page.layout.boxes(start, end) for span in page.layout.spans_under(box)]
    assert "".join(text[a:b] for a, b in spans) == words[first]


@pytest.mark.parametrize("word", ["السلام", "لا", "नमस्ते", "👨‍👩‍👧", "e\u0323", "山水"])
def test_words_of_every_script_are_led_back_whole(word: str) -> None:
    text = f"{word} one {word} {word}\n{word}"
    (page,) = render_pages(text, load_preset("aligned-28"))
    start = -1
    for _ in range(text.count(word)):
        start = text.index(word, start + 1)
        (box,) = page.layout.boxes(start, start + len(word))
        assert page.layout.spans_under(box) == ((start, start + len(word)),)


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


def test_a_novel_is_priced_as_published(data_folder: Path) -> None:
    tokenizer = data_folder / "tokenizers" / "glm-4" / "tokenizer.model"
    document = load_document(data_folder / "books" / "jane_eyre.txt")
    measured = glyph.measure(document, models=["glm-4.1v"], tokenizer=str(tokenizer))
    assert measured.characters == 1_018_329
    assert measured.costs[0].text_tokens == 239_071
    assert measured.costs[0].ratio > 2


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
