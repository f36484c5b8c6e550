"""Searches that are killed, and searches that share a folder."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ruler import TEXT, Ruler, settings

from glyph.search.choosing import BEST
from glyph.search.job import search
from glyph.search.study import open_storage

RULER = Path(__file__).with_name("ruler.py")


def worker(folder: Path, evaluations: int, wait_s: float = 0.0) -> "subprocess.Popen[str]":
    command = [sys.executable, str(RULER), str(folder), str(evaluations), str(wait_s)]
    return subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def completed(folder: Path) -> list[str]:
    """Return the page keys of all measured candidates, read from the journal itself."""
    import optuna

    study = optuna.load_study(study_name="glyph-search", storage=open_storage(folder))
    done = [trial for trial in study.trials if trial.state == optuna.trial.TrialState.COMPLETE]
    return [trial.user_attrs["page_key"] for trial in done]


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_a_killed_search_loses_at_most_the_candidate_in_flight(tmp_path: Path) -> None:
    folder = tmp_path / "study"
    running = worker(folder, 1_000, wait_s=0.02)
    journal = folder / "study.journal"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if journal.exists() and journal.read_bytes().count(b'"measured"') >= 3:
            break
        assert running.poll() is None, running.stderr and running.stderr.read()
        time.sleep(0.02)
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    before = completed(folder)
    assert len(before) >= 2
    goal = len(before) + 2
    result = search([TEXT], Ruler(), settings(folder, goal))
    assert len(result.records) == goal
    assert completed(folder)[: len(before)] == before
    # What the reader had said about the candidate in flight was not asked again either.
    assert (folder / BEST).exists()


def test_two_processes_on_one_folder_measure_no_pages_twice(tmp_path: Path) -> None:
    folder = tmp_path / "study"
    workers = [worker(folder, 16, wait_s=0.005) for _ in range(2)]
    for each in workers:
        _, errors = each.communicate(timeout=240)
        assert each.returncode == 0, errors
    keys = completed(folder)
    assert len(keys) == len(set(keys)) == 16
    assert (folder / BEST).exists()


def test_a_larger_budget_continues_and_a_smaller_one_only_reports(tmp_path: Path) -> None:
    folder = tmp_path / "study"
    first = search([TEXT], Ruler(), settings(folder, 6))
    more = search([TEXT], Ruler(), settings(folder, 9))
    assert [r.number for r in more.records[:6]] == [r.number for r in first.records]
    less = search([TEXT], Ruler(), settings(folder, 3))
    assert (len(less.records), less.num_asked) == (9, 0)
    front = json.loads((folder / "front.json").read_text())["front"]
    assert [entry["trial"] for entry in front] == [record.number for record in less.front]
