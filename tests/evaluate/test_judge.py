"""The judge behind a real server: verdicts, and what becomes of paid answers when it fails."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from chat_server import SLOW, Script, Server, serving

from glyph.api import make_config
from glyph.errors import ConfigError, UpstreamError
from glyph.evaluate import Example, Run, RunSettings, evaluate, summarise
from glyph.evaluate.answering import ReaderAnswerer
from glyph.evaluate.journal import Journal
from glyph.evaluate.judge import Judge, judge_with
from glyph.evaluate.showing import Showing
from glyph.readers import open_reader

SHOWING = Showing(make_config(), "glm-4.1v", "o200k_base")
EXAMPLES = tuple(
    Example(
        f"d-{i}", "single-page", f"Note {i}: 204 of 300 agreed.", f"How many agreed on {i}?",
        ("204",), "document_answer", category="Int",
    )
    for i in range(3)
)  # fmt: skip
RESPONSE = "Of the 300 people who were asked, 204 agreed."


def scripted(verdict: Callable[[int], str | int]) -> Script:
    """Return a script: the reader answers, the judge does what `verdict` says of an attempt."""

    def script(model: str, question: str, number: int) -> str | int:
        return verdict(number) if model == "judge" else RESPONSE

    return script


def run(server: Server, path: Path, retries: int = 1, concurrency: int = 2) -> Run:
    options = {"base_url": server.url, "timeout_s": 0.7}
    answerer = ReaderAnswerer(open_reader("openai:reader", **options))
    judge = judge_with(open_reader("openai:judge", **options))
    settings = RunSettings(concurrency=concurrency, retries=retries, judge=judge)
    return evaluate(EXAMPLES, answerer, SHOWING, path, settings)


@pytest.mark.parametrize("verdict", ["204", "**Answer: 204**\n\nI counted.", "\n`204`"])
def test_what_the_judge_cuts_out_is_scored_and_the_response_is_kept(
    verdict: str, tmp_path: Path
) -> None:
    with serving(script=scripted(lambda _: verdict)) as server:
        records = run(server, tmp_path / "j").records
        # Every answer was asked for once, and every verdict.
        assert server.models == {"reader": 3, "judge": 3}
    assert [(each.extracted, each.score, each.answer) for each in records] == [
        ("204", 1.0, RESPONSE)
    ] * 3
    # The rule would have taken the first number.
    settings = RunSettings()
    with serving(script=scripted(lambda _: 500)) as server:
        answerer = ReaderAnswerer(open_reader("openai:reader", base_url=server.url))
        by_rule = evaluate(EXAMPLES, answerer, SHOWING, tmp_path / "rule", settings)
    assert [each.score for each in by_rule.records] == [0.0] * 3


def test_a_wrong_verdict_is_a_silent_error_and_an_unanswerable_one_is_none(tmp_path: Path) -> None:
    with serving(script=scripted(lambda _: "300")) as server:
        assert summarise(run(server, tmp_path / "wrong")).silent_error_rate == 100.0
    with serving(script=scripted(lambda _: "Not answerable")) as server:
        assert run(server, tmp_path / "none").records[0].score == 0.0


@pytest.mark.parametrize("first", [429, 503, SLOW, "", " \n "])
def test_a_verdict_that_fails_once_is_asked_for_again_and_the_answer_is_not(
    first: str | int, tmp_path: Path
) -> None:
    with serving(script=scripted(lambda n: first if n == 1 else "204")) as server:
        records = run(server, tmp_path / "j", concurrency=3).records
        assert server.models["reader"] == 3
    assert [record.score for record in records] == [1.0] * 3


@pytest.mark.parametrize(
    ("always", "reason"),
    [
        ("** **", "gave no verdict"),
        ("", "answered with nothing"),
        (400, "refused"),
        (SLOW, "within 0.7 s"),
    ],
)
def test_an_answer_whose_judge_fails_for_good_is_kept_and_only_judged_by_the_next_run(
    always: str | int, reason: str, tmp_path: Path
) -> None:
    path = tmp_path / "j"
    with serving(script=scripted(lambda _: always)) as server:
        failed = run(server, path, retries=0, concurrency=3).records
    assert [record.status for record in failed] == ["failed"] * 3
    assert [record.answer for record in failed] == [RESPONSE] * 3
    assert all(re.search(reason, record.error) for record in failed)
    with serving(script=scripted(lambda _: "204")) as server:
        again = run(server, path)
        assert server.models == {"judge": 3}
    assert [record.score for record in again.records] == [1.0] * 3
    assert [record.input_tokens for record in again.records] == [100] * 3


def test_a_wrong_key_of_the_judge_ends_the_run_and_keeps_the_answers(tmp_path: Path) -> None:
    path = tmp_path / "j"
    with (
        serving(script=scripted(lambda _: 401)) as server,
        pytest.raises(UpstreamError, match="API key"),
    ):
        run(server, path, concurrency=1)
    with Journal(path) as journal:
        (record,) = journal.records().values()
    assert (record.status, record.answer) == ("failed", RESPONSE)


def test_a_reader_that_takes_no_text_cannot_judge() -> None:
    with pytest.raises(ConfigError, match="cannot judge; name openai:MODEL"):
        judge_with(open_reader("ocr"))


def test_the_judge_sees_the_response_and_never_the_true_answer() -> None:
    seen: list[str] = []

    class Listener:
        name = "listener"

        def answer_text(self, context: str, question: str, max_answer_tokens: int = 0) -> object:
            seen.extend((context, question))
            raise UpstreamError("enough")

    with pytest.raises(UpstreamError, match="enough"):
        Judge("listener", Listener()).short_answer(EXAMPLES[0], "They were many.")
    assert seen[0] == "They were many."
    assert EXAMPLES[0].question in seen[1]
    assert "204" not in "".join(seen)
