"""The seam to language models: a request goes in, a reply comes out, and a failure is a reply too.

Everything above the seam knows only `complete`; everything below it (transports, the record, the limiter, the budget)
can be replaced, and the shipped fake `Scripted` is a provider like any other.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol


class Status(StrEnum):
    """How a call ended, before anybody reads the text."""

    OK = "ok"
    REFUSED = "refused"
    FAILED = "failed"


@dataclass(frozen=True)
class Request:
    """One question to a model: the text, the JSON schema of a structured answer, and the decision it belongs to."""

    model: str
    prompt: str
    schema: dict[str, Any] = field(hash=False)
    seed: int
    agent: int
    decision: int
    attempt: int = 0


@dataclass(frozen=True)
class Reply:
    """What came back: the raw text, always kept, how the call ended, and what it used where that is known.

    `structured` says that the model was held to the schema, so that the text is JSON and no repair.
    """

    text: str
    status: Status = Status.OK
    structured: bool = False
    error: str = ""
    tokens_in: int | None = None
    tokens_out: int | None = None
    served: str | None = None


class Provider(Protocol):
    """Anything that answers requests; many at once, the replies in the order of the requests."""

    def complete(self, requests: Sequence[Request]) -> list[Reply]:
        """One reply for each request; a call that fails is a reply with its error, never an exception."""
        ...
