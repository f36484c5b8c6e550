"""The whole training as one command: stages, settings files, failures."""

import json
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="training needs the [train] extra")
pytest.importorskip("transformers", reason="training needs the [train] extra")

from command_line import run
from glyph.errors import ConfigError, GlyphError
from glyph.train.nano.recipe import Sources, Stage, _run, _stages, load_recipe, train_nano
from glyph.train.nano.settings import JointSettings, LanguageSettings, read_settings

STEPS = {"vision": 40, "language": 33, "distil": 50, "joint": 8}


def test_stages_name_each_other_s_checkpoints_and_settings_files_read_back(tmp_path: Path):
    groups = _stages(load_recipe(), STEPS, tmp_path, Sources(Path("novels"), None), seed=5)
    names = [[stage.name for stage in group] for group in groups]
    assert names == [["vision", "language"], ["distil"], ["joint"], ["export"]]
    by_name = {stage.name: stage for group in groups for stage in group}
    assert str(tmp_path / "vision" / "vision.pt") in by_name["distil"].arguments
    assert str(tmp_path / "distil" / "distil.pt") in by_name["joint"].arguments
    language = read_settings(tmp_path / "language.toml", LanguageSettings)
    joint = read_settings(tmp_path / "joint.toml", JointSettings)
    assert (language.steps, language.seed, joint.steps) == (33, 5, 8)
    assert joint.keep_styles == ("A", "N")
    assert dict(joint.mix.page_weights)["keys"] > 0.5


def test_a_stage_that_fails_is_named_with_its_log_and_runs_again_later(tmp_path: Path):
    stage = Stage("language", "language", ("--settings", str(tmp_path / "missing.toml")), 5)
    with pytest.raises(GlyphError, match=r"stage 'language' failed: .*missing\.toml.*log\.txt"):
        _run((stage,), tmp_path, lambda _stage, _step, _steps: None)
    assert not (tmp_path / "language" / "done").exists()


def test_a_stage_that_is_done_is_not_run_again(tmp_path: Path):
    (tmp_path / "language").mkdir()
    (tmp_path / "language" / "done").touch()
    _run((Stage("language", "no_such_module", (), 5),), tmp_path, lambda _s, _a, _b: None)
    assert not (tmp_path / "language" / "log.txt").exists()


def test_a_budget_of_no_hours_is_refused(tmp_path: Path):
    with pytest.raises(ConfigError, match="0 hours of training; give a number above 0"):
        train_nano(tmp_path, Sources(None, None), hours=0)
    result = run("train", "nano", "--hours", "0", "--out", tmp_path / "run", "--json")
    assert result.exit_code == 1
    assert "give a number above 0" in json.loads(result.stdout)["error"]
