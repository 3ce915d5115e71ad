"""The LiteLLM proxy itself, with a mock model: a server that nobody here wrote."""

import asyncio
import contextlib
import os
import secrets
import subprocess
import sys
import time
from dataclasses import replace
from importlib.util import find_spec
from urllib.request import urlopen

import pytest
from servers import closed_port

from agentmicro.completion.models import transport_for
from agentmicro.completion.seam import CallError, Fault, Reply, Request

MISSING = [name for name in ("fastapi", "uvicorn", "orjson", "backoff", "apscheduler") if find_spec(name) is None]
CONFIG = """
model_list:
  - model_name: mocked
    litellm_params: {model: openai/mocked, api_key: none, mock_response: '{"choice": "A"}'}
"""
SCHEMA = {"type": "object", "properties": {"choice": {"enum": ["A", "B"]}}}
START = 120  # seconds

pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"the proxy's extras are not installed: {', '.join(MISSING)}")


@pytest.fixture(scope="module")
def proxy(tmp_path_factory):
    folder, port = tmp_path_factory.mktemp("proxy"), closed_port()
    key = f"sk-{secrets.token_hex(24)}"  # it does not start without one
    (folder / "config.yaml").write_text(CONFIG, encoding="utf-8")
    quiet = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_MODE": "PRODUCTION", "LITELLM_MASTER_KEY": key}
    start = "from litellm import run_server; run_server()"
    command = [sys.executable, "-c", start, "--config", "config.yaml", "--host", "127.0.0.1", "--port", str(port)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env={**os.environ, **quiet}, stdout=log, stderr=log)
    try:
        _await(f"http://127.0.0.1:{port}/health/liveliness", process)
        yield f"http://127.0.0.1:{port}/v1", key
    finally:
        process.terminate()
        process.wait(30)


def _await(url: str, process: subprocess.Popen) -> None:
    until = time.monotonic() + START
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(OSError), urlopen(url, timeout=2):
            return
        time.sleep(0.2)
    pytest.fail("the LiteLLM proxy did not start")


def ended(model: str, url: str, way: str) -> Reply | CallError:
    async def send() -> Reply | CallError:
        transport = transport_for(model, url, way)
        try:
            return replace(await transport.send(Request(model, "Which?", SCHEMA, 1, 2, 3), 30.0), seconds=0.0)
        except CallError as error:
            return error
        finally:
            await transport.close()

    return asyncio.run(send())


def test_both_transports_read_the_same_reply(proxy, monkeypatch):
    url, key = proxy
    monkeypatch.setenv("LITELLM_PROXY_API_KEY", key)
    direct, lite = (ended("litellm_proxy/mocked", url, way) for way in ("direct", "litellm"))
    assert direct == lite
    assert (direct.text, direct.structured, direct.served) == ('{"choice": "A"}', True, "mocked")
    assert direct.tokens_in > 0
    assert direct.tokens_out > 0


@pytest.mark.parametrize("way", ["direct", "litellm"])
def test_a_model_that_it_does_not_have_is_a_bad_request(proxy, monkeypatch, way):
    url, key = proxy
    monkeypatch.setenv("LITELLM_PROXY_API_KEY", key)
    error = ended("litellm_proxy/nothing", url, way)
    assert (error.fault, error.status) == (Fault.REQUEST, 400)
    assert "Invalid model name" in str(error)
    assert key not in str(error)
