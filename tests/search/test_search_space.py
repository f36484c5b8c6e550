"""The space: every field a gene, and one way from values to a config."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glyph import ConfigError, RenderConfig
from glyph.config import field_specs
from glyph.search.operators import OPERATORS, Parent
from glyph.search.space import LINKED, STYLE, Space

SPACE = Space.build("glm-4.1v", 28)


def test_every_field_is_a_gene_with_a_unit_and_stands_in_one_group() -> None:
    assert [gene.name for gene in SPACE.genes] == list(field_specs())
    assert all(gene.unit and gene.about for gene in SPACE.genes)
    grouped = [name for group in LINKED for name in group]
    assert sorted(grouped) == sorted([STYLE, *field_specs()])


@given(st.integers(0, 100_000))
def test_whatever_genes_are_put_together_becomes_values_of_the_genes_or_is_refused(
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    try:
        config = SPACE.repair({gene.name: gene.drawn(rng) for gene in SPACE.genes})
    except ConfigError:
        return
    for gene in SPACE.genes:
        assert gene.clipped(getattr(config, gene.name)) == getattr(config, gene.name)


@given(st.integers(0, 10_000))
def test_draws_lie_in_the_space_and_survive_repair(seed: int) -> None:
    config = SPACE.sample(np.random.default_rng(seed))
    assert SPACE.repair(config.to_dict()) == config
    for gene in SPACE.genes:
        assert gene.clipped(getattr(config, gene.name)) == getattr(config, gene.name)


@given(st.integers(0, 10_000))
def test_uniform_draws_of_all_genes_become_pages_or_are_refused_with_a_reason(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = {gene.name: gene.drawn(rng) for gene in SPACE.genes}
    try:
        config = SPACE.repair(values)
    except ConfigError as error:
        assert str(error)
    else:
        assert config.line_height_pt >= config.font_size_pt


@given(st.integers(0, 10_000), st.sampled_from(sorted(OPERATORS)))
def test_operators_give_values_of_genes_only_and_name_their_parents(seed: int, name: str) -> None:
    rng = np.random.default_rng(seed)
    parents = [Parent(7 + i, SPACE.sample(rng), 0.9, 2.0) for i in range(3)]
    offspring = OPERATORS[name](rng, SPACE, parents)
    assert set(offspring.values) == set(SPACE.by_name)
    assert set(offspring.parents) <= {7, 8, 9}
    assert offspring.operator == name
    assert offspring.reason
    try:
        SPACE.repair(offspring.values)
    except ConfigError as error:
        assert str(error)


def test_repair_raises_a_line_height_below_the_font_and_mends_contrast() -> None:
    config = SPACE.repair({"font_size_pt": 12.0, "line_height_pt": 9.0, "font_color": "#FFFFFF"})
    assert (config.line_height_pt, config.font_color) == (12.0, "#000000")


def test_numbers_out_of_range_go_to_its_end_and_words_are_refused() -> None:
    assert SPACE.repair({"dpi": 10_000.0}).dpi == SPACE.by_name["dpi"].high
    with pytest.raises(ConfigError, match="dpi is 'fine'; a number"):
        SPACE.repair({"dpi": "fine"})
    with pytest.raises(ConfigError, match="did you mean 'font_family'"):
        SPACE.repair({"font_famly": "Roboto"})


@pytest.mark.parametrize("fixed", [{"columns": 2}, {"font_size_pt": 12.0}, {"grid_px": 0}])
def test_fixed_fields_never_change(fixed: dict[str, Any]) -> None:
    space = Space.build("glm-4.1v", 28, fixed=fixed)
    (name,) = fixed
    assert name not in space.by_name
    rng = np.random.default_rng(1)
    configs = [space.sample(rng) for _ in range(10)] + [config for _, config in space.seeds()]
    parents = [Parent(i, config, 0.9, 2.0) for i, config in enumerate(configs)]
    configs += [space.repair(OPERATORS[o](rng, space, parents).values) for o in OPERATORS]
    assert {getattr(config, name) for config in configs} == set(fixed.values())


def test_fixed_fields_that_contradict_each_other_are_refused_at_once() -> None:
    with pytest.raises(ConfigError, match="leave no page that could be read: line_height_pt 8"):
        Space.build("glm-4.1v", 28, fixed={"font_size_pt": 12.0, "line_height_pt": 8.0})


def test_another_model_or_fixed_field_is_another_space() -> None:
    digests = {
        Space.build("glm-4.1v", 28).digest,
        Space.build("qwen3-vl", 32).digest,
        Space.build("glm-4.1v", 28, fixed={"columns": 1}).digest,
    }
    assert len(digests) == 3
    assert Space.build("glm-4.1v", 28).digest == SPACE.digest


def test_presets_of_the_models_grid_begin_the_search() -> None:
    seeds = dict(SPACE.seeds())
    assert {"aligned-28", "glyph-en-72"} <= set(seeds)
    assert seeds["glyph-en-72"] == RenderConfig()
    assert all(config.grid_px in (0, 28) for config in seeds.values())
