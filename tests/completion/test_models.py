"""Which names are models, and what stands between a name and its transport."""

import subprocess
import sys

import pytest

from agentmicro.completion import models
from agentmicro.completion.direct import Direct
from agentmicro.completion.lite import Lite
from agentmicro.completion.models import FAMOUS, is_model, key_variables, suggestion, transport_for
from agentmicro.errors import MindError

URL = "http://127.0.0.1:9/v1"


@pytest.mark.parametrize(
    "name", [*FAMOUS, "openai/x", "ollama_chat/llama3.1:8b", "o1", "chatgpt-4o-latest", "ft:gpt-4o:us:1", "grok-9"]
)
def test_a_name_with_a_slash_or_of_a_known_family_is_a_model(name):
    assert is_model(name)


@pytest.mark.parametrize("name", ["majority", "two-stage", "o-x", "oracle", "gpt", "logit", "chance", "", "stubborn"])
def test_a_rules_name_is_no_model(name):
    assert not is_model(name)


@pytest.mark.parametrize(("wrong", "right"), [("gtp-4o-mini", "gpt-4o-mini"), ("cluade-haiku-4-5", "claude-haiku-4-5")])
def test_a_misspelt_model_is_recognised(wrong, right):
    assert suggestion(wrong) == f"; did you mean {right!r}?"
    assert suggestion("majority") == ""


def test_the_variables_of_keys_are_names_without_doubles():
    assert {"OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "XAI_API_KEY"} <= set(key_variables())
    assert len(set(key_variables())) == len(key_variables())


def test_the_name_chooses_the_transport_and_force_overrules_it(monkeypatch):
    assert isinstance(transport_for("ollama_chat/llama3.1"), Direct)
    assert isinstance(transport_for("openai/gpt-4o", URL), Direct)
    assert isinstance(transport_for("openai/gpt-4o", URL, "litellm"), Lite)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "planted-0123456789")
    assert isinstance(transport_for("anthropic/claude-sonnet-4-5"), Lite)


@pytest.mark.parametrize(("force", "library"), [("direct", "aiohttp"), ("litellm", "litellm")])
def test_a_transport_that_is_not_installed_names_the_extra(monkeypatch, force, library):
    monkeypatch.setattr(models, "find_spec", lambda _: None)
    sentence = rf"^openai/x: the {force} transport needs {library}; install agentmicro\[llm\]$"
    with pytest.raises(MindError, match=sentence):
        transport_for("openai/x", URL, force)


def test_the_direct_transport_imports_no_litellm_and_choosing_one_no_library_at_all():
    code = (
        "import sys; from agentmicro.completion.models import transport_for;"
        f"transport_for('openai/x', {URL!r}); print(*sys.modules)"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"litellm", "openai", "httpx", "aiohttp"} & set(loaded)
