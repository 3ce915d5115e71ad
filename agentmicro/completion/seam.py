"""The seam to language models: a request goes in, a reply comes out, and a failure is a reply too.

Everything above the seam knows only `Provider.complete`; everything below it (transports, the record, the limiter,
the budget) can be replaced, and the shipped fake `Scripted` is a provider like any other. A `Transport` is the lowest
layer: one call to one server, which answers or raises a `CallError`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from agentmicro.errors import AgentmicroError

type Scalar = bool | int | float | str


class Status(StrEnum):
    """How a call ended, before anybody reads the text."""

    OK = "ok"
    REFUSED = "refused"
    FAILED = "failed"


@dataclass(frozen=True)
class Request:
    """One question to a model, and the decision it belongs to.

    model: as asked. prompt: the question. schema: the JSON schema of a structured answer. seed, agent, decision,
    attempt: the run's seed, who asks, its n-th decision, and how often it was asked again. system: who the model is to
    be. again: earlier replies to this question, each with what was wrong with it. options: sampling parameters by the
    names of the OpenAI protocol, such as temperature and max_tokens. base_url: the server, where it is not the default.
    transport, price_in, price_out: how to reach it and what it costs (USD per million tokens), where the session does
    not say; these three do not change what is asked, so the record does not tell requests apart by them.
    """

    model: str
    prompt: str
    schema: Mapping[str, Any] = field(hash=False)
    seed: int
    agent: int
    decision: int
    attempt: int = 0
    system: str = ""
    again: tuple[tuple[str, str], ...] = ()
    options: Mapping[str, Scalar] = field(default_factory=dict, hash=False)
    base_url: str | None = None
    transport: str = ""
    price_in: float | None = None
    price_out: float | None = None

    @property
    def messages(self) -> list[dict[str, str]]:
        """The conversation as the OpenAI protocol has it."""
        said = [{"role": "system", "content": self.system}] if self.system else []
        said.append({"role": "user", "content": self.prompt})
        for reply, wrong in self.again:
            said += [{"role": "assistant", "content": reply}, {"role": "user", "content": wrong}]
        return said


@dataclass(frozen=True)
class Reply:
    """What came back: the raw text, always kept, how the call ended, and what it used where that is known.

    structured: the model was held to the schema, so that the text is JSON and no repair. tokens and cost are None where
    they are unknown, never 0. served: the model that answered. calls: how many calls it took. replayed: the reply came
    from the record and cost nothing now. dropped: the options that were asked for and left out, because the server does
    not take them.
    """

    text: str
    status: Status = Status.OK
    structured: bool = False
    error: str = ""
    tokens_in: int | None = None
    tokens_out: int | None = None
    tokens_cached: int | None = None
    cost_usd: float | None = None
    served: str | None = None
    seconds: float = 0.0
    calls: int = 1
    replayed: bool = False
    dropped: tuple[str, ...] = ()


class Provider(Protocol):
    """Anything that answers requests; many at once, the replies in the order of the requests."""

    def complete(self, requests: Sequence[Request]) -> list[Reply]:
        """One reply for each request; a call that fails is a reply with its error, never an exception."""
        ...

    def check(self) -> None:
        """Raises BudgetReached where a ceiling is reached; asked between turns."""
        ...


class Fault(StrEnum):
    """Why a call gave no reply; the first four are worth another try."""

    RATE = "rate limit"
    SERVER = "server error"
    TIMEOUT = "time-out"
    CONNECTION = "connection"
    PROTOCOL = "not the protocol"
    AUTH = "no access"
    REQUEST = "bad request"


class CallError(AgentmicroError):
    """A call gave no reply: what kind of fault, the HTTP status if any, and how long the server asks to wait."""

    def __init__(self, fault: Fault, text: str, status: int | None = None, retry_after: float | None = None) -> None:
        super().__init__(text)
        self.fault = fault
        self.status = status
        self.retry_after = retry_after

    @property
    def passing(self) -> bool:
        """Whether the same call may go through later."""
        return self.fault in (Fault.RATE, Fault.SERVER, Fault.TIMEOUT, Fault.CONNECTION)


class Transport(Protocol):
    """One way to reach servers; it holds connections and no other state."""

    async def send(self, request: Request, seconds: float) -> Reply:
        """The reply to one request within so many seconds; raises CallError, and nothing else, when there is none."""
        ...

    async def close(self) -> None:
        """Closes the connections."""
        ...
