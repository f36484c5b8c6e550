"""The demo, run for real: all of the reference is read back from its page files."""

import json
import sys
from pathlib import Path

import pytest

from command_line import run, values


def test_the_demo_reads_all_of_its_pages_and_answers_from_them(tmp_path: Path) -> None:
    told = values("demo", "--out", tmp_path / "demo")
    assert told["characters"] > 400_000
    assert told["pages"] == len(list((tmp_path / "demo" / "pages").glob("page-*.png"))) > 90
    assert len(told["costs"]) >= 5
    read = told["read"]
    assert read["pages"] == len(list((tmp_path / "demo" / "reading").glob("page-*.png"))) > 140
    assert read["ratio"] > 3
    assert read["letter_errors"] / read["letters"] < 0.001
    answers = [each["answer"] for each in read["answers"]]
    assert "execution frame" in answers[0]
    assert "NameError" in answers[1]
    assert "exception is not handled" in answers[2]
    assert all(each["page"] and each["box"] and each["spans"] for each in read["answers"])
    report = (tmp_path / "demo" / "report.html").read_text("utf-8")
    assert "NameError" in report


def test_without_a_reader_the_demo_does_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    result = run("demo", "--out", tmp_path / "demo", "--json")
    assert result.exit_code == 0
    assert result.stderr == (
        "not read back: reader 'nano' needs onnxruntime; install it with: pip install onnxruntime "
        "safetensors\n"
    )
    told = json.loads(result.stdout)
    assert told["read"] is None
    assert told["pages"] > 90
    assert (tmp_path / "demo" / "report.html").exists()
