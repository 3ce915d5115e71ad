"""What is particular to LiteLLM: one place that imports it, options that it would drop, connections that it shares."""

import ast
import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
from servers import Server

import agentmicro
from agentmicro.completion.lite import Lite
from agentmicro.completion.models import transport_for
from agentmicro.completion.seam import Request

SCHEMA = {"type": "object", "properties": {"choice": {"enum": ["A", "B"]}}}


def question(model: str, **options: object) -> Request:
    return Request(model, "Which?", SCHEMA, 1, 2, 3, options=options)


def test_litellm_is_imported_in_one_function_of_one_file():
    found = []
    for path in Path(agentmicro.__file__).parent.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            named = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            named += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "import_module":
                named += [str(argument.value) for argument in node.args if isinstance(argument, ast.Constant)]
            found += [path.name for name in named if name.split(".")[0] == "litellm"]
    assert set(found) == {"lite.py"}


def test_importing_litellm_downloads_nothing_reads_no_env_file_and_leaves_the_collector_on(tmp_path):
    (tmp_path / ".env").write_text("PLANTED=by the file\n", encoding="utf-8")
    code = (
        "import gc, os, socket\n"
        "def refuse(*a, **k): raise AssertionError(f'looked up {a}')\n"
        "socket.getaddrinfo = refuse\n"
        "from agentmicro.completion.models import transport_for\n"
        "transport_for('openai/x', 'http://127.0.0.1:9/v1', 'litellm')\n"
        "print(gc.isenabled(), os.environ.get('PLANTED'))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "None"]
    assert done.stderr == ""


def test_what_litellm_would_drop_for_a_provider_is_left_out_and_named(monkeypatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "planted-0123456789")
    answer = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-haiku-4-5",
        "content": [{"type": "text", "text": '{"choice": "A"}'}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 12, "output_tokens": 4},
    }
    with Server(other={"/v1/messages": answer}) as server:
        model = "anthropic/claude-haiku-4-5"

        async def send() -> object:
            transport = transport_for(model, server.url.removesuffix("/v1"))
            assert isinstance(transport, Lite)
            reply = await transport.send(question(model, seed=3, temperature=0.5), 20.0)
            await transport.close()
            return reply

        reply = asyncio.run(send())
    assert (reply.text, reply.tokens_in, reply.tokens_out, reply.served) == ('{"choice": "A"}', 12, 4, answer["model"])
    assert reply.dropped == ("seed",)
    assert reply.cost_usd == pytest.approx(12e-6 + 4 * 5e-6)


def test_many_calls_share_their_connections_whatever_their_time_limits():
    async def many(url: str) -> None:
        transport = transport_for("openai/x", url, "litellm")
        for n in range(20):
            await transport.send(question("openai/x"), 10.0 + n)
        await transport.close()

    with Server() as server:
        asyncio.run(many(server.url))
    assert server.seen.opened == 1


def test_closing_one_transport_leaves_the_others_theirs():
    async def story(url: str) -> list[str]:
        one, other = (transport_for("openai/x", url, "litellm") for _ in range(2))
        await one.send(question("openai/x"), 20.0)
        await other.send(question("openai/x"), 20.0)
        await one.close()
        said = [(await other.send(question("openai/x"), 20.0)).text]
        await other.close()
        await asyncio.sleep(0.1)
        return said

    with Server() as server:
        assert asyncio.run(story(server.url)) == ['{"choice": "A"}']
        for _ in range(50):
            if not server.seen.open:
                break
            asyncio.run(asyncio.sleep(0.02))
        assert server.seen.open == 0
