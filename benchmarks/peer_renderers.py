"""Who makes pages in `peers.py`: Glyph's presets, the usual pipeline, and peers behind pipes."""

import io
import json
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from glyph import RenderConfig, document_from_text, encode_png, load_preset, render_pages

DRIVERS = Path(__file__).parent / "peer_drivers"
DEFAULT_ENVS = Path(tempfile.gettempdir()) / "glyph-peers"


@dataclass(frozen=True)
class Rendered:
    """Pages as files in memory, their sizes, the peer's own figures, CPU seconds of timed runs."""

    pages: list[bytes]
    sizes: list[tuple[int, int]]
    claims: dict[str, int] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)


def cpu_seconds() -> float:
    """Return CPU time of this process and its children: on a busy machine wall time says little."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(use.ru_utime + use.ru_stime for use in used)


class Local:
    """A renderer of this process: a function from text to PNG files and sizes."""

    def __init__(self, name: str, pages_of: Callable[[str], tuple[list[bytes], list]]):
        self.name = name
        self._pages_of = pages_of

    def render(self, text: str, model: str = "", kind: str = "plain", runs: int = 0) -> Rendered:
        pages, sizes = self._pages_of(text)
        seconds = []
        for _ in range(runs):
            start = cpu_seconds()
            self._pages_of(text)
            seconds.append(cpu_seconds() - start)
        return Rendered(pages, sizes, seconds=seconds)


def glyph_renderer(name: str, config: RenderConfig) -> Local:
    def pages_of(text: str) -> tuple[list[bytes], list]:
        files, sizes = [], []
        for page in render_pages(document_from_text(text, unwrap=False), config):
            files.append(encode_png(page))
            sizes.append((page.width_px, page.height_px))
        return files, sizes

    return Local(name, pages_of)


def preset_renderer(preset: str) -> Local:
    return glyph_renderer(f"Glyph {preset}", load_preset(preset))


def usual_pipeline() -> Local | None:
    """Return reportlab + poppler, or None with a sentence when one of them is missing."""
    try:
        from poppler import poppler_pages, register_font
    except ImportError:
        print("reportlab is not installed: pip install reportlab", file=sys.stderr)
        return None
    if shutil.which("pdftoppm") is None:
        print("pdftoppm is not installed: apt-get install poppler-utils", file=sys.stderr)
        return None
    register_font()

    def pages_of(text: str) -> tuple[list[bytes], list]:
        files, sizes = [], []
        for image in poppler_pages(text):
            file = io.BytesIO()
            image.convert("L").save(file, "PNG")
            files.append(file.getvalue())
            sizes.append(image.size)
        return files, sizes

    return Local("reportlab + poppler", pages_of)


class Piped:
    """A peer in a process and an environment of its own."""

    def __init__(self, name: str, command: list[str]):
        self.name = name
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            text=True,
        )  # fmt: skip

    def render(self, text: str, model: str = "", kind: str = "plain", runs: int = 0) -> Rendered:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "text.txt"
            file.write_bytes(text.encode())
            request = {"text_file": str(file), "folder": folder, "runs": runs}
            request |= {"model": model or "claude-sonnet-4-6", "kind": kind}
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
            if not line:
                raise RuntimeError(f"{self.name} ended without an answer; request: {request}")
            answer = json.loads(line)
            pages = [Path(path).read_bytes() for path in answer["files"]]
        sizes = [tuple(size) for size in answer["sizes"]]
        return Rendered(pages, sizes, answer["claims"], answer["seconds"])

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait(timeout=30)


@dataclass(frozen=True)
class Recipe:
    """How a peer is got: its registry, package, version and driver."""

    package: str
    version: str
    is_npm: bool = False

    @property
    def name(self) -> str:
        return f"{self.package} {self.version}"

    def folder(self, envs: Path) -> Path:
        """Return where its package stands, or would stand."""
        return envs / self.package

    def install(self, envs: Path) -> None:
        folder, wanted = self.folder(envs), f"{self.package}@{self.version}"
        folder.mkdir(parents=True, exist_ok=True)
        if self.is_npm:
            command = ["npm", "install", "--ignore-scripts", "--prefix", str(folder), wanted]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            return
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "-q"]
        subprocess.run([*pip, f"{self.package}=={self.version}"], check=True)

    def open(self, envs: Path) -> Piped | None:
        """Start the peer, or say how to get it."""
        folder = self.folder(envs)
        driver = f"{self.package.replace('-', '_')}_pages"
        if self.is_npm:
            package = folder / "node_modules" / self.package
            command = ["node", str(DRIVERS / f"{driver}.mjs"), str(package)]
            is_there = package.exists() and shutil.which("node") is not None
        else:
            command = [str(folder / "bin" / "python"), str(DRIVERS / f"{driver}.py")]
            is_there = any(folder.glob(f"lib/python*/site-packages/{driver[:-6]}"))
        if not is_there:
            kind = "npm" if self.is_npm else "pip"
            print(f"{self.name} is skipped; --install gets it with {kind}.", file=sys.stderr)
            return None
        return Piped(self.name, command)


PEERS = (
    Recipe("omniglyph", "1.4.0", is_npm=True),
    Recipe("pixelprompt", "0.4.0"),
    Recipe("un-locc", "0.1.9"),
    Recipe("abstractcore", "2.30.0"),
)
