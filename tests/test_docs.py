"""What the README shows must run, and what it names must exist."""

import importlib.util
import re
import shlex
import sys
from pathlib import Path

import pytest

from glyph.cli import main

README = (Path(__file__).parents[1] / "README.md").read_text("utf-8")
BOOK = "Jane opened the red-room.\n\nThe value of retry_limit: 7\n\n" + "It rained all day. " * 60


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


@pytest.fixture
def book(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "book.txt"
    path.write_text(BOOK, "utf-8")
    return path


@pytest.mark.usefixtures("book")
def test_the_python_of_the_readme_runs() -> None:
    if importlib.util.find_spec("rapidocr") is None:
        pytest.skip("rapidocr is not installed: pip install 'glyph-context[ocr]'")
    for code in blocks("python"):
        exec(compile(code, "README.md", "exec"), {})


@pytest.mark.usefixtures("book")
@pytest.mark.parametrize("verb", ["measure", "render"])
def test_the_commands_of_the_readme_run(verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [line.partition("#")[0] for block in blocks("console") for line in block.splitlines()]
    commands = [shlex.split(line)[1:] for line in lines if line.startswith(f"$ glyph {verb}")]
    assert commands
    for command in commands:
        monkeypatch.setattr(sys, "argv", command)
        with pytest.raises(SystemExit) as ended:
            main()
        assert not ended.value.code


def test_every_file_the_readme_names_is_there() -> None:
    root = Path(__file__).parents[1]
    named = [*re.findall(r"\]\(([\w./-]+)\)", README), *re.findall(r'src="([\w./-]+)"', README)]
    named += re.findall(r"python (benchmarks/\w+\.py)", README)
    assert len(named) > 4
    assert [name for name in named if not (root / name).exists()] == []
