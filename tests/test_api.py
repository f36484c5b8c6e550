"""The verbs without a reader: sources, configs, prices and manifests."""

import io
import json
import textwrap
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import glyph
from glyph.api import (
    DEFAULT_MODELS,
    DEFAULT_PRESET,
    PRESETS_OF_GRID,
    as_document,
    make_config,
    preset_of,
    price,
    save,
)
from glyph.config import RenderConfig
from glyph.documents import document_from_text, load_document
from glyph.errors import ConfigError, DocumentError, UnknownModelError
from glyph.presets import load_preset, preset_names
from glyph.render import render_pages
from glyph.text_tokens import count_text_tokens
from glyph.tokens import document_cost, image_cost, is_proxy, model_names, resolve_model
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


def test_a_novel_is_priced_as_published(data_folder: Path) -> None:
    tokenizer = data_folder / "tokenizers" / "glm-4" / "tokenizer.model"
    document = load_document(data_folder / "books" / "jane_eyre.txt")
    measured = glyph.measure(document, models=["glm-4.1v"], tokenizer=str(tokenizer))
    assert measured.characters == 1_018_329
    assert measured.costs[0].text_tokens == 239_071
    assert measured.costs[0].ratio > 2


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
