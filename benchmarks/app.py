"""What the app makes one wait for: `python -m benchmarks.app [--repeats N] [--agents N]`.

Two times, each the median of several, in a real browser (Debian's Chromium): from the command to a page whose Step can
be clicked, and from a click on Step to the new time on screen. One JSON line each goes to standard output.
"""

import argparse
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from playwright.sync_api import Error, sync_playwright

FLAGS = ["--no-sandbox", "--disable-gpu"]


def command(folder: str, port: int) -> "subprocess.Popen[bytes]":
    """The app, on its way up."""
    words = [sys.executable, "-m", "agentmicro", "app", "--no-open", "--port", str(port)]
    environment = {**os.environ, "AGENTMICRO_CACHE_DIR": folder, "AGENTMICRO_STUDIES": folder}
    return subprocess.Popen(words, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def opened(page: Any, address: str) -> None:
    """Waits until the page shows its clock; the server may not listen yet."""
    while True:
        try:
            page.goto(address)
            break
        except Error:
            time.sleep(0.05)
    page.locator(".am-clock").wait_for(timeout=60_000)


def stepped(page: Any, turn: int) -> float:
    """Seconds from a click to the new time on screen, on the browser's own clock."""
    return float(
        page.evaluate(
            """async (turn) => {
              const button = [...document.querySelectorAll("button")].find((one) => one.innerText.trim() === "Step");
              const start = performance.now();
              button.click();
              while (!document.querySelector(".am-clock").innerText.startsWith(`Time: ${turn} of`))
                await new Promise((ready) => requestAnimationFrame(ready));
              return (performance.now() - start) / 1000;
            }""",
            turn,
        )
    )


def measured(repeats: int, agents: int) -> dict[str, list[float]]:
    """The seconds of each start and of each step."""
    found: dict[str, list[float]] = {"usable": [], "step": []}
    with sync_playwright() as playwright, TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        for _ in range(repeats):
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                port = free.getsockname()[1]
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            start = time.perf_counter()
            process = command(folder, port)
            opened(page, f"http://127.0.0.1:{port}/run?run=herding&k.agents={agents}&turns=50")
            found["usable"].append(time.perf_counter() - start)
            page.locator("canvas").wait_for(timeout=60_000)
            found["step"] += [stepped(page, turn) for turn in range(1, 8)]
            page.close()
            process.send_signal(signal.SIGINT)
            process.wait(20)
        browser.close()
    return found


def main(arguments: list[str] | None = None) -> int:
    """Measures and prints; nothing is judged by the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.app", description=__doc__.partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--agents", type=int, default=300)
    asked = parser.parse_args(arguments)
    load = Path("/proc/loadavg").read_text().split()[0] if Path("/proc/loadavg").exists() else ""
    for name, seconds in measured(asked.repeats, asked.agents).items():
        low, _, high = statistics.quantiles(seconds, n=4)
        line = {"what": name, "agents": asked.agents, "median_s": statistics.median(seconds), "quartiles": [low, high]}
        print(json.dumps({**line, "n": len(seconds), "load": load}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
