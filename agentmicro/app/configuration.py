"""The whole configuration of a run as one value: what a link carries, and what a copied scenario or script repeats.

What a visitor sends is data: knobs are checked against the signature like those of any scenario, and a text that would
read a file of this machine is refused.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

from agentmicro import phenomena
from agentmicro.errors import SpecError, nearest
from agentmicro.graphs import GraphSpec, parse
from agentmicro.knobs import Scalar, knobs, missing
from agentmicro.society import Society

LONGEST = 100_000  # turns: a run longer than that is for the command line
LAST_SEED = 2**63 - 1


@dataclass(frozen=True)
class Change:
    """Knobs that change during a run: they act just before the turn at that time."""

    at: float
    knobs: Mapping[str, Scalar]


@dataclass(frozen=True)
class Configuration:
    """A phenomenon, the knobs that differ from its defaults, a seed, a length, and changes on the way.

    other: the knobs in which a second run beside it differs; empty where there is none. Whatever is not checked when it
    is made is refused then, so a configuration that exists can be built.
    """

    phenomenon: str
    knobs: Mapping[str, Scalar] = field(default_factory=dict)
    seed: int = 1
    turns: int = 0
    changes: tuple[Change, ...] = ()
    other: Mapping[str, Scalar] = field(default_factory=dict)

    def __post_init__(self) -> None:
        cls = self.cls
        object.__setattr__(self, "phenomenon", phenomena.plain(self.phenomenon))
        object.__setattr__(self, "turns", self.turns or int(cls.length))
        if not 0 <= self.seed <= LAST_SEED:
            raise SpecError(f"seed = {self.seed}: expected a whole number from 0 to {LAST_SEED:,}")
        if not 1 <= self.turns <= LONGEST:
            raise SpecError(f"turns = {self.turns}: expected a whole number from 1 to {LONGEST:,}")
        given = cls.checked(self.knobs)
        usual = {name: knob.default for name, knob in knobs(cls).items()}
        object.__setattr__(self, "knobs", {name: given[name] for name in self.knobs if given[name] != usual[name]})
        object.__setattr__(self, "other", self._checked(cls, self.other))
        object.__setattr__(self, "changes", tuple(sorted(self.changes, key=lambda change: change.at)))
        for values in (given, self.other, *(change.knobs for change in self.changes)):
            _no_files(values)

    @property
    def cls(self) -> type[Society]:
        """The phenomenon's class."""
        return phenomena.find(self.phenomenon)

    @property
    def values(self) -> dict[str, Scalar]:
        """Every knob with its value at the start."""
        return self.cls.checked(self.knobs)

    def _checked(self, cls: type[Society], values: Mapping[str, Scalar]) -> dict[str, Scalar]:
        checked = cls.checked({**self.knobs, **values})
        return {name: checked[name] for name in values}

    def build(self, other: bool = False) -> tuple[Society, int]:
        """The model at time 0, its changes scheduled, and how many turns it is to run; or the second one beside it."""
        make: Any = self.cls
        model: Society = make(**self.cls.checked({**self.knobs, **(self.other if other else {})}), rng=self.seed)
        for change in self.changes:
            model.intervene(change.at, **change.knobs)
        return model, self.turns

    def changed(self, at: float, **values: Scalar) -> "Configuration":
        """The same run with one more change, which takes the place of an earlier one of the same knob at that time."""
        same = next((change for change in self.changes if change.at == at), Change(at, {}))
        rest = tuple(change for change in self.changes if change.at != at)
        return replace(self, changes=(*rest, Change(at, {**same.knobs, **values})))

    # --- a link

    def query(self) -> str:
        """The part of a link behind the question mark: `run=voter&seed=3&k.agents=40&5.turns=random&o.latency=1`."""
        pairs: list[tuple[str, str]] = [("run", self.phenomenon), ("seed", str(self.seed)), ("turns", str(self.turns))]
        pairs += [(f"k.{name}", _text(value)) for name, value in self.knobs.items()]
        pairs += [
            (f"{change.at!r}.{name}", _text(value)) for change in self.changes for name, value in change.knobs.items()
        ]
        pairs += [(f"o.{name}", _text(value)) for name, value in self.other.items()]
        return urlencode(pairs, quote_via=quote)

    # --- the same run, headless

    def scenario(self) -> str:
        """The text of a scenario file whose `run` gives the same numbers: the changes are its arm `as changed`."""
        lines = [f"phenomenon = {_toml(self.phenomenon)}", "", "[micro]"]
        lines += [f"{name} = {_toml(value)}" for name, value in self.knobs.items()]
        lines += ["", "[grow]", f"turns = {self.turns}"]
        arms = [("as changed", [{**change.knobs, "at": change.at} for change in self.changes])] if self.changes else []
        arms += [("other", [dict(self.other)])] if self.other else []
        if arms:
            lines += ["", "[intervene]"]
        for name, steps in arms:
            inside = [", ".join(f"{knob} = {_toml(value)}" for knob, value in step.items()) for step in steps]
            tables = [f"{{ {text} }}" for text in inside]
            lines.append(f"{_toml(name)} = {tables[0] if len(tables) == 1 else '[' + ', '.join(tables) + ']'}")
        return "\n".join(lines) + "\n"

    def command(self) -> str:
        """The command that runs the copied scenario."""
        arm = " --arm 'as changed'" if self.changes else ""
        return f"agentmicro run {self.phenomenon}-copy.toml --seed {self.seed}{arm}"

    def script(self) -> str:
        """A Python script that makes the same run and prints its measures."""
        cls = self.cls
        given = "".join(f"{name}={value!r}, " for name, value in self.knobs.items())
        lines = [f"from {cls.__module__} import {cls.__name__}", "", f"model = {cls.__name__}({given}rng={self.seed})"]
        for change in self.changes:
            values = ", ".join(f"{name}={value!r}" for name, value in change.knobs.items())
            lines.append(f"model.intervene({change.at!r}, {values})")
        lines += [f"for _ in range({self.turns}):", "    model.step()", ""]
        lines.append("print(model.datacollector.get_model_vars_dataframe().iloc[-1])")
        return "\n".join(lines) + "\n"


def read(query: str) -> Configuration:
    """The configuration that a link carries; a SpecError says what in it cannot be."""
    found = parse_qsl(query.lstrip("?"), keep_blank_values=True)
    top: dict[str, str] = {}
    inside: dict[str, dict[str, str]] = {}
    for key, text in found:
        where, dot, name = key.rpartition(".")
        if dot:
            inside.setdefault(where, {})[name] = text
        else:
            top[key] = text
    for key in top:
        if key not in ("run", "seed", "turns"):
            raise SpecError(f"link: no part {key!r}{nearest(key, ('run', 'seed', 'turns'))}; expected run, seed, turns")
    cls = phenomena.find(top.get("run", ""))
    named = {where: dict(_values(cls, texts)) for where, texts in inside.items()}
    times = {where: _time(where) for where in named if where not in ("k", "o")}
    return Configuration(
        top["run"],
        named.get("k", {}),
        _whole("seed", top.get("seed", "1")),
        _whole("turns", top.get("turns", "0")),
        tuple(Change(at, named[where]) for where, at in times.items()),
        named.get("o", {}),
    )


def _values(cls: type[Society], texts: Mapping[str, str]) -> Iterator[tuple[str, Scalar]]:
    known = knobs(cls)
    for name, text in texts.items():
        if name not in known:
            raise missing(name, cls.__name__, known)
        yield name, known[name].read(text)


def _whole(name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise SpecError(f"link: {name} = {text!r:.40}: expected a whole number") from None


def _time(text: str) -> float:
    try:
        at = float(text)
    except ValueError:
        at = float("nan")
    if not 0 < at <= LONGEST:
        raise SpecError(f"link: {text!r:.40}: expected k, o, or the time of a change") from None
    return at


def _no_files(values: Mapping[str, Scalar]) -> None:
    """Refuses graphs that are files: whoever opens a page may not make this machine read them."""
    graph = values.get("graph")
    if isinstance(graph, str) and isinstance(spec := parse(graph), GraphSpec) and spec.path is not None:
        raise SpecError(f"graph = {graph!r}: the app reads no files; expected a named topology")


def _text(value: Scalar) -> str:
    return str(value).lower() if isinstance(value, bool) else repr(value) if isinstance(value, float) else str(value)


def _toml(value: object) -> str:
    """A scalar as TOML writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
