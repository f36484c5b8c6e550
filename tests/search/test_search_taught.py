"""Readers that were taught some styles, and what is read beside a search."""

import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruler import TEXT, Ruler, settings

from command_line import values
from glyph import ConfigError, RenderConfig
from glyph.presets import load_preset
from glyph.readers import open_reader
from glyph.readers.nano.reader import NanoReader
from glyph.readers.protocol import PageStyle, StyledReader, Taught
from glyph.render import render_pages
from glyph.search.comparing import RATIOS, read_comparison
from glyph.search.fitness import Fitness
from glyph.search.job import search
from glyph.search.operators import OPERATORS, Parent
from glyph.search.pareto import front_indices
from glyph.search.prompting import schema_of
from glyph.search.readings import Readings
from glyph.search.space import STYLE, Space
from glyph.search.validation import SetSize, questions_from_texts

LOOSE = PageStyle("loose", "wide lines", {"font_size_pt": 9.0, "line_height_pt": 14.0})
TIGHT = PageStyle("tight", "close lines", {"font_size_pt": 9.0, "line_height_pt": 9.0})
TAUGHT = Taught(
    (LOOSE, TIGHT),
    {"page_width_pt": tuple(range(84, 589, 28)), "newline_marker": ("", "¶"), "bold": (False,)},
)
SPACE = Space.build("glm-4.1v", 28, taught=TAUGHT)


def style_of(config: RenderConfig) -> str:
    return SPACE.value(config, STYLE)


def test_the_genes_are_the_style_and_what_the_reader_lets_free() -> None:
    found = {gene.name: gene for gene in SPACE.genes}
    assert set(found) == {STYLE, "page_width_pt", "newline_marker", "bold"}
    assert found[STYLE].choices == ("loose", "tight")
    width = found["page_width_pt"]
    assert (width.low, width.high, width.step) == (84, 588, 28)
    assert SPACE.digest != Space.build("glm-4.1v", 28).digest
    more = replace(TAUGHT, styles=(LOOSE,))
    assert SPACE.digest != Space.build("glm-4.1v", 28, taught=more).digest
    fields = schema_of(SPACE)["properties"]["proposals"]["items"]["properties"]["take"]["items"]
    assert STYLE in fields["enum"]


@given(st.integers(0, 10_000), st.sampled_from(sorted(OPERATORS)))
def test_draws_and_offspring_are_of_a_style_and_on_the_grid(seed: int, operator: str) -> None:
    rng = np.random.default_rng(seed)
    parents = [Parent(i, SPACE.sample(rng), 0.9, 2.0) for i in range(4)]
    made = SPACE.repair(OPERATORS[operator](rng, SPACE, parents).values)
    for config in [made, *(parent.config for parent in parents)]:
        style = {"loose": LOOSE, "tight": TIGHT}[style_of(config)]
        assert all(getattr(config, name) == value for name, value in style.fields.items())
        assert (config.page_width_pt - 84) % 28 == 0
        assert SPACE.repair(SPACE.genome(config)) == config


def test_a_style_is_named_or_found_by_its_fields() -> None:
    assert SPACE.repair({STYLE: "tight"}).line_height_pt == 9.0
    near = RenderConfig(line_height_pt=9.0, font_size_pt=9.0).to_dict()
    assert style_of(SPACE.repair(near)) == "tight"
    with pytest.raises(ConfigError, match="style is 'tigth'; accepted are 'tight'"):
        SPACE.repair({STYLE: "tigth"})


def test_fixed_fields_choose_among_styles_or_are_refused() -> None:
    held = Space.build("glm-4.1v", 28, taught=TAUGHT, fixed={"line_height_pt": 9.0})
    assert held.by_name[STYLE].choices == ("tight",)
    with pytest.raises(ConfigError, match=r"fit none of the styles the reader was taught.*loose"):
        Space.build("glm-4.1v", 28, taught=TAUGHT, fixed={"line_height_pt": 20.0})


# -- the reader that comes with the package --------------------------------------------------


@pytest.fixture(scope="module")
def nano() -> NanoReader:
    if importlib.util.find_spec("onnxruntime") is None:
        pytest.skip("onnxruntime is not installed: pip install 'glyph-context[ocr]'")
    found = open_reader("nano", threads=1)
    assert isinstance(found, NanoReader)
    return found


def test_nano_declares_the_styles_of_its_presets_and_reads_what_it_declares(
    nano: NanoReader,
) -> None:
    assert isinstance(nano, StyledReader)
    space = Space.build("glm-4.1v", 28, taught=nano.taught)
    assert dict(space.seeds()) == {name: load_preset(name) for name in ("nano", "nano-dense")}
    rng = np.random.default_rng(3)
    for _ in range(6):
        config = space.sample(rng).replace(crop_last_page=True)
        page = next(iter(render_pages(TEXT[:300], config)))
        assert nano.transcribe(page).text.split()[0] == TEXT.split()[0]


def test_a_search_with_nano_ends_well_and_beats_its_presets(
    nano: NanoReader, book: Path, text: str, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    few = ("--passages", 2, "--passage-chars", 300, "--seed", 0)
    found = values("search", book, "--reader", "nano", "--evaluations", 12, "--out", out, *few)
    assert found["evaluations"] == 12
    size = SetSize(2, 300)
    readings = Readings(nano, tmp_path / "readings.sqlite")
    fitness = Fitness(
        questions_from_texts([text], size=size), readings, "glm-4.1v", sees_itself=False
    )
    dense = fitness.price(load_preset("nano-dense")).ratio
    best = max(found["front"], key=lambda entry: (entry["accuracy"], entry["ratio"]))
    assert best["accuracy"] > 0.95
    assert best["ratio"] > dense


# -- comparison ------------------------------------------------------------------------------


def test_a_comparison_reads_random_draws_and_the_papers_preset_once(tmp_path: Path) -> None:
    asked = replace(settings(tmp_path / "run", 8), with_comparison=True)
    found = search([TEXT], Ruler(), asked)
    comparison = read_comparison(tmp_path / "run")
    assert comparison is not None
    assert comparison.num_random == len(found.records) == 8
    assert front_indices(comparison.random) == list(range(len(comparison.random)))
    ratios = [ratio for _, ratio in comparison.manual]
    assert all(ratio >= asked for ratio, asked in zip(ratios, RATIOS, strict=False))
    accuracies = [accuracy for accuracy, _ in comparison.manual]
    assert accuracies == sorted(accuracies, reverse=True)
    html = found.report.read_text()
    assert "8 random draws" in html
    assert "the paper's preset, dpi lowered" in html
    assert search([TEXT], Ruler(), asked).num_asked == 0
