"""An app served for tests, and Debian's Chromium to look at it with."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from urllib.error import URLError
from urllib.request import urlopen

from agentmicro.completion.routes import PROVIDERS

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
)
HARMLESS = ("404 (Not Found)", "Failed to load resource", "WebSocket", "[Violation]", "vue-devtools", "quirks mode")


def chromium():
    """Where the browser is; a test without one fails."""
    found = next(filter(None, map(shutil.which, CHROMIUM)), None)
    assert found, "there is no chromium: install it (Debian: apt-get install -y chromium)"
    return found


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@contextmanager
def served(folder, *flags, **variables):
    """The app in a process of its own, its record and studies in a folder; gives its address."""
    keys = {name for provider in PROVIDERS.values() for name in (*provider.keys, *provider.bases)}
    kept = {name: value for name, value in os.environ.items() if name not in keys and "AGENTMICRO" not in name}
    own = {"AGENTMICRO_CACHE_DIR": str(folder), "AGENTMICRO_STUDIES": str(folder)}
    port = free_port()
    command = [sys.executable, "-m", "agentmicro", "app", "--no-open", "--port", str(port), *flags]
    log = folder / "server.log"
    with log.open("w") as said:
        process = subprocess.Popen(command, env={**kept, **own, **variables}, stdout=said, stderr=said)
    address = f"http://127.0.0.1:{port}"
    try:
        end = time.monotonic() + 60
        while not answers(address):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.1)
        yield address
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


def answers(address):
    try:
        with urlopen(f"{address}/readyz", timeout=5) as reply:
            return reply.status == 200
    except (URLError, ConnectionError, TimeoutError):
        return False


def plugin(folder, name, source):
    """A package beside ours that brings a phenomenon by entry point, as any other may."""
    (folder / f"{name}.py").write_text(source)
    info = folder / f"{name}-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
    (info / "entry_points.txt").write_text(f"[agentmicro.phenomena]\n{name} = {name}\n")
