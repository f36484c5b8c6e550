"""The gateway as a process of its own."""

import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx2
import pytest


class Process:
    """`glyph serve` as a process of its own."""

    def __init__(self, upstream: str, port: int, *arguments: str, **options: Any) -> None:
        command = [sys.executable, "-m", "glyph", "serve", "--upstream", upstream,
                   "--port", str(port), "--no-playground", "--quiet", "--workers", "1",
                   "--vision-model", "glm-4.1v", *arguments]  # fmt: skip
        self.process = subprocess.Popen(command, stderr=subprocess.DEVNULL, **options)
        self.url = f"http://127.0.0.1:{port}"
        for _ in range(600):
            try:
                httpx2.get(f"{self.url}/healthz", timeout=2)
            except httpx2.TransportError:
                assert self.process.poll() is None
                time.sleep(0.1)
            else:
                return
        pytest.fail("the gateway did not come up")

    def workers(self) -> list[int]:
        pid = self.process.pid
        return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]
