"""A browser without a window, driven over two pipes: real pointers, real clicks, no library."""

import base64
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--remote-debugging-pipe",
)  # fmt: skip


class Tab:
    """One page of the browser; every call waits for its reply."""

    def __init__(self, to_browser: int, from_browser: int):
        self._to, self._from, self._rest, self._number = to_browser, from_browser, b"", 0
        self._session: str | None = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        self.call("Page.enable")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        reply = self._wait(lambda heard: heard.get("id") == self._number)
        assert "error" not in reply, reply
        return reply["result"]

    def _wait(self, is_wanted: Any) -> dict[str, Any]:
        while True:
            while b"\0" not in self._rest:
                read = os.read(self._from, 1 << 20)
                assert read, "the browser ended"
                self._rest += read
            raw, _, self._rest = self._rest.partition(b"\0")
            heard = json.loads(raw)
            if is_wanted(heard):
                return heard

    def open(self, path: Path, width_px: int = 1400, height_px: int = 1200) -> None:
        metrics = {"width": width_px, "height": height_px, "deviceScaleFactor": 1, "mobile": False}
        self.call("Emulation.setDeviceMetricsOverride", **metrics)
        self.call("Page.navigate", url=path.as_uri())
        self._wait(lambda heard: heard.get("method") == "Page.loadEventFired")

    def value(self, script: str) -> Any:
        result = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def middle_of(self, script: str) -> tuple[float, float]:
        """Return where the middle of the element is that a script gives, scrolled into view."""
        found = self.value(
            f"(() => {{ const e = {script}; e.scrollIntoView({{block: 'center'}});"
            "const r = e.getBoundingClientRect();"
            "return [r.left + r.width / 2, r.top + r.height / 2]; })()"
        )
        return found[0], found[1]

    def move(self, x: float, y: float) -> None:
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def click(self, x: float, y: float) -> None:
        self.move(x, y)
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def screenshot(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))


@contextmanager
def browser(profile: Path) -> Generator[Tab]:
    """Give a tab of a fresh browser, which is gone afterwards; skips where there is none."""
    if CHROMIUM is None or sys.platform == "win32":
        pytest.skip("needs chromium, and pipes that a child inherits")
    child_in, to_browser = os.pipe()
    from_browser, child_out = os.pipe()
    # The browser reads from descriptor 3 and writes to 4; both ends are moved away first, since
    # they may be those themselves.
    script = (
        "import os, sys\n"
        f"ends = os.dup({child_in}), os.dup({child_out})\n"
        "ends = tuple(os.dup2(end, 20 + i) for i, end in enumerate(ends))\n"
        "os.dup2(ends[0], 3), os.dup2(ends[1], 4)\n"
        "os.execv(sys.argv[1], sys.argv[1:])\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, CHROMIUM, *FLAGS, f"--user-data-dir={profile}"],
        pass_fds=(child_in, child_out),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(child_in)
    os.close(child_out)
    try:
        yield Tab(to_browser, from_browser)
    finally:
        os.close(to_browser)
        process.terminate()
        process.wait(30)
        os.close(from_browser)
