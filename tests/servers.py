"""A real HTTP server on loopback that speaks the OpenAI protocol and fails on request.

    with Server(latency=0.05, script={3: FAULTS["429 after"], 4: FAULTS["hang"]}) as server:
        ...  # server.url is the base URL; server.counts() says what it saw

`python tests/servers.py --port 8000 --latency 0.05 --fault 3:hang --fault 5-9:503` runs it in a process of its own and
prints the base URL; `GET /counts` gives the counts as JSON, and `apart()` does both for a caller. It is one asyncio
protocol without a framework, so that it costs less than the clients that are measured against it.
"""

import argparse
import asyncio
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from pathlib import Path
from typing import Any, Literal, Self
from urllib.request import urlopen

type Body = Mapping[str, Any]
type Say = Callable[[Body], "str | Answer"]

USAGE = {"prompt_tokens": 40, "completion_tokens": 5, "total_tokens": 45, "prompt_tokens_details": {"cached_tokens": 8}}


@dataclass(frozen=True)
class Answer:
    """What goes over the wire for one call, and how it goes wrong on the way.

    manner: sent whole, cut in the middle of its body, never (a hang), or the connection reset instead; `wait` hangs
    for so many seconds more than the server's latency, then goes on. body: None is the usual answer.
    """

    status: int = 200
    body: bytes | None = None
    headers: tuple[tuple[str, str], ...] = ()
    manner: Literal["whole", "cut", "hang", "reset"] = "whole"
    wait: float = 0.0


def completion(text: str | None, *, model: str = "served-1", usage: Body | None = USAGE, **message: Any) -> bytes:
    """The body of a chat completion; `finish_reason` among the rest goes to the choice."""
    finish = message.pop("finish_reason", "stop")
    choice = {"index": 0, "message": {"role": "assistant", "content": text, **message}, "finish_reason": finish}
    made = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": model, "choices": [choice]}
    return json.dumps(made | ({"usage": usage} if usage else {})).encode()


def failure(status: int, message: str, *headers: tuple[str, str], **more: Any) -> Answer:
    """An error as the protocol has it."""
    error = {"message": message, "type": "error", "param": None, "code": None, **more}
    return Answer(status, json.dumps({"error": error}).encode(), headers)


def busy(*headers: tuple[str, str]) -> Answer:
    """A rate limit, with whatever headers."""
    return failure(429, "Rate limit reached", *headers, code="rate_limit_exceeded")


FAULTS: dict[str, Answer] = {
    "429": busy(),
    "429 after": busy(("Retry-After", "1.5")),
    "429 after-ms": busy(("retry-after-ms", "250")),
    "429 date": busy(("Retry-After", formatdate(4_000_000_000, usegmt=True))),
    "429 reset": busy(("x-ratelimit-remaining-requests", "0"), ("x-ratelimit-reset-requests", "1m2s")),
    "400": failure(400, "The messages are too long"),
    "401": failure(401, "Incorrect API key provided"),
    "402": failure(402, "Insufficient balance"),
    "403": failure(403, "This country is not supported"),
    "404": failure(404, "The model does not exist"),
    "408": failure(408, "Request timed out"),
    "413": failure(413, "Too large"),
    "422": failure(422, "Cannot be processed"),
    "500": failure(500, "Internal error"),
    "502": Answer(502, b"<html>bad gateway</html>", (("Content-Type", "text/html"),)),
    "503": failure(503, "Overloaded"),
    "503 after": failure(503, "Overloaded", ("Retry-After", "2")),
    "529": failure(529, "Overloaded"),
    "hang": Answer(manner="hang"),
    "reset": Answer(manner="reset"),
    "cut": Answer(manner="cut"),
    "invalid json": Answer(body=b'{"choices": [{"mess'),
    "not an object": Answer(body=b'["a", "list"]'),
    "wrong shape": Answer(body=b'{"answer": 42}'),
    "no choices": Answer(body=json.dumps({**json.loads(completion("x")), "choices": []}).encode()),
    "error in 200": Answer(body=b'{"error": {"message": "Provider is down", "code": 502}}'),
    "unknown option": Answer(body=completion('{"choice": "an option that does not exist"}')),
    "empty": Answer(body=completion("")),
    "null": Answer(body=completion(None)),
    "no usage": Answer(body=completion('{"choice": "A"}', usage=None)),
    "refusal": Answer(body=completion(None, refusal="I can't help with that.")),
    "content filter": Answer(body=completion("I", finish_reason="content_filter")),
    "filtered": failure(400, "The prompt was filtered", code="content_filter"),
    "huge": Answer(body=completion("x" * 10_000_000)),
    "redirect": Answer(307, b"", (("Location", "http://127.0.0.1:9/v1/chat/completions"),)),
}


def example(schema: Body) -> object:
    """The first thing that a schema allows."""
    if "enum" in schema:
        return schema["enum"][0]
    match schema.get("type"):
        case "object":
            return {name: example(inner) for name, inner in schema.get("properties", {}).items()}
        case "array":
            return [example(schema["items"])] * schema.get("minItems", 0)
        case "integer" | "number":
            return schema.get("minimum", 0)
        case "boolean":
            return True
        case _:
            return "hello"


def obliging(body: Body) -> str:
    """The first thing that the schema allows; without one, an echo of the last message."""
    try:
        return json.dumps(example(body["response_format"]["json_schema"]["schema"]))
    except KeyError:
        return str(body["messages"][-1]["content"])


@dataclass
class Counts:
    """What a server saw: connections opened and open, calls, calls under way, and how often each came.

    keys: calls by bearer token. bodies: calls by the hash of what was asked, so that a call made twice shows.
    """

    opened: int = 0
    open: int = 0
    most_open: int = 0
    calls: int = 0
    in_flight: int = 0
    most_in_flight: int = 0
    keys: Counter[str] = field(default_factory=Counter)
    bodies: Counter[str] = field(default_factory=Counter)


class Server:
    """Serves `/v1/chat/completions` and `/v1/models` from a thread, at `url`, until its `with` block ends.

    answer says what to reply; script what goes wrong, by the number of the call (from 1). rejects: options that it
    answers with a 400, as servers do that do not know them. stop() kills it, open connections included, and start()
    brings it back on the same port. other: what it says at other paths. last is the body of the last call.
    """

    def __init__(
        self,
        *,
        answer: Say = obliging,
        script: Mapping[int, Answer] | Callable[[int, Body], Answer | None] | None = None,
        latency: float = 0.0,
        rejects: tuple[str, ...] = (),
        model: str = "served-1",
        other: Mapping[str, object] | None = None,
        port: int = 0,
    ) -> None:
        self.answer = answer
        self.script = script or {}
        self.latency = latency
        self.rejects = rejects
        self.model = model
        self.other = other or {}
        self.port = port
        self.seen = Counts()
        self.last: dict[str, Any] = {}
        self._connections: set[_Connection] = set()
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def url(self) -> str:
        """The base URL."""
        return f"http://127.0.0.1:{self.port}/v1"

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> Self:
        """Listens in a thread of its own; returns when it does."""
        ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(ready)), daemon=True)
        self._thread.start()
        if not ready.wait(10):
            raise RuntimeError(f"the test server did not start on port {self.port}")
        return self

    def stop(self) -> None:
        """Dies: the port is closed and every connection is reset."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._over.set)
            self._thread.join(10)
            self._loop = None

    async def _serve(self, ready: threading.Event) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        listening = await self._loop.create_server(lambda: _Connection(self), "127.0.0.1", self.port, backlog=1024)
        self.port = listening.sockets[0].getsockname()[1]
        ready.set()
        try:
            await self._over.wait()
        finally:
            listening.close()
            for connection in list(self._connections):
                connection.transport.abort()
            await asyncio.sleep(0)

    def counts(self) -> Counts:
        """A copy of what it saw so far."""
        return replace(self.seen, keys=Counter(self.seen.keys), bodies=Counter(self.seen.bodies))

    def reply(self, body: Body) -> Answer:
        """What this call gets."""
        n = self.seen.calls
        planned = self.script(n, body) if callable(self.script) else self.script.get(n)
        if planned is not None:
            return planned if planned.body else replace(planned, body=self._usual(body))
        for name in self.rejects:
            if name in body:
                return failure(400, f"Unsupported parameter: '{name}' is not supported with this model.", param=name)
        said = self.answer(body)
        return said if isinstance(said, Answer) else Answer(body=completion(said, model=self.model))

    def _usual(self, body: Body) -> bytes:
        said = self.answer(body)
        return (said.body or b"") if isinstance(said, Answer) else completion(said, model=self.model)


class _Connection(asyncio.Protocol):
    """One keep-alive connection; HTTP/1.1 as far as a client of this protocol speaks it."""

    transport: asyncio.Transport

    def __init__(self, server: Server) -> None:
        self.server = server
        self.received = b""
        self.waiting = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]
        self.server._connections.add(self)
        seen = self.server.seen
        seen.opened += 1
        seen.open += 1
        seen.most_open = max(seen.most_open, seen.open)

    def connection_lost(self, error: Exception | None) -> None:
        self.server._connections.discard(self)
        self.server.seen.open -= 1
        self.server.seen.in_flight -= self.waiting

    def data_received(self, data: bytes) -> None:
        self.received += data
        head, blank, rest = self.received.partition(b"\r\n\r\n")
        if not blank:
            return
        line, *fields = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (each.partition(":") for each in fields)}
        length = int(headers.get("content-length", 0))
        if len(rest) >= length:
            self.received = rest[length:]
            self._called(line.split(" ")[1], headers, rest[:length])

    def _called(self, path: str, headers: Mapping[str, str], raw: bytes) -> None:
        seen = self.server.seen
        told = {"/counts": vars(seen), "/v1/models": {"data": [{"id": self.server.model}]}, **self.server.other}
        if path in told:
            self._write(Answer(body=json.dumps(told[path]).encode()))
            return
        if path != "/v1/chat/completions":
            self._write(failure(404, f"no such path: {path}"))
            return
        body = self.server.last = json.loads(raw)
        seen.calls += 1
        seen.keys[headers.get("authorization", "").removeprefix("Bearer ")] += 1
        seen.bodies[hashlib.sha256(raw).hexdigest()[:16]] += 1
        seen.in_flight += 1
        self.waiting += 1
        seen.most_in_flight = max(seen.most_in_flight, seen.in_flight)
        answer = self.server.reply(body)
        delay = self.server.latency + answer.wait
        if answer.manner == "hang":
            return
        if delay:
            asyncio.get_running_loop().call_later(delay, self._answer, answer)
        else:
            self._answer(answer)

    def _answer(self, answer: Answer) -> None:
        if self.transport.is_closing():
            return
        self.server.seen.in_flight -= 1
        self.waiting -= 1
        if answer.manner == "reset":
            self.transport.abort()
        else:
            self._write(answer)

    def _write(self, answer: Answer) -> None:
        body = answer.body or b""
        given = {"Content-Type": "application/json", **dict(answer.headers), "Content-Length": str(len(body))}
        fields = "".join(f"{name}: {value}\r\n" for name, value in given.items())
        head = f"HTTP/1.1 {answer.status} Because\r\n{fields}\r\n".encode()
        self.transport.write(head + (body[: len(body) // 2] if answer.manner == "cut" else body))
        if answer.manner == "cut":
            self.transport.close()


def closed_port() -> int:
    """A port on loopback where nobody listens."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextmanager
def apart(*arguments: str) -> Iterator[str]:
    """A server in a process of its own, with the command line's arguments; gives its base URL."""
    command = [sys.executable, str(Path(__file__).resolve()), *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)
        process.stdout.close()


def counted(url: str) -> dict[str, Any]:
    """What a server in another process saw, by its base URL."""
    with urlopen(url.removesuffix("/v1") + "/counts", timeout=10) as answer:
        return dict(json.load(answer))


def planned(text: str) -> dict[int, Answer]:
    """A script from the command line: `3:hang` or `5-9:503`."""
    calls, _, name = text.partition(":")
    first, _, last = calls.partition("-")
    return dict.fromkeys(range(int(first), int(last or first) + 1), FAULTS[name])


def main(arguments: list[str] | None = None) -> int:
    """Serves until it is told to stop."""
    parser = argparse.ArgumentParser(prog="python tests/servers.py", description=__doc__.partition("\n")[0])
    parser.add_argument("--port", type=int, default=0, help="default: any that is free")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before each answer")
    parser.add_argument("--fault", action="append", default=[], help=f"N:NAME or N-M:NAME; {', '.join(FAULTS)}")
    parser.add_argument("--reject", action="append", default=[], help="an option that is answered with a 400")
    parser.add_argument("--dies", type=int, help="exits without a word at this call")
    chosen = parser.parse_args(arguments)
    script = {n: answer for text in chosen.fault for n, answer in planned(text).items()}

    def plan(n: int, _: Body) -> Answer | None:
        return os._exit(1) if n == chosen.dies else script.get(n)

    with Server(script=plan, latency=chosen.latency, rejects=tuple(chosen.reject), port=chosen.port) as server:
        print(server.url, flush=True)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        while True:
            time.sleep(3600)


if __name__ == "__main__":
    sys.exit(main())
