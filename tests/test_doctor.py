"""The doctor: it finds what is broken, says what to do, and keeps secrets."""

import json
import threading
import tomllib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from glyph import doctor, kernel
from glyph.doctor import Check, examine
from glyph.errors import ConfigError

KEY = "sk-do-not-show-4711"


class Endpoint(BaseHTTPRequestHandler):
    """Lists two models to whoever brings the key, and repeats the key to all others."""

    def do_GET(self) -> None:
        is_known = self.headers.get("Authorization") == f"Bearer {KEY}"
        if self.path.startswith("/moved"):
            self.send_response(404)
            body = {"error": "no such path"}
        elif is_known:
            self.send_response(200)
            names = ["qwen3-vl-8b", "glm-4.5v"]
            body = {"object": "list", "data": [{"id": name, "object": "model"} for name in names]}
        else:
            self.send_response(401)
            body = {"error": {"message": f"bad key {self.headers.get('Authorization')}"}}
        data = json.dumps(body).encode()
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def endpoint() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def no_endpoint_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_BASE_URL", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)


def check_of(name: str, base_url: str | None = None) -> Check:
    return next(check for check in examine(base_url) if check.name == name)


def test_everything_essential_is_well_here() -> None:
    checks = list(examine())
    assert [check for check in checks if check.status == "broken"] == []
    names = [check.name for check in checks]
    assert len(set(names)) == len(names)
    assert {"glyph", "kernel", "fonts", "presets", "tokenizers", "self-test"} <= set(names)
    assert all(
        check.remedy for check in checks if check.status == "note" and "reader" not in check.name
    )


def test_the_kernel_in_use_is_named() -> None:
    with kernel.using("numpy"):
        check = check_of("kernel")
    assert check.detail.startswith("numpy")
    if kernel.has_native():
        with kernel.using("c"):
            assert check_of("kernel") == Check("kernel", "ok", "c")


def test_kernels_that_draw_different_pages_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    if not kernel.has_native():
        pytest.skip("the C kernel was not built")
    blit = kernel._blit

    def wrong(plane: "np.ndarray", *rest: object) -> None:
        blit(plane, *rest)
        plane[0] ^= 1

    monkeypatch.setattr(kernel, "_blit", wrong)
    check = check_of("self-test")
    assert (check.status, check.detail) == ("broken", "the C kernel and NumPy draw different pages")
    assert check.remedy.startswith("set GLYPH_KERNEL=numpy")


def test_a_missing_default_font_is_broken_and_others_are_notes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(doctor, "installed_families", lambda: ["Noto Sans"])
    assert check_of("fonts") == Check(
        "fonts", "broken", "DejaVu Sans is missing", "pip install matplotlib"
    )
    monkeypatch.setattr(doctor, "installed_families", lambda: ["DejaVu Sans"])
    scripts = check_of("fonts of scripts")
    assert scripts.status == "note"
    assert "Noto Sans CJK SC" in scripts.detail
    assert scripts.remedy == "pip install manimgx-fonts noto-cjk-sans-otc"


def test_a_broken_preset_and_a_broken_tokenizer_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str) -> None:
        raise ConfigError(f"preset '{name}' is not valid TOML")

    monkeypatch.setattr(doctor, "tokenizer_names", lambda: ("o200k_base", "no-such-one"))
    assert check_of("tokenizers").status == "broken"
    load = doctor.load_preset
    monkeypatch.setattr(
        doctor, "load_preset", lambda name: load(name) if name == "aligned-28" else refuse(name)
    )
    check = check_of("presets")
    assert check.status == "broken"
    assert "is not valid TOML" in check.detail


def test_every_extra_that_can_be_installed_is_looked_at() -> None:
    project = Path(__file__).parents[1] / "pyproject.toml"
    extras = tomllib.loads(project.read_text("utf-8"))["project"]["optional-dependencies"]
    assert set(doctor.EXTRAS) == set(extras) - {"dev"}


def test_absent_extras_say_how_to_get_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "EXTRAS", {"ocr": ("no_such_module_a", "json")})
    assert check_of("extra [ocr]") == Check(
        "extra [ocr]", "note", "without no_such_module_a", "pip install 'glyph-context[ocr]'"
    )


def test_without_an_endpoint_nothing_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    check = check_of("reader openai")
    assert check.status == "note"
    assert check.detail == "no endpoint is named; OPENAI_API_KEY is set"


def test_an_endpoint_tells_its_models(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_BASE_URL", f"{endpoint}/v1")
    assert check_of("reader openai") == Check(
        "reader openai", "ok", f"{endpoint}/v1 serves 2 models: glm-4.5v, qwen3-vl-8b"
    )


def test_an_endpoint_that_refuses_is_told_by_its_status(
    endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", f"{KEY}-wrong")
    check = check_of("reader openai", f"{endpoint}/v1")
    assert (check.status, check.detail) == ("note", f"{endpoint}/v1 answers with status 401")
    assert check.remedy == "set OPENAI_API_KEY"
    check = check_of("reader openai", f"{endpoint}/moved")
    assert check.detail == f"{endpoint}/moved answers with status 404"


@pytest.mark.parametrize("url", ["http://user:secret@127.0.0.1:9/v1?key=secret", "ftp://secret@x"])
def test_no_key_and_no_password_is_ever_shown(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    shown = " ".join(f"{check.detail} {check.remedy}" for check in examine(url))
    assert KEY not in shown
    assert "secret" not in shown


def test_an_endpoint_that_is_not_there_is_told() -> None:
    check = check_of("reader openai", "http://127.0.0.1:9/v1")
    assert check == Check(
        "reader openai", "note", "http://127.0.0.1:9/v1 cannot be reached", "check the URL"
    )
    assert check_of("reader openai", "localhost").detail == "localhost is not a URL"
