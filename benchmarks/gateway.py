"""What the gateway costs: added latency, rewriting cold and warm, many streams at once.

The upstream runs in a second process, the gateway in a third, the load in this one, all on
loopback. Run: python benchmarks/gateway.py --help
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import re
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

import aiohttp

try:
    import uvloop
except ImportError:  # not on every system
    uvloop = None

WORDS = "The keeper wrote that the lamp was lit at dusk and the sea was calm until the morning. "
PIECES, PIECE_BYTES = 100, 200
JSON = {"content-type": "application/json"}


def piece_of(number: int) -> bytes:
    return b"data: %0*d\n\n" % (PIECE_BYTES - 8, number)


WHOLE = b"".join(map(piece_of, range(PIECES)))


class Sink(asyncio.Protocol):
    """An upstream that costs next to nothing: it counts a body and answers."""

    def __init__(self) -> None:
        self.head, self.left, self.tasks = b"", -1, set()

    def connection_made(self, transport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if self.left < 0:
            self.head += data
            head, blank, body = self.head.partition(b"\r\n\r\n")
            if not blank:
                return
            length = re.search(rb"(?i)content-length: *(\d+)", head)
            self.left = int(length[1]) if length else 0
            self.head, data = body[:4096], body
        self.left -= len(data)
        if self.left == 0:
            self.answer(self.head)
            self.head, self.left = b"", -1

    def answer(self, body: bytes) -> None:
        if b'"stream": true' in body:
            seconds = json.loads(body)["seconds"]
            task = asyncio.ensure_future(self.events(seconds))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)
            return
        answer = b'{"choices": [], "usage": {"prompt_tokens": 1}}'
        self.transport.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s"
            % (len(answer), answer)
        )

    async def events(self, seconds: float) -> None:
        self.transport.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
            b"transfer-encoding: chunked\r\n\r\n"
        )
        for number in range(PIECES):
            await asyncio.sleep(seconds / PIECES)
            piece = piece_of(number)
            self.transport.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        self.transport.write(b"0\r\n\r\n")


def upstream(port: int) -> None:
    async def serve() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(Sink, "127.0.0.1", port, backlog=2048)
        await server.serve_forever()

    new_loop = uvloop.new_event_loop if uvloop else asyncio.new_event_loop
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(serve())


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_for(port: int) -> None:
    for _ in range(600):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise SystemExit(f"nothing listens on {port}")


def body_of(text: str, **more: object) -> bytes:
    parts = [{"type": "text", "text": each} for each in (text, "When was it lit?")]
    message = {"role": "user", "content": parts}
    return json.dumps({"model": "glm-4.1v", "messages": [message], **more}).encode()


async def latency_ms(client: aiohttp.ClientSession, url: str, body: bytes, num: int) -> list[float]:
    found = []
    for _ in range(num):
        began = time.perf_counter()
        async with client.post(url, data=body, headers=JSON) as answer:
            answer.raise_for_status()
            await answer.read()
        found.append(1e3 * (time.perf_counter() - began))
    return found


async def rate(client: aiohttp.ClientSession, url: str, bodies: list[bytes], width: int) -> float:
    """Return requests a second with `width` under way at a time."""
    waiting = list(bodies)
    began = time.perf_counter()

    async def work() -> None:
        while waiting:
            async with client.post(url, data=waiting.pop(), headers=JSON) as answer:
                said = await answer.read()
                assert answer.headers["x-glyph-action"] == "compressed", said[:200]

    await asyncio.gather(*(work() for _ in range(width)))
    return len(bodies) / (time.perf_counter() - began)


async def streams(client: aiohttp.ClientSession, url: str, num: int, seconds: float) -> int:
    """Return how many of `num` streams did not arrive as they were sent."""
    body = body_of("short", stream=True, seconds=seconds)

    async def one() -> bool:
        async with client.post(url, data=body, headers=JSON) as answer:
            return await answer.read() != WHOLE

    return sum(await asyncio.gather(*(one() for _ in range(num))))


async def watch_memory(pid: int, found: list[float]) -> None:
    while True:
        found.append(memory_mb(pid))
        await asyncio.sleep(0.5)


def cpu_s(pid: int) -> float:
    """Return the CPU seconds of the gateway and of its workers; other work does not count."""
    pids = [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]
    ticks = 0
    for each in pids:
        fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def memory_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1e3
    return 0.0


async def measure(args: argparse.Namespace, direct: str, through: str, pid: int) -> None:
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as client:
        short = body_of("short")
        await latency_ms(client, direct, short, 20)
        await latency_ms(client, through, short, 20)
        one, two = [], []
        spent = cpu_s(pid)
        for _ in range(args.rounds):  # in turn, since other work shares the machine
            one += await latency_ms(client, direct, short, 50)
            two += await latency_ms(client, through, short, 50)
        p50 = statistics.median(two) - statistics.median(one)
        spent = 1e3 * (cpu_s(pid) - spent) / len(two)
        print(f"pass-through: {statistics.median(one):.2f} ms direct, +{p50:.2f} ms p50, "
              f"{spent:.2f} ms of CPU in the gateway")  # fmt: skip
        text = WORDS * (args.tokens // 18)
        bodies = [body_of(f"{i} {text}") for i in range(args.documents)]
        await rate(client, through, [body_of(f"warm-up {i} {text}") for i in range(2)], 2)
        for name, each in (("cold", bodies), ("warm", bodies * args.repeats)):
            spent = cpu_s(pid)
            found = await rate(client, through, each, 4)
            spent = 1e3 * (cpu_s(pid) - spent) / len(each)
            print(f"documents of {len(text) / 1e3:.0f} kB {name}: {found:.1f} a second, "
                  f"{spent:.1f} ms of CPU each")  # fmt: skip
        memory: list[float] = []
        watch = asyncio.create_task(watch_memory(pid, memory))
        began = time.perf_counter()
        lost = await streams(client, through, args.streams, args.seconds)
        took = time.perf_counter() - began
        watch.cancel()
        tenth = max(len(memory) // 10, 1)
        used = memory[tenth:]
        print(f"{args.streams} streams of {args.seconds:g} s: {took:.1f} s, {lost} not as sent; "
              f"gateway {used[0]:.0f} MB once all were open, {max(used):.0f} at most, "
              f"{memory[-tenth]:.0f} before the end")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10, help="of 50 requests for latency")
    parser.add_argument("--tokens", type=int, default=100_000, help="of a document")
    parser.add_argument("--documents", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=5, help="of all documents, warm")
    parser.add_argument("--streams", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=60)
    args = parser.parse_args()
    up, port = free_port(), free_port()
    other = multiprocessing.get_context("spawn").Process(target=upstream, args=(up,), daemon=True)
    other.start()
    command = [sys.executable, "-m", "glyph", "serve", "--upstream", f"http://127.0.0.1:{up}",
               "--port", str(port), "--no-playground", "--quiet"]  # fmt: skip
    gateway = subprocess.Popen(command, env=os.environ)
    try:
        wait_for(up)
        wait_for(port)
        path = "/v1/chat/completions"
        direct, through = f"http://127.0.0.1:{up}{path}", f"http://127.0.0.1:{port}{path}"
        asyncio.run(measure(args, direct, through, gateway.pid))
    finally:
        gateway.terminate()
        gateway.wait(60)
        other.terminate()


if __name__ == "__main__":
    main()
