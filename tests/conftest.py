"""Puts this folder on the path, so that every test can import `servers`, and keeps the machine's keys out of tests."""

import pytest

from agentmicro.completion.routes import PROVIDERS


@pytest.fixture(autouse=True)
def _no_keys(monkeypatch):
    for provider in PROVIDERS.values():
        for variable in (*provider.keys, *provider.bases):
            monkeypatch.delenv(variable, raising=False)
