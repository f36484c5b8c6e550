"""A run of 1,000 examples killed twice and gone on with, against one that is left alone.

    python benchmarks/resume.py [--examples 1000] [--out FILE]

Both runs ask `glyph serve --reader nano`, a real server on loopback that really reads the pages.
Printed are the seconds, the questions asked more than once, and whether both tables are the same.
"""

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

GLYPH = (sys.executable, "-m", "glyph")
ENVIRONMENT = {**os.environ, "OPENAI_API_KEY": "none"}
KILLED_AT = (0.3, 0.7)
KEYS = (
    "scores", "intervals", "mean", "examples", "failed", "ratio", "silent_error_rate",
    "input_tokens",
)  # fmt: skip


@contextmanager
def serving() -> Iterator[str]:
    """Serve the nano reader and give its address."""
    command = (*GLYPH, "serve", "--reader", "nano", "--port", "0", "--no-playground", "--quiet")
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert server.stderr is not None
    try:
        for line in server.stderr:
            found = re.search(r"at (http://\S+)", line)
            if found:
                yield f"{found[1]}/v1"
                return
        raise SystemExit("the server did not start")
    finally:
        server.terminate()
        server.wait()


def command(out: Path, url: str, number: int) -> tuple[str, ...]:
    return (
        *(*GLYPH, "eval", "ruler", "--subset", "niah_single_1,niah_multikey_1"),
        *("--lengths", "256", "-n", str(number // 2), "--reader", "openai:nano"),
        *("--base-url", url, "--preset", "nano-dense", "--model", "glm-4.1v"),
        *("--concurrency", "8", "--out", str(out), "--json"),
    )


def lines_of(folder: Path) -> int:
    return sum(path.read_bytes().count(b"\n") for path in folder.glob("*.jsonl"))


def kill_at(share: float, out: Path, url: str, number: int) -> int:
    """Start a run, or go on with it, kill it, and return the answers kept."""
    run = subprocess.Popen(command(out, url, number), env=ENVIRONMENT, stdout=subprocess.DEVNULL)
    while lines_of(out) < share * number:
        if run.poll() is not None:
            raise SystemExit("the run ended before it was killed")
        time.sleep(0.02)
    run.send_signal(signal.SIGKILL)
    run.wait()
    return lines_of(out)


def finish(out: Path, url: str, number: int) -> dict[str, Any]:
    """Run to the end and return the table."""
    run = subprocess.run(
        command(out, url, number), env=ENVIRONMENT, check=True, stdout=subprocess.PIPE
    )
    values = json.loads(run.stdout)
    return {key: values[key] for key in KEYS}


def answers_of(folder: Path) -> tuple[int, dict[str, tuple[str, float]]]:
    """Return the number of answers in the journal, and answer and score of each key."""
    (journal,) = folder.glob("*.jsonl")
    records = [json.loads(line) for line in journal.read_text().splitlines()]
    return len(records), {each["key"]: (each["answer"], each["score"]) for each in records}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--examples", type=int, default=1000)
    options.add_argument("--out", type=Path, help="keep the figures as JSON")
    asked = options.parse_args()
    number = asked.examples
    with tempfile.TemporaryDirectory() as name, serving() as url:
        broken, whole = Path(name) / "broken", Path(name) / "whole"
        began = time.perf_counter()
        kept = [kill_at(share, broken, url, number) for share in KILLED_AT]
        in_pieces = finish(broken, url, number)
        in_pieces_s = time.perf_counter() - began
        began = time.perf_counter()
        left_alone = finish(whole, url, number)
        whole_s = time.perf_counter() - began
        (num_broken, answers), (num_whole, wanted) = answers_of(broken), answers_of(whole)
    figures = {
        "examples": number,
        "kept_at_kills": kept,
        "in_three_pieces_s": round(in_pieces_s, 1),
        "left_alone_s": round(whole_s, 1),
        "answers_in_journals": [num_broken, num_whole],
        "same_answers": answers == wanted,
        "same_table": in_pieces == left_alone,
        "table": left_alone,
    }
    print(json.dumps(figures, indent=1))
    if asked.out is not None:
        asked.out.write_text(json.dumps(figures, indent=1) + "\n")
    sys.exit(0 if figures["same_answers"] and figures["same_table"] else 1)


if __name__ == "__main__":
    main()
