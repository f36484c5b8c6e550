"""A server whose model reads pages: it calls tools in all three protocols, and checks its results.

What it does is named behind `@@` in the model's name: `read=2`, `search=word`, several joined by
`+`, `weather` for a tool of the client, `again` to ask in every round.
"""

import asyncio
import json
import threading
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

LOOK = "Let me look."


def pieces_of(text: str) -> list[str]:
    return [text[at : at + 200] for at in range(0, len(text), 200)]


class PagingModel:
    def __init__(self, *, takes_tools: bool = True) -> None:
        self.takes_tools = takes_tools
        self.requests: list[dict[str, Any]] = []
        self.left = threading.Event()
        routes = [
            Route("/v1/chat/completions", self.chat, methods=["POST"]),
            Route("/v1/messages", self.messages, methods=["POST"]),
            Route("/v1/responses", self.responses, methods=["POST"]),
        ]
        self.app = Starlette(routes=routes)

    async def _take(self, request: Request) -> dict[str, Any]:
        values = await request.json()
        self.requests.append(values)
        return values

    def plan(self, values: dict[str, Any], results: list[str]) -> tuple[str, list[tuple[str, str]]]:
        """Return what the model says and which tools it calls."""
        names = [tool.get("name") or tool["function"]["name"] for tool in values.get("tools", ())]
        steps = values["model"].partition("@@")[2].split("+")
        if results and "again" not in steps:
            return " | ".join(results), []
        calls = []
        for step in steps:
            kind, _, what = step.partition("=")
            if kind == "read" and "read_page" in names:
                calls.append(("read_page", json.dumps({"page": int(what)})))
            elif kind == "search" and "search_pages" in names:
                calls.append(("search_pages", json.dumps({"query": what})))
            elif kind == "again" and "read_page" in names:
                calls.append(("read_page", '{"page": 1}'))
            elif kind == "weather" and "weather" in names:
                calls.append(("weather", '{"city": "Oslo"}'))
        return (LOOK if calls else "plain answer"), calls

    # -- Chat Completions --------------------------------------------------------------------

    async def chat(self, request: Request) -> Response:
        values = await self._take(request)
        if values.get("tools") and not self.takes_tools:
            return JSONResponse({"error": {"message": "tools are not supported"}}, 400)
        called, results = set(), []
        for message in values["messages"]:
            called |= {call["id"] for call in message.get("tool_calls") or ()}
            if message["role"] == "tool":
                if message["tool_call_id"] not in called:
                    return JSONResponse({"error": {"message": "result without call"}}, 400)
                results.append(message["content"])
        text, planned = self.plan(values, results)
        num = len(self.requests)
        calls = [
            {"id": f"c{num}-{i}", "type": "function", "function": {"name": name, "arguments": args}}
            for i, (name, args) in enumerate(planned)
        ]
        reason = "tool_calls" if calls else "stop"
        if "cut" in values["model"]:
            reason = "length"
        usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110,
                 "prompt_tokens_details": {"cached_tokens": 7}}  # fmt: skip
        head = {"id": f"chat-{num}", "created": num, "model": values["model"]}
        if values.get("stream"):
            chunks = self.chat_chunks(head, text, calls, reason, usage)
            return StreamingResponse(self.paced(chunks), media_type="text/event-stream")
        message = {"role": "assistant", "content": text, **({"tool_calls": calls} if calls else {})}
        choice = {"index": 0, "message": message, "finish_reason": reason}
        return JSONResponse(
            {**head, "object": "chat.completion", "choices": [choice], "usage": usage}
        )

    def chat_chunks(self, head, text, calls, reason, usage):
        def chunk(delta, finish=None, **more):
            choices = [{"index": 0, "delta": delta, "finish_reason": finish}]
            values = {**head, "object": "chat.completion.chunk", "choices": choices, **more}
            return f"data: {json.dumps(values)}\n\n".encode()

        yield chunk({"role": "assistant", "content": ""})
        for piece in pieces_of(text):
            yield chunk({"content": piece})
        for i, call in enumerate(calls):
            function = call["function"]
            start = {**call, "index": i, "function": {"name": function["name"], "arguments": ""}}
            yield chunk({"tool_calls": [start]})
            for char in function["arguments"]:
                yield chunk({"tool_calls": [{"index": i, "function": {"arguments": char}}]})
        yield chunk({}, reason)
        yield b"data: " + json.dumps({**head, "object": "chat.completion.chunk", "choices": [],
                                      "usage": usage}).encode() + b"\n\n"  # fmt: skip
        yield b"data: [DONE]\n\n"

    async def paced(self, pieces):
        try:
            for piece in pieces:
                yield piece
                await asyncio.sleep(0.001)
        except asyncio.CancelledError:
            self.left.set()
            raise

    # -- Messages ----------------------------------------------------------------------------

    async def messages(self, request: Request) -> Response:
        values = await self._take(request)
        called, results = set(), []
        for message in values["messages"]:
            for block in message["content"] if isinstance(message["content"], list) else ():
                if block["type"] == "tool_use":
                    called.add(block["id"])
                if block["type"] == "thinking":
                    assert block["signature"] == "sig"
                if block["type"] == "tool_result":
                    if block["tool_use_id"] not in called:
                        error = {"type": "invalid_request_error", "message": "result without call"}
                        return JSONResponse({"type": "error", "error": error}, 400)
                    results.append(block["content"])
        text, planned = self.plan(values, results)
        num = len(self.requests)
        blocks: list[dict[str, Any]] = [
            {"type": "thinking", "thinking": "hm", "signature": "sig"},
            {"type": "text", "text": text},
        ]
        for i, (name, args) in enumerate(planned):
            blocks.append(
                {"type": "tool_use", "id": f"t{num}-{i}", "name": name, "input": json.loads(args)}
            )
        reason = "tool_use" if planned else "end_turn"
        whole = {
            "id": f"msg-{num}", "type": "message", "role": "assistant", "model": values["model"],
            "content": blocks, "stop_reason": reason, "stop_sequence": None,
            "usage": {"input_tokens": 100, "output_tokens": 10, "cache_read_input_tokens": 5},
        }  # fmt: skip
        if values.get("stream"):
            events = self.message_events(whole)
            return StreamingResponse(self.paced(events), media_type="text/event-stream")
        return JSONResponse(whole)

    def message_events(self, whole):
        def event(kind, **values):
            return f"event: {kind}\ndata: {json.dumps({'type': kind, **values})}\n\n".encode()

        usage = {**whole["usage"], "output_tokens": 1}
        yield event("message_start", message={**whole, "content": [], "stop_reason": None,
                                              "usage": usage})  # fmt: skip
        yield event("ping")
        for i, block in enumerate(whole["content"]):
            empty = {"text": {"text": ""}, "thinking": {"thinking": "", "signature": ""},
                     "tool_use": {"input": {}}}[block["type"]]  # fmt: skip
            yield event("content_block_start", index=i, content_block={**block, **empty})
            if block["type"] == "text":
                deltas = [{"type": "text_delta", "text": each} for each in pieces_of(block["text"])]
            elif block["type"] == "thinking":
                deltas = [{"type": "thinking_delta", "thinking": "hm"},
                          {"type": "signature_delta", "signature": "sig"}]  # fmt: skip
            else:
                written = json.dumps(block["input"])
                deltas = [
                    {"type": "input_json_delta", "partial_json": part}
                    for part in ("", written[:5], written[5:])
                ]
            for delta in deltas:
                yield event("content_block_delta", index=i, delta=delta)
            yield event("content_block_stop", index=i)
        yield event("message_delta", usage={"output_tokens": 10},
                    delta={"stop_reason": whole["stop_reason"], "stop_sequence": None})  # fmt: skip
        yield event("message_stop")

    # -- Responses ---------------------------------------------------------------------------

    async def responses(self, request: Request) -> Response:
        values = await self._take(request)
        called, results = set(), []
        for item in values["input"] if isinstance(values["input"], list) else ():
            if item.get("type") == "function_call":
                called.add(item["call_id"])
            if item.get("type") == "function_call_output":
                if item["call_id"] not in called:
                    return JSONResponse({"error": {"message": "result without call"}}, 400)
                results.append(item["output"])
        text, planned = self.plan(values, results)
        num = len(self.requests)
        part = {"type": "output_text", "text": text, "annotations": []}
        output: list[dict[str, Any]] = [
            {"type": "reasoning", "id": f"rs{num}", "summary": []},
            {"type": "message", "id": f"m{num}", "role": "assistant", "status": "completed",
             "content": [part]},
        ]  # fmt: skip
        for i, (name, args) in enumerate(planned):
            output.append({"type": "function_call", "id": f"fc{num}-{i}", "call_id": f"f{num}-{i}",
                           "name": name, "arguments": args, "status": "completed"})  # fmt: skip
        whole = {
            "id": f"resp-{num}", "object": "response", "created_at": num, "status": "completed",
            "model": values["model"], "output": output, "parallel_tool_calls": True,
            "tool_choice": "auto", "tools": values.get("tools", []), "store": True,
            "usage": {"input_tokens": 100, "output_tokens": 10, "total_tokens": 110,
                      "input_tokens_details": {"cached_tokens": 7},
                      "output_tokens_details": {"reasoning_tokens": 2}},
        }  # fmt: skip
        if values.get("stream"):
            events = self.response_events(whole)
            return StreamingResponse(self.paced(events), media_type="text/event-stream")
        return JSONResponse(whole)

    def response_events(self, whole):
        events: list[dict[str, Any]] = []

        def event(kind, **values):
            events.append({"type": f"response.{kind}", "sequence_number": len(events), **values})

        begun = {**whole, "status": "in_progress", "output": [], "usage": None}
        event("created", response=begun)
        event("in_progress", response=begun)
        for i, item in enumerate(whole["output"]):
            at = {"output_index": i, "item_id": item["id"]}
            if item["type"] == "message":
                text = item["content"][0]["text"]
                event("output_item.added", output_index=i, item={**item, "content": []})
                part = {"type": "output_text", "text": "", "annotations": []}
                event("content_part.added", **at, content_index=0, part=part)
                for delta in pieces_of(text):
                    event("output_text.delta", **at, content_index=0, delta=delta, logprobs=[])
                event("output_text.done", **at, content_index=0, text=text, logprobs=[])
                event("content_part.done", **at, content_index=0, part={**part, "text": text})
            elif item["type"] == "function_call":
                event("output_item.added", output_index=i, item={**item, "arguments": ""})
                event("function_call_arguments.delta", **at, delta=item["arguments"])
                event("function_call_arguments.done", **at, arguments=item["arguments"])
            else:
                event("output_item.added", output_index=i, item=item)
            event("output_item.done", output_index=i, item=item)
        event("completed", response=whole)
        for values in events:
            yield f"event: {values['type']}\ndata: {json.dumps(values)}\n\n".encode()
