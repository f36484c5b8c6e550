"""Who may come in, what goes on, and what is never written down."""

import base64
import io
import json

import httpx2
import pytest

from conftest import LONG
from glyph.errors import ConfigError
from glyph.readers import Answer, Usage
from glyph.serve.guard import Guard
from glyph.serve.local import ReaderUpstream
from glyph.serve.metrics import clean
from glyph.serve.upstream import Call, HttpUpstream, is_safe_path, parse_routes

BODY = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


def post(url: str, headers: dict | None = None, body: object = BODY) -> httpx2.Response:
    content = json.dumps(body).encode()
    return httpx2.post(f"{url}/v1/chat/completions", content=content, headers=headers)


def test_other_machines_need_a_token_before_the_gateway_starts():
    with pytest.raises(ConfigError, match="set GLYPH_TOKEN"):
        Guard("0.0.0.0")
    with pytest.raises(ConfigError, match="at least 16"):
        Guard("0.0.0.0", "short")
    Guard("127.0.0.1")


def test_a_token_is_demanded_and_never_goes_on(make_chain):
    token = "0123456789abcdef"
    chain = make_chain(token=token)
    assert post(chain.url).status_code == 401
    assert post(chain.url, {"x-glyph-token": "0" * 16}).status_code == 401
    for headers in ({"x-glyph-token": token}, {"authorization": f"Bearer {token}"}):
        assert post(chain.url, headers).status_code == 200
        assert token not in json.dumps(chain.upstream.headers[-1])
    assert httpx2.get(f"{chain.url}/healthz").status_code == 200
    assert httpx2.get(f"{chain.url}/metrics").status_code == 401


def test_web_pages_from_elsewhere_are_refused(chain):
    assert post(chain.url, {"origin": "https://evil.example"}).status_code == 403
    assert post(chain.url, {"host": "evil.example"}).status_code == 403
    assert post(chain.url, {"origin": chain.url}).status_code == 200


@pytest.mark.parametrize(
    "path",
    ("/v1/../admin", "/v1/%2e%2e/admin", "/v1//x.example", "/v1/%252e%252e/x", "/v1/a\\..\\b"),
)
def test_paths_that_lead_elsewhere_are_refused(path, chain):
    assert not is_safe_path(path)


def test_no_upstream_is_named_by_a_request():
    for url in ("file:///etc/passwd", "ftp://x", "http://", "http://u:p@host", "http://h?q=1"):
        with pytest.raises(ConfigError) as error:
            HttpUpstream(url)
        assert "u:p" not in str(error.value)
    with pytest.raises(ConfigError, match="two upstreams"):
        parse_routes(["http://a", "http://b"])


def test_bodies_are_bounded_and_unpacked(make_chain):
    chain = make_chain(max_body_bytes=10_000)
    assert post(chain.url, body={**BODY, "x": "y" * 20_000}).status_code == 413
    assert post(chain.url, {"content-encoding": "gzip"}).status_code == 415
    assert post(chain.url, {"x-glyph": "nonsense"}).status_code == 400


def test_logs_and_metrics_hold_no_key_and_no_text(make_chain, capsys):
    chain = make_chain(log=True)
    canary, key = "canary-text-8472", "sk-canary-key-8472"
    messages = [{"role": "user", "content": f"{LONG}\n{canary}\n{LONG}"}]
    post(chain.url, {"authorization": f"Bearer {key}"}, {"model": "m", "messages": messages})
    post(chain.url, {"x-api-key": key}, {"model": f"m@@status-500 {canary}", "messages": messages})
    metrics = httpx2.get(f"{chain.url}/metrics").text
    logged = capsys.readouterr()
    assert '"action": "compressed"' in logged.err
    for written in (metrics, logged.err, logged.out):
        assert key not in written
        assert f"\n{canary}" not in written
    assert clean("a b\r\nc") == "a_b__c"


def test_caches_hold_no_key_and_no_text_with_a_secret(make_chain, tmp_path):
    chain = make_chain(cache=tmp_path)
    key, secret = "sk-canary-key-8472", f"AKIA{'C' * 16}"
    headers = {"authorization": f"Bearer {key}", "x-api-key": key}
    for text in (f"{LONG}\n{LONG}", f"{LONG}\n{secret}\n{LONG}"):
        messages = [{"role": "user", "content": text}]
        assert post(chain.url, headers, {"model": "m", "messages": messages}).status_code == 200
    # The text with the secret left nothing; the other one left pages, under a hash.
    (file,) = (path for path in tmp_path.rglob("*") if path.is_file())
    for canary in (key, secret):
        assert canary.encode() not in file.read_bytes()
        assert canary not in str(file)


class Echo:
    """A reader that says how many pages it saw."""

    name = "echo"

    def answer(self, request):
        text = f"{len(request.pages)} pages; {request.question}"
        return Answer(text, self.name, (), None, "", None, Usage(None, None, None), 0.0)

    def transcribe(self, page):
        raise NotImplementedError


async def ask(content: object) -> tuple[int, dict]:
    body = json.dumps({"messages": [{"role": "user", "content": content}]}).encode()
    reply = await ReaderUpstream(Echo()).send(
        Call("POST", "/v1/chat/completions", b"", [], (body,))
    )
    return reply.status, json.loads(b"".join([chunk async for chunk in reply.chunks()]))


def image_of(png: bytes) -> dict:
    url = f"data:image/png;base64,{base64.b64encode(png).decode()}"
    return {"type": "image_url", "image_url": {"url": url}}


def test_a_local_reader_fetches_no_image_and_takes_no_bomb():
    import asyncio

    from PIL import Image

    bomb = io.BytesIO()
    Image.new("1", (4_000, 4_100)).save(bomb, "PNG")
    small = io.BytesIO()
    Image.new("L", (28, 28)).save(small, "PNG")
    question = {"type": "text", "text": "Why?"}
    far = {"type": "image_url", "image_url": {"url": "http://169.254.169.254/latest"}}
    for part, words in (
        (far, "none is fetched"),
        (image_of(bomb.getvalue()), "more than 16,000,000 pixels"),
        (image_of(b"GIF89a"), "no PNG"),
    ):
        status, answer = asyncio.run(ask([part, question]))
        assert status == 400
        assert words in answer["error"]["message"]
    status, answer = asyncio.run(ask([image_of(small.getvalue()), question]))
    assert status == 200
    assert answer["choices"][0]["message"]["content"] == "1 pages; Why?"
    status, answer = asyncio.run(ask("All is well.\n\nIs it?"))
    assert answer["choices"][0]["message"]["content"] == "1 pages; Is it?"
