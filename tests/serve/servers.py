"""Real servers on loopback: an upstream that speaks the three protocols, and the gateway itself."""

import asyncio
import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

CALLS = [{"id": f"call_{i}", "type": "function",
          "function": {"name": "weather", "arguments": json.dumps({"city": city})}}
         for i, city in enumerate(("Oslo", "Bergen"))]  # fmt: skip


class Upstream:
    """Answers with what it was sent, and misbehaves when the model's name asks for it."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self.left = threading.Event()
        paths = ("/v1/chat/completions", "/v1/responses", "/v1/messages")
        routes = [Route(path, self.answer, methods=["POST"]) for path in paths]
        self.app = Starlette(routes=[*routes, Route("/v1/models", self.models)])

    @property
    def last(self) -> dict[str, Any]:
        return json.loads(self.bodies[-1])

    async def models(self, request: Request) -> Response:
        return JSONResponse({"object": "list", "data": [{"id": "m", "object": "model"}]})

    async def answer(self, request: Request) -> Response:
        body = await request.body()
        self.bodies.append(body)
        self.headers.append(dict(request.headers))
        values = json.loads(body)
        model = values["model"].partition("@@")[2]
        if model == "no-images" and b"image/png" in body:
            return JSONResponse({"error": {"message": "images are not supported"}}, 400)
        if model.startswith("status-"):
            error = {"message": "said no", "type": "rate_limit_error", "code": "x"}
            return JSONResponse({"type": "error", "error": error}, int(model[7:]))
        if model == "garbage":
            return Response(b"\x00\xff<html>", media_type="application/json")
        if values.get("stream"):
            return StreamingResponse(self.events(request, model), media_type="text/event-stream")
        return JSONResponse(self.whole(request.url.path, values))

    def whole(self, path: str, values: dict[str, Any]) -> dict[str, Any]:
        text = f"{json.dumps(values).count('image/png')} pages"
        if path.endswith("messages"):
            return {
                "id": "msg_1",
                "type": "message",
                "role": "assistant",
                "model": "m",
                "content": [{"type": "text", "text": text}],
                "stop_reason": "end_turn",
                "stop_sequence": None,
                "usage": {"input_tokens": 1, "output_tokens": 2},
            }
        if path.endswith("responses"):
            part = {"type": "output_text", "text": text, "annotations": []}
            item = {
                "type": "message",
                "id": "i",
                "role": "assistant",
                "status": "completed",
                "content": [part],
            }
            return {
                "id": "resp_1",
                "object": "response",
                "created_at": 1,
                "model": "m",
                "status": "completed",
                "output": [item],
                "parallel_tool_calls": True,
                "tool_choice": "auto",
                "tools": [],
                "usage": {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3},
            }
        message: dict[str, Any] = {"role": "assistant", "content": text}
        if (
            values.get("tools")
            and values["messages"][-1]["role"] == "user"
            and "pages" not in str(values)
        ):
            message = {"role": "assistant", "content": None, "tool_calls": CALLS}
        return {
            "id": "c",
            "object": "chat.completion",
            "created": 1,
            "model": "m",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
        }

    async def events(self, request: Request, mode: str):
        def chunk(delta: dict[str, Any], **more: Any) -> bytes:
            choices = [{"index": 0, "delta": delta, "finish_reason": None}]
            value = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
            return f"data: {json.dumps(value | {'choices': choices} | more)}\n\n".encode()

        try:
            if request.url.path.endswith("messages"):
                whole = self.whole(request.url.path, {})
                for event in (
                    {"type": "message_start", "message": whole | {"content": []}},
                    {"type": "content_block_start", "index": 0,
                     "content_block": {"type": "text", "text": ""}},
                    {"type": "content_block_delta", "index": 0,
                     "delta": {"type": "text_delta", "text": "hello"}},
                    {"type": "content_block_stop", "index": 0},
                    {"type": "message_delta", "delta": {"stop_reason": "end_turn"},
                     "usage": {"output_tokens": 1}},
                    {"type": "message_stop"},
                ):  # fmt: skip
                    yield f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()
                    if mode == "dies":
                        raise RuntimeError("dies")
                return
            for word in ("one ", "two ", "thr\u00e9e"):
                yield chunk({"content": word})
                if mode == "dies":
                    raise RuntimeError("dies")
                if mode == "stalls":
                    await asyncio.sleep(60)
                if mode == "slow":
                    await asyncio.sleep(0.2)
            usage = {"prompt_tokens": 1, "completion_tokens": 3, "total_tokens": 4}
            yield chunk({}, usage=usage)
            yield b"data: [DONE]\n\n"
        except asyncio.CancelledError:
            self.left.set()
            raise


@contextlib.contextmanager
def running(app: Any) -> Iterator[str]:
    """Serve an application from a thread; gives its URL."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        config = uvicorn.Config(app, log_level="critical", lifespan="on",
                                timeout_graceful_shutdown=1)  # fmt: skip
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        while not server.started:
            assert thread.is_alive()
            threading.Event().wait(0.01)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(10)
