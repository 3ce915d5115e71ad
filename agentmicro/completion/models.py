"""Which names are language models, and the transport that reaches each."""

from importlib.util import find_spec

from agentmicro.completion.direct import Direct
from agentmicro.completion.lite import Lite
from agentmicro.completion.routes import PROVIDERS, family, route
from agentmicro.completion.seam import Transport
from agentmicro.errors import MindError, nearest

FAMOUS = (
    *("gpt-4o", "gpt-4o-mini", "gpt-4.1-mini", "gpt-5", "gpt-5-mini", "o3-mini", "o4-mini", "deepseek-chat", "grok-4"),
    *("claude-haiku-4-5", "claude-sonnet-4-5", "gemini-2.5-flash", "gemini-2.5-pro", "mistral-small-latest"),
)
LIBRARY = {"direct": "aiohttp", "litellm": "litellm"}


def is_model(name: str) -> bool:
    """Whether a mind's name is a language model's: it has a slash, or is a bare name of a known family."""
    return "/" in name or bool(family(name.strip()))


def suggestion(name: str) -> str:
    """`; did you mean 'gpt-4o-mini'?` when a bare name is close to a well-known model's, else nothing."""
    return nearest(name, FAMOUS)


def key_variables() -> tuple[str, ...]:
    """The environment variables in which keys are looked for, in the order of the providers."""
    return tuple(dict.fromkeys(key for provider in PROVIDERS.values() for key in provider.keys))


def transport_for(model: str, base_url: str | None = None, force: str = "", *, connections: int = 256) -> Transport:
    """The transport to one model, with at most so many connections to its server.

    What is wrong with the name, the server, the key or the installation is a MindError now, not a failed call later.
    """
    found = route(model, base_url, force)
    library = LIBRARY[found.way]
    if find_spec(library) is None:
        raise MindError(f"{model}: the {found.way} transport needs {library}; install agentmicro[llm]")
    return Direct(found, connections) if found.way == "direct" else Lite(found)
