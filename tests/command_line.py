"""How tests of the command line run it, and what they expect of every run."""

import json
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from glyph.cli import app

SENTENCE = "The quiet teacher carried a heavy letter to the village. "


def run(*arguments: object, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(app, [str(each) for each in arguments], input=stdin)


def values(*arguments: object, stdin: bytes | None = None) -> dict[str, Any]:
    """Run a verb with --json and return the one object it prints."""
    result = run(*arguments, "--json", stdin=stdin)
    assert result.exit_code == 0, result.output
    assert result.stderr == "", result.stderr
    return json.loads(result.stdout)


def refusal(*arguments: object, stdin: bytes | None = None) -> str:
    """Run a verb that must fail, in both modes, and return its one sentence."""
    plain = run(*arguments, stdin=stdin)
    assert (plain.exit_code, plain.stdout) == (1, "")
    assert plain.stderr.startswith("error: ")
    assert plain.stderr.count("\n") == 1
    told = run(*arguments, "--json", stdin=stdin)
    assert (told.exit_code, told.stderr) == (1, plain.stderr)
    assert json.loads(told.stdout)["error"] == plain.stderr.removeprefix("error: ").rstrip("\n")
    return plain.stderr.removeprefix("error: ").rstrip("\n")


def contents(folder: Path) -> dict[str, bytes]:
    """Return the files of a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}
