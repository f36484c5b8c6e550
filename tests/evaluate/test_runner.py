"""Runs against a real server on loopback: killed, timed out, out of room, and gone on with."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from chat_server import Server, serving

from command_line import values
from glyph.api import make_config
from glyph.errors import EvaluationError, UpstreamError
from glyph.evaluate import RunSettings, TaskOptions, evaluate, load_task, summarise
from glyph.evaluate.answering import BlankAnswerer, OracleAnswerer, ReaderAnswerer
from glyph.evaluate.journal import Journal, Record, read_record
from glyph.evaluate.showing import Showing
from glyph.readers import open_reader

SHOWING = Showing(make_config(), "glm-4.1v", "o200k_base")


def needles(number: int) -> TaskOptions:
    return TaskOptions(("niah_single_1",), (256,), number)


def reader(server: Server, timeout_s: float = 20.0) -> ReaderAnswerer:
    return ReaderAnswerer(open_reader("openai:m", base_url=server.url, timeout_s=timeout_s))


def command(out: Path, url: str, number: int) -> list[str]:
    return [
        *(sys.executable, "-m", "glyph", "eval", "ruler", "--subset", "niah_single_1"),
        *("--lengths", "256", "-n", str(number), "--reader", "openai:m", "--base-url", url),
        *("--concurrency", "4", "--out", str(out), "--json"),
    ]


def test_a_run_killed_twice_and_gone_on_with_gives_the_table_of_one_that_was_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = 24
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    with serving(delay_s=0.15) as server:
        whole, broken = tmp_path / "whole", tmp_path / "broken"
        for attempt in (1, 2):
            run = subprocess.Popen(command(broken, server.url, number), stdout=subprocess.DEVNULL)
            _wait_for_lines(broken, 7 * attempt, run)
            run.send_signal(signal.SIGKILL)
            run.wait(120)
        in_pieces = values_of(broken, server.url, number)
        asked_in_pieces = server.asked.total()
        left_alone = values_of(whole, server.url, number)
    assert in_pieces == left_alone
    # What had been answered was not asked again: only those under way at a kill were.
    assert number <= asked_in_pieces <= number + 2 * 4 * 2
    (journal,) = broken.glob("*.jsonl")
    keys = [json.loads(line)["key"] for line in journal.read_text().splitlines()]
    assert len(keys) == len(set(keys)) == number


def values_of(out: Path, url: str, number: int) -> dict[str, Any]:
    """Run to the end in this process, and return what does not depend on the clock."""
    arguments = command(out, url, number)[3:-1]
    printed = values(*arguments, "--model", "glm-4.1v")
    names = ("scores", "intervals", "mean", "examples", "failed", "ratio", "input_tokens")
    return {name: printed[name] for name in names}


def _wait_for_lines(folder: Path, number: int, run: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + 100
    while time.monotonic() < until:
        assert run.poll() is None, "the run ended before it could be killed"
        lines = sum(path.read_bytes().count(b"\n") for path in folder.glob("*.jsonl"))
        if lines >= number:
            return
        time.sleep(0.02)
    raise AssertionError("the run wrote too little")


def test_a_torn_last_line_is_cut_off_and_its_example_asked_again(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    task = load_task("ruler", needles(3))
    whole = evaluate(task.examples, OracleAnswerer(), SHOWING, path, RunSettings())
    data = path.read_bytes()
    path.write_bytes(data[:-40])
    again = evaluate(task.examples, OracleAnswerer(), SHOWING, path, RunSettings())
    assert [r.score for r in again.records] == [r.score for r in whole.records]
    assert len(path.read_bytes().splitlines()) == 3
    assert all(read_record(line) for line in path.read_text().splitlines())


@pytest.mark.parametrize("status", [503, 429, 0])
def test_a_third_of_requests_that_fail_or_time_out_once_are_asked_again(
    status: int, tmp_path: Path
) -> None:
    task = load_task("ruler", needles(9))
    with serving(failing_share=0.34, status=status) as server:
        run = evaluate(
            task.examples, reader(server, 0.7), SHOWING, tmp_path / "j.jsonl",
            RunSettings(concurrency=8),
        )  # fmt: skip
        assert server.asked.total() > 9
    assert [record.status for record in run.records] == ["ok"] * 9
    assert summarise(run).failed == 0


def test_what_fails_for_good_is_counted_left_out_of_the_mean_and_asked_by_the_next_run(
    tmp_path: Path,
) -> None:
    task = load_task("ruler", needles(8))
    path = tmp_path / "j.jsonl"
    with serving(failing_share=0.5, status=400) as server:
        first = evaluate(task.examples, reader(server), SHOWING, path, RunSettings())
        failed = [record for record in first.records if record.status == "failed"]
        assert 0 < len(failed) < 8
        assert "refused the request (400)" in failed[0].error
        assert summarise(first).failed == len(failed)
        before = server.asked.total()
        second = evaluate(task.examples, reader(server), SHOWING, path, RunSettings())
        assert server.asked.total() == before + len(failed)
    assert summarise(second).failed == 0


def test_a_wrong_key_ends_the_run_and_keeps_what_was_answered(tmp_path: Path) -> None:
    task = load_task("ruler", needles(12))
    path = tmp_path / "j.jsonl"
    with serving(failing_share=0.3, status=401) as server:
        with pytest.raises(UpstreamError, match="API key"):
            evaluate(task.examples, reader(server), SHOWING, path, RunSettings(concurrency=2))
        answered = server.asked.total() - 1
        assert answered < 12
        with Journal(path) as journal:
            assert 0 < len(journal.records()) <= answered


def test_an_answer_longer_than_any_limit_is_cut_and_its_length_kept(tmp_path: Path) -> None:
    task = load_task("ruler", needles(1))
    with serving(answer="so " * 100_000) as server:
        run = evaluate(task.examples, reader(server), SHOWING, tmp_path / "j", RunSettings())
    (record,) = run.records
    assert (len(record.answer), record.answer_chars) == (100_000, 299_999)
    assert record.score == 0.0
    assert record.is_silent_error


NO_ROOM = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
from glyph.cli import main
main()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no resource limits")
def test_without_room_the_run_stops_whole_and_answers_under_way_go_to_stderr(
    tmp_path: Path,
) -> None:
    arguments = command(tmp_path / "out", "", 12)[3:]
    with serving(delay_s=0.05) as server:
        arguments[arguments.index("")] = server.url
        run = subprocess.run(
            [sys.executable, "-c", NO_ROOM, *arguments],
            env={**os.environ, "OPENAI_API_KEY": "none"}, capture_output=True, text=True,
        )  # fmt: skip
        asked = server.asked.total()
    assert run.returncode == 1
    assert "Free some space and run the same command again" in run.stderr
    (journal,) = (tmp_path / "out").glob("*.jsonl")
    kept = journal.read_text().splitlines()
    told = [line for line in run.stderr.splitlines() if line.startswith('{"key"')]
    records = [read_record(line) for line in (*kept, *told)]
    assert all(records)
    assert kept
    assert told
    # Everything that was answered, and so paid for, is in the journal or on stderr.
    assert len({record.id for record in records if record}) == asked


def test_answers_of_other_settings_are_not_taken_for_those_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    task = load_task("ruler", needles(2))
    evaluate(task.examples, OracleAnswerer(), SHOWING, path, RunSettings())
    other = Showing(make_config(font_size_pt=8), "glm-4.1v", "o200k_base")
    evaluate(task.examples, OracleAnswerer(), other, path, RunSettings())
    assert len(path.read_text().splitlines()) == 4
    evaluate(task.examples, OracleAnswerer(), SHOWING, path, RunSettings())
    assert len(path.read_text().splitlines()) == 4


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EvaluationError, match="cannot be written"):
        evaluate((), BlankAnswerer(0), SHOWING, tmp_path / "file" / "j.jsonl", RunSettings())


def test_records_of_the_journal_survive_any_answer(tmp_path: Path) -> None:
    odd = 'quo"te \n new \u2028 \ud800 é'
    record = Record(
        *("k", "id", "s", "ok", odd, 9, 0.5, False, None, "p", "q", 1, 2, 3, None, None),
        *(0.1, 0.2),
    )
    with Journal(tmp_path / "j.jsonl") as journal:
        journal.append(record)
        (read,) = journal.records().values()
    assert read.answer == odd.replace("\ud800", "?")
