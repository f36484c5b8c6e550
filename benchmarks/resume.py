"""A run of 1,000 examples killed twice and gone on with, against one that is left alone.

    python benchmarks/resume.py [--examples 1000] [--delay 0.1]

Answers come from a real HTTP server on loopback that takes its time. Printed are the seconds, the
questions asked more than once, and whether both tables are the same.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from evaluate.test_runner import serving

KEYS = ("scores", "intervals", "mean", "examples", "failed", "ratio", "silent_error_rate")


def command(out: Path, url: str, number: int) -> list[str]:
    return [
        *(sys.executable, "-m", "glyph", "eval", "ruler", "--subset", "niah_single_1"),
        *("--lengths", "256", "-n", str(number), "--reader", "openai:m", "--base-url", url),
        *("--concurrency", "16", "--out", str(out), "--json"),
    ]


def lines_of(folder: Path) -> int:
    return sum(path.read_bytes().count(b"\n") for path in folder.glob("*.jsonl"))


def table(printed: bytes) -> dict[str, Any]:
    values = json.loads(printed)
    return {key: values[key] for key in KEYS}


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--examples", type=int, default=1000)
    options.add_argument("--delay", type=float, default=0.1)
    asked = options.parse_args()
    environment = {**os.environ, "OPENAI_API_KEY": "none"}
    with tempfile.TemporaryDirectory() as name, serving(delay_s=asked.delay) as server:
        broken, whole = Path(name) / "broken", Path(name) / "whole"
        began = time.perf_counter()
        for share in (0.3, 0.7):
            run = subprocess.Popen(
                command(broken, server.url, asked.examples), env=environment,
                stdout=subprocess.DEVNULL,
            )  # fmt: skip
            while lines_of(broken) < share * asked.examples:
                time.sleep(0.05)
            run.send_signal(signal.SIGKILL)
            run.wait()
            print(f"killed with {lines_of(broken)} answers kept", flush=True)
        pieces = subprocess.run(
            command(broken, server.url, asked.examples), env=environment, check=True,
            capture_output=True,
        )  # fmt: skip
        in_pieces_s, num_asked = time.perf_counter() - began, server.asked.total()
        began = time.perf_counter()
        left_alone = subprocess.run(
            command(whole, server.url, asked.examples), env=environment, check=True,
            capture_output=True,
        )  # fmt: skip
        whole_s = time.perf_counter() - began
    print(f"in three pieces {in_pieces_s:.0f} s, left alone {whole_s:.0f} s")
    print(f"asked {num_asked} times for {asked.examples} examples")
    same = table(pieces.stdout) == table(left_alone.stdout)
    print("tables are the same" if same else "TABLES DIFFER")
    sys.exit(0 if same else 1)


if __name__ == "__main__":
    main()
