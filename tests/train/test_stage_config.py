import pytest

from glyph.errors import ConfigError
from glyph.train.config import (
    STAGES,
    GrpoConfig,
    StageConfig,
    TrainConfig,
    config_names,
    load_config,
)
from glyph.train.samples.config import DataConfig


def test_the_9b_config_has_the_numbers_of_the_paper():
    config = load_config("glm-4.1v-9b")
    assert (config.cpt.steps, config.cpt.batch, config.cpt.learning_rate) == (4000, 170, 2e-6)
    assert (config.sft.steps, config.sft.batch, config.sft.warmup_steps) == (1500, 32, 160)
    assert (config.sft.learning_rate, config.sft.min_learning_rate) == (5e-6, 2e-6)
    assert config.sft.betas == (0.9, 0.95)
    grpo = config.grpo
    assert (grpo.steps, grpo.batch, grpo.learning_rate, grpo.generations) == (500, 32, 1e-6, 16)
    assert (grpo.epsilon_low, grpo.epsilon_high, grpo.drop_degenerate) == (0.2, 0.28, True)
    assert grpo.min_learning_rate == grpo.learning_rate, "the paper's rate is constant"


@pytest.mark.parametrize("name", config_names())
def test_every_config_has_samples_for_every_stage(name: str):
    config = load_config(name)
    for stage in STAGES:
        assert DataConfig.of_stage(config.data, stage).families


def test_an_unknown_key_names_the_nearest():
    with pytest.raises(
        ConfigError, match=r"unknown key in \[sft\]: 'warm_up_steps'.*'warmup_steps'"
    ):
        TrainConfig.from_dict({"sft": {"warm_up_steps": 3}}, "my.toml")


def test_an_unknown_section_names_the_nearest():
    with pytest.raises(ConfigError, match=r"unknown section in my.toml: 'reward'.*'rewards'"):
        TrainConfig.from_dict({"reward": {}}, "my.toml")


def test_an_unknown_name_names_the_configs_there_are():
    with pytest.raises(ConfigError, match=r"did you mean 'nano'.*glm-4.1v-9b, nano, nano-smoke"):
        load_config("nan")


@pytest.mark.parametrize(
    ("section", "table", "message"),
    [
        ("cpt", {"steps": 0}, "steps is 0; give 1 or more"),
        ("cpt", {"steps": "many"}, "steps in .cpt. is 'many'; give a value of type int, as 4000"),
        ("cpt", {"steps": True}, "steps in .cpt. is True; give a value of type int"),
        ("sft", {"betas": [0.9]}, "give 2 numbers"),
        ("sft", {"min_learning_rate": 1.0}, "give a peak above 0 and a minimum not above it"),
        ("grpo", {"device_batch": 7}, "device_batch is 7; give a divisor of .* which is 512"),
        ("grpo", {"generations": 1}, "generations is 1; give 2 or more"),
        ("model", {"context": "audio"}, "context is 'audio'; give one of pages, text"),
        ("rewards", {"match": -1.0}, "match is -1.0; give 0 or more"),
    ],
)
def test_a_value_out_of_range_says_what_is_accepted(section: str, table: dict, message: str):
    with pytest.raises(ConfigError, match=message):
        TrainConfig.from_dict({section: table}, "my.toml")


def test_whole_numbers_are_taken_where_a_fraction_is_meant():
    config = TrainConfig.from_dict({"grpo": {"temperature": 1, "beta": 0}}, "my.toml")
    assert (config.grpo.temperature, config.grpo.beta) == (1.0, 0.0)


def test_a_file_that_is_no_toml_is_refused(tmp_path):
    path = tmp_path / "broken.toml"
    path.write_text("[cpt\nsteps = 1")
    with pytest.raises(ConfigError, match=r"broken.toml is no TOML file"):
        load_config(path)


def test_a_config_survives_its_tables():
    config = load_config("nano")
    assert TrainConfig.from_dict(_lists(config.to_dict()), "again") == config
    assert isinstance(config.stage("grpo"), GrpoConfig)
    assert all(isinstance(config.stage(stage), StageConfig) for stage in STAGES)


def _lists(value):
    if isinstance(value, dict):
        return {key: _lists(one) for key, one in value.items()}
    return list(value) if isinstance(value, tuple) else value
