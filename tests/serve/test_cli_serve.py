"""The verb `serve` says what it needs before it listens."""

import pytest
from typer.testing import CliRunner

from glyph.cli import app


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "give either --upstream URL"),
        (["--upstream", "http://a", "--reader", "ocr"], "give either --upstream URL"),
        (["--upstream", "nonsense"], "is no URL"),
        (["--upstream", "http://127.0.0.1:1", "--host", "0.0.0.0"], "a token is needed"),
        (["--upstream", "http://127.0.0.1:1", "--vision-model", "gpt-0"], "no visual-token rule"),
        (["--upstream", "http://127.0.0.1:1", "--min-chars", "5"], "at least 3600"),
        (["--reader", "nobody"], "unknown reader 'nobody'"),
        (["--upstream", "http://127.0.0.1:1", "--prices", "no-file"], "no-file cannot be read"),
    ],
)
def test_what_is_missing_or_wrong_is_said_in_one_line(options, words, monkeypatch):
    monkeypatch.delenv("GLYPH_TOKEN", raising=False)
    run = CliRunner().invoke(app, ["serve", *options])
    assert run.exit_code == 1
    assert words in run.output
