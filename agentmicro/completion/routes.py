"""From a model's name to the server that has it: provider, transport, base URL, and the variable that holds the key.

A name is LiteLLM's: `provider/model`, or a bare name of a family that everybody knows, such as `gpt-4o-mini`. Keys are
never here: a route knows the name of the variable, and a transport reads it when it sends.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from agentmicro.completion.prices import providers
from agentmicro.errors import MindError, listed, nearest

WAYS = ("direct", "litellm")


@dataclass(frozen=True)
class Provider:
    """Where a provider's models are, and how one gets in.

    base_url: the server, None where LiteLLM knows it or everybody has their own. bases, keys: the variables that name
    another server and that hold the key; the first one set counts. needs_key: whether its own server asks for a key.
    direct: whether it speaks the OpenAI protocol. structured: whether it is worth asking it to hold an answer to a
    JSON schema. path: where the protocol begins below the base URL.
    """

    base_url: str | None = None
    bases: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    needs_key: bool = True
    direct: bool = True
    structured: bool = True
    path: str = ""


def _cloud(base_url: str, name: str, *keys: str, structured: bool = True) -> Provider:
    return Provider(base_url, (f"{name}_API_BASE",), (f"{name}_API_KEY", *keys), structured=structured)


def _own(base_url: str | None, name: str, path: str = "") -> Provider:
    return Provider(base_url, (f"{name}_API_BASE",), (f"{name}_API_KEY",), needs_key=False, path=path)


def _other(*keys: str) -> Provider:
    return Provider(keys=keys, needs_key=bool(keys), direct=False)


PROVIDERS: Mapping[str, Provider] = {
    "openai": Provider("https://api.openai.com/v1", ("OPENAI_BASE_URL", "OPENAI_API_BASE"), ("OPENAI_API_KEY",)),
    "openrouter": _cloud("https://openrouter.ai/api/v1", "OPENROUTER"),
    "groq": _cloud("https://api.groq.com/openai/v1", "GROQ"),
    "together_ai": _cloud("https://api.together.xyz/v1", "TOGETHER_AI", "TOGETHERAI_API_KEY", "TOGETHER_API_KEY"),
    "deepseek": _cloud("https://api.deepseek.com/v1", "DEEPSEEK", structured=False),
    "mistral": _cloud("https://api.mistral.ai/v1", "MISTRAL"),
    "xai": _cloud("https://api.x.ai/v1", "XAI"),
    "cerebras": _cloud("https://api.cerebras.ai/v1", "CEREBRAS"),
    "nvidia_nim": _cloud("https://integrate.api.nvidia.com/v1", "NVIDIA_NIM"),
    "hosted_vllm": _own(None, "HOSTED_VLLM"),
    "litellm_proxy": _own(None, "LITELLM_PROXY"),
    "lm_studio": _own("http://localhost:1234/v1", "LM_STUDIO"),
    "llamafile": _own("http://127.0.0.1:8080/v1", "LLAMAFILE"),
    "ollama": _own("http://localhost:11434", "OLLAMA", "/v1"),
    "ollama_chat": _own("http://localhost:11434", "OLLAMA", "/v1"),
    "anthropic": _other("ANTHROPIC_API_KEY"),
    "gemini": _other("GEMINI_API_KEY", "GOOGLE_API_KEY"),
    "cohere": _other("COHERE_API_KEY", "CO_API_KEY"),
    "perplexity": _other("PERPLEXITYAI_API_KEY", "PERPLEXITY_API_KEY"),
    "deepinfra": _other("DEEPINFRA_API_KEY"),
}

ELSEWHERE = _other()  # any other provider of LiteLLM's: it knows the server, and how to sign in

FAMILIES: Mapping[str, str] = {
    r"(gpt-|chatgpt-|o\d(-|$)|ft:gpt-).*": "openai",
    r"claude-.+": "anthropic",
    r"gemini-.+": "gemini",
    r"deepseek-.+": "deepseek",
    r"grok-.+": "xai",
    r"(mistral|ministral|magistral)-.+": "mistral",
}


@dataclass(frozen=True)
class Route:
    """How a model is reached.

    asked: its name in the scenario; name: the one that its server knows. way: the transport. base_url: None where
    LiteLLM knows the server. key: the variable that holds the key, never the key itself; empty where none is set.
    """

    asked: str
    provider: str
    name: str
    way: str
    base_url: str | None
    key: str
    structured: bool

    @property
    def where(self) -> str:
        """The model and its server, as an error names them."""
        return f"{self.asked} at {self.base_url}" if self.base_url else self.asked


def family(name: str) -> str:
    """The provider of a bare name that everybody knows, else nothing."""
    return next((provider for pattern, provider in FAMILIES.items() if re.fullmatch(pattern, name)), "")


def route(model: str, base_url: str | None = None, force: str = "") -> Route:
    """The way to a model; a MindError says in one sentence what is missing: a provider, a server or a key.

    A base URL given comes before the provider's variables, and they before its own server. Servers that speak the
    OpenAI protocol are talked to directly, the others through LiteLLM; force says which where both can.
    """
    if force and force not in WAYS:
        raise MindError(f"transport = {force!r}: expected one of {listed(WAYS)}, or nothing to let the model decide")
    provider, name, known = _provider(model)
    given = base_url or next((os.environ[each] for each in known.bases if os.environ.get(each)), None)
    way = force or ("direct" if known.direct else "litellm")
    server = given or known.base_url
    if server is None and (way == "direct" or known.bases):
        variable = f" or set {known.bases[0]}" if known.bases else ", or leave the transport to litellm"
        raise MindError(f"{model}: nobody knows its server for the {way} transport; give a base_url{variable}")
    key = next((each for each in known.keys if os.environ.get(each)), "")
    if known.needs_key and not key and not given:
        raise MindError(f"{model} needs a key: set the environment variable {known.keys[0]}")
    if server is not None:
        server = _checked(model, server, known.path, way)
    return Route(model, provider, name, way, server, key, known.structured)


def _provider(model: str) -> tuple[str, str, Provider]:
    first, slash, rest = model.partition("/")
    provider, name = (first, rest) if slash else (family(model), model)
    if not provider or not name:
        raise MindError(
            f"no model {model!r}; expected provider/model, as in openai/gpt-4o-mini or ollama_chat/llama3.1"
        )
    known = PROVIDERS.get(provider, ELSEWHERE)
    if known is ELSEWHERE and providers() and provider not in providers():
        close = nearest(provider, sorted({*PROVIDERS, *providers()}))
        raise MindError(
            f"{model}: no provider {provider!r}{close}; there is {listed(PROVIDERS)} and whatever else LiteLLM has; "
            f"a server of your own is openai/{model} with its base_url"
        )
    return provider, name, known


def _checked(model: str, base_url: str, path: str, way: str) -> str:
    """The base URL without a slash at its end, and with the protocol's path where it is talked to directly."""
    try:
        parts = urlsplit(base_url)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # brackets that do not close, a port that is no number
        sound = False
    if not sound:  # it is not quoted, because it may hold a password
        raise MindError(f"{model}: the base_url is no URL of a server, expected one such as http://127.0.0.1:8000/v1")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise MindError(
            f"{model}: the base_url at {parts.hostname} holds more than a path; keys belong in the environment"
        )
    plain = base_url.rstrip("/")
    if way == "litellm":
        return plain.removesuffix(path)
    return plain if plain.endswith(path) else plain + path
