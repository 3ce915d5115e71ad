"""The two abstractions: an affordance (what an act may be) and an offer (how one agent is asked)."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from agentmicro.affordances.reading import Parsed
from agentmicro.errors import ReplyError, SpecError

type Acts = NDArray[Any]
type Order = Sequence[int] | Mapping[str, Sequence[int]]


class Affordance(ABC):
    """An affordance says what an act may be: as a row of an array, as a value, and as text.

    Arrays hold one row per agent; a row without an act is blank. Rules work on whole arrays, language models on values
    and text, and both see the same act. An affordance is immutable, hashable and picklable.
    """

    kind: ClassVar[str]

    @property
    @abstractmethod
    def dtype(self) -> np.dtype[Any]:
        """The NumPy type of one act: a scalar, a subarray or a structure."""

    @abstractmethod
    def blank(self, n: int) -> Acts:
        """An array of n agents that have not acted."""

    @abstractmethod
    def is_blank(self, acts: Acts) -> NDArray[np.bool_]:
        """True where an agent has not acted."""

    @abstractmethod
    def valid(self, acts: Acts) -> NDArray[np.bool_]:
        """True where the row is an act that this affordance allows; a blank row is not valid."""

    @abstractmethod
    def decode(self, coded: Any) -> Any:
        """The value of one row; None for a blank row."""

    @abstractmethod
    def fault(self, value: object) -> str:
        """What is wrong with a value, as the end of a sentence; nothing when it is valid."""

    @abstractmethod
    def offer(
        self, order: Order | None = None, labelled: bool = False, names: Mapping[str, int] | None = None
    ) -> "Offer[Any]":
        """The affordance as it is put to one agent.

        `order` lists the options on offer as shown, by index (for an Artifact: one list per part); `labelled` puts
        A, B, C before them; `names` gives the agents of an addressed Message their names. A kind without options or
        addressees ignores `labelled` and `names`, and refuses an `order`.
        """

    @abstractmethod
    def _encode(self, value: Any) -> Any:
        """The row of a value that is known to be valid."""

    def encode(self, value: Any) -> Any:
        """The row of one value; a value that is not valid is a `SpecError`."""
        self.check(value)
        return self._encode(value)

    def encode_many(self, values: Sequence[Any]) -> Acts:
        """The array of many values, where None is an agent that has not acted."""
        acts = self.blank(len(values))
        # Populations repeat a few values: each object is checked and coded once.
        held, coded = list(values), dict[int, Any]()
        for row, value in enumerate(held):
            if value is not None:
                if id(value) not in coded:
                    coded[id(value)] = self.encode(value)
                acts[row] = coded[id(value)]
        return acts

    def check(self, value: object) -> None:
        """Raises a `SpecError` when the value is not valid."""
        if fault := self.fault(value):
            raise SpecError(f"{type(self).__name__}: {fault}")

    @property
    def public(self) -> "Affordance":
        """What others may see of an act: all of it, unless a kind has private parts."""
        return self

    def describe(self, value: Any) -> str:
        """What another agent reads; `parse` reads it back exactly."""
        return self.offer().describe(value)

    def parse(self, text: str) -> Parsed:
        """Reads a value from free text; what cannot be read is a `ReplyError` with one sentence for a re-ask."""
        return self.offer().parse(text)

    def write(self, value: Any) -> dict[str, Any]:
        """The JSON object of a structured reply; `read` reads it back exactly."""
        return self.offer().write(value)

    def read(self, raw: object) -> Parsed:
        """Reads a value from a decoded JSON reply; what cannot be read is a `ReplyError`."""
        return self.offer().read(raw)

    def schema(self) -> dict[str, Any]:
        """The JSON schema (draft 2020-12) of a structured reply."""
        return self.offer().schema()


@dataclass(frozen=True)
class Offer[A: Affordance](ABC):
    """An offer is an affordance as it is put to one agent: which options, in which order, with which labels and names.

    Whatever the offer, an answer is read into the same value: order and labels never reach the array.
    """

    affordance: A
    order: Any = None
    labelled: bool = False
    names: Mapping[str, int] | None = None

    @property
    @abstractmethod
    def text(self) -> str:
        """What may be answered, for a prompt; every option on offer stands in it verbatim."""

    @property
    @abstractmethod
    def form(self) -> str:
        """One sentence that says how to answer."""

    @abstractmethod
    def describe(self, value: Any) -> str:
        """What another agent reads; `parse` reads it back exactly when the value is on offer."""

    @abstractmethod
    def parse(self, text: str) -> Parsed:
        """Reads a value from free text, repairs the ordinary slips, and refuses everything else."""

    @abstractmethod
    def schema(self) -> dict[str, Any]:
        """The JSON schema (draft 2020-12) of a structured reply: an object with one property, named after the kind."""

    @abstractmethod
    def write(self, value: Any) -> dict[str, Any]:
        """The JSON object of a structured reply, which `schema` allows."""

    @abstractmethod
    def read(self, raw: object) -> Parsed:
        """Reads a value from a decoded JSON reply."""

    @abstractmethod
    def value_schema(self) -> dict[str, Any]:
        """The JSON schema of the value alone, as a part of a larger document."""

    @abstractmethod
    def write_value(self, value: Any) -> Any:
        """The JSON of the value alone."""

    @abstractmethod
    def read_value(self, raw: Any) -> Parsed:
        """Reads the JSON of the value alone."""

    def first_exact(self, value: Any, forms: Iterable[Callable[[], str]]) -> str:
        """The first way of writing a value that is read back exactly; the last way needs no trial."""
        *trials, last = forms
        for form in trials:
            text = form()
            try:
                if self.parse(text).value == value:
                    return text
            except ReplyError:
                continue
        return last()


def closed(properties: dict[str, Any], required: Sequence[str]) -> dict[str, Any]:
    """The JSON schema of an object with exactly these properties."""
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


def rows(acts: Any, kind: str, target: type, columns: int | None = None) -> Acts:
    """The acts as an array of the right shape; numbers that would lose something on the way are a `SpecError`."""
    found = np.asarray(acts)
    shape = (len(found) if found.ndim else 0, columns)[: 1 if columns is None else 2]
    if found.ndim == 0 or found.shape != shape or not np.can_cast(found.dtype, target):
        wanted = "(n,)" if columns is None else f"(n, {columns})"
        raise SpecError(
            f"{kind}: the acts are {found.dtype} of shape {found.shape}, expected {target.__name__} of shape {wanted}"
        )
    return found
