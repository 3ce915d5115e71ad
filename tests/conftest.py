"""Puts this folder on the path, so that every test can import `servers`, and keeps the machine's keys out of tests."""

import sys
from pathlib import Path

import pytest

from agentmicro.completion.routes import PROVIDERS

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(autouse=True)
def _no_keys(monkeypatch):
    for provider in PROVIDERS.values():
        for variable in (*provider.keys, *provider.bases):
            monkeypatch.delenv(variable, raising=False)
