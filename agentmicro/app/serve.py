"""Serving the app: on this machine only, with nothing fetched from the internet and nothing reported to anybody."""

import os
import threading
import webbrowser
from contextlib import suppress
from urllib.request import urlopen

from agentmicro.completion.session import Session, Settings

LOOPBACK = ("127.0.0.1", "localhost", "::1")
SETTINGS = {
    "SOLARA_APP": "agentmicro.app.pages",
    "SOLARA_TELEMETRY_MIXPANEL_ENABLE": "False",
    "SOLARA_KERNEL_CULL_TIMEOUT": "60s",
    "SOLARA_MODE": "production",
    "SOLARA_THEME_SHOW_BANNER": "False",
}
PATIENCE = 60.0  # seconds until a browser is opened whether the page is ready or not


def serve(host: str, port: int, path: str = "/", browse: bool = True, settings: Settings | None = None) -> None:
    """Serves until it is interrupted; opens a browser on the page if asked to.

    settings: where replies of language models are kept and what all pages together may spend.
    """
    os.environ.update({name: os.environ.get(name, value) for name, value in SETTINGS.items()})
    import uvicorn

    if browse:
        shown = f"http://{'127.0.0.1' if host in ('0.0.0.0', '::') else host}:{port}"
        threading.Thread(target=_open, args=(shown, path), daemon=True).start()
    with Session(settings), suppress(KeyboardInterrupt):
        uvicorn.run(
            "solara.server.starlette:app", host=host, port=port, log_level="warning", timeout_graceful_shutdown=1
        )


def _open(address: str, path: str) -> None:
    """Opens a browser once the page answers."""
    import time

    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            urlopen(f"{address}/readyz", timeout=1).close()
            break
        except OSError:
            time.sleep(0.2)
    webbrowser.open(f"{address}{path}")
