"""From a name to a server: where each model is, which variable holds its key, and what is said where there is none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentmicro.completion.routes import PROVIDERS, route
from agentmicro.errors import MindError

SECRET = "sk-planted-0123456789abcdef"


@pytest.mark.parametrize(
    ("model", "way", "name", "base_url"),
    [
        ("openai/gpt-4o-mini", "direct", "gpt-4o-mini", "https://api.openai.com/v1"),
        ("gpt-4o-mini", "direct", "gpt-4o-mini", "https://api.openai.com/v1"),
        ("o3-mini", "direct", "o3-mini", "https://api.openai.com/v1"),
        ("ollama_chat/llama3.1:8b", "direct", "llama3.1:8b", "http://localhost:11434/v1"),
        ("lm_studio/qwen", "direct", "qwen", "http://localhost:1234/v1"),
        ("openrouter/openai/gpt-4o", "direct", "openai/gpt-4o", "https://openrouter.ai/api/v1"),
        ("groq/llama-3.1-8b-instant", "direct", "llama-3.1-8b-instant", "https://api.groq.com/openai/v1"),
        ("together_ai/meta-llama/L", "direct", "meta-llama/L", "https://api.together.xyz/v1"),
        ("deepseek/deepseek-chat", "direct", "deepseek-chat", "https://api.deepseek.com/v1"),
        ("mistral/mistral-small-latest", "direct", "mistral-small-latest", "https://api.mistral.ai/v1"),
        ("xai/grok-4", "direct", "grok-4", "https://api.x.ai/v1"),
        ("anthropic/claude-sonnet-4-5", "litellm", "claude-sonnet-4-5", None),
        ("claude-sonnet-4-5", "litellm", "claude-sonnet-4-5", None),
        ("gemini/gemini-2.5-flash", "litellm", "gemini-2.5-flash", None),
        ("bedrock/anthropic.claude-v2", "litellm", "anthropic.claude-v2", None),
    ],
)
def test_a_name_says_the_server_the_transport_and_what_the_server_calls_it(monkeypatch, model, way, name, base_url):
    for provider in PROVIDERS.values():
        for key in provider.keys:
            monkeypatch.setenv(key, SECRET)
    found = route(model)
    assert (found.way, found.name, found.base_url, found.asked) == (way, name, base_url, model)
    assert SECRET not in repr(found)


@pytest.mark.parametrize("variable", ["OPENAI_BASE_URL", "OPENAI_API_BASE"])
def test_a_base_url_comes_from_the_argument_then_the_environment_then_the_provider(monkeypatch, variable):
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    assert route("gpt-4o").base_url == "https://api.openai.com/v1"
    monkeypatch.setenv(variable, "http://127.0.0.1:1/v1/")
    assert route("gpt-4o").base_url == "http://127.0.0.1:1/v1"
    assert route("gpt-4o", "http://127.0.0.1:2/v1").base_url == "http://127.0.0.1:2/v1"


@pytest.mark.parametrize("given_url", ["http://127.0.0.1:9", "http://127.0.0.1:9/", "http://127.0.0.1:9/v1"])
def test_ollama_is_found_with_and_without_the_path_of_the_protocol(monkeypatch, given_url):
    monkeypatch.setenv("OLLAMA_API_BASE", given_url)
    assert route("ollama_chat/llama3.1").base_url == "http://127.0.0.1:9/v1"
    assert route("ollama_chat/llama3.1", force="litellm").base_url == "http://127.0.0.1:9"


def test_a_key_is_wanted_by_the_providers_own_server_only(monkeypatch):
    with pytest.raises(MindError, match=r"^openai/gpt-4o needs a key: set the environment variable OPENAI_API_KEY$"):
        route("openai/gpt-4o")
    assert route("openai/gpt-4o", "http://127.0.0.1:2/v1").key == ""
    assert route("ollama_chat/llama3.1").key == ""
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    assert route("openai/gpt-4o").key == "OPENAI_API_KEY"


def test_the_first_variable_that_is_set_holds_the_key(monkeypatch):
    monkeypatch.setenv("TOGETHER_API_KEY", SECRET)
    assert route("together_ai/x").key == "TOGETHER_API_KEY"
    monkeypatch.setenv("TOGETHERAI_API_KEY", SECRET)
    assert route("together_ai/x").key == "TOGETHERAI_API_KEY"


@pytest.mark.parametrize(
    ("model", "arguments", "sentence"),
    [
        ("opnai/gpt-4o", {}, "opnai/gpt-4o: no provider 'opnai'; did you mean 'openai'?"),
        ("meta-llama/Llama-3", {}, "a server of your own is openai/meta-llama/Llama-3 with its base_url"),
        ("majority", {}, "no model 'majority'; expected provider/model, as in openai/gpt-4o-mini"),
        ("openai/", {}, "no model 'openai/'"),
        ("/gpt-4o", {}, "no model '/gpt-4o'"),
        ("hosted_vllm/x", {}, "give a base_url or set HOSTED_VLLM_API_BASE"),
        ("gemini/x", {"force": "direct", "key": True}, "give a base_url, or leave the transport to litellm"),
        ("openai/x", {"force": "lightllm"}, "transport = 'lightllm': expected one of direct, litellm"),
        ("openai/x", {"base_url": "ftp://host/v1"}, "the base_url is no URL of a server"),
        ("openai/x", {"base_url": "http://[::1"}, "the base_url is no URL of a server"),
        ("openai/x", {"base_url": "http://h:99999999/v1"}, "the base_url is no URL of a server"),
        ("openai/x", {"base_url": "host:80/v1"}, "expected one such as http://127.0.0.1:8000/v1"),
        ("openai/x", {"base_url": f"http://me:{SECRET}@h/v1"}, "keys belong in the environment"),
        ("openai/x", {"base_url": f"http://h/v1?key={SECRET}"}, "keys belong in the environment"),
    ],
)
def test_what_cannot_be_found_is_one_sentence_that_holds_no_secret(monkeypatch, model, arguments, sentence):
    arguments = dict(arguments)
    if arguments.pop("key", False):
        monkeypatch.setenv("GEMINI_API_KEY", SECRET)
    with pytest.raises(MindError) as caught:
        route(model, **arguments)
    assert sentence in str(caught.value)
    assert SECRET not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_any_model_is_reached_directly_at_a_server_that_speaks_the_protocol():
    found = route("anthropic/claude-sonnet-4-5", "http://127.0.0.1:4000/v1", "direct")
    assert (found.way, found.name, found.base_url) == ("direct", "claude-sonnet-4-5", "http://127.0.0.1:4000/v1")


@given(st.text(max_size=30), st.one_of(st.none(), st.text(max_size=30)), st.sampled_from(["", "direct", "litellm"]))
def test_any_text_is_a_route_or_a_sentence(model, base_url, force):
    try:
        found = route(model, base_url, force)
    except MindError as error:
        said = str(error)
    else:
        said = found.name
        assert found.base_url is None or found.base_url.startswith("http")
    assert said
