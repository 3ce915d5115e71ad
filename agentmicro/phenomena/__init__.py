"""The phenomena: one collective risk per file, and the folder is the registry.

Every module here, and every module named by an entry point of the group `agentmicro.phenomena`, holds one `Society`
subclass. Nothing is registered, and nothing is imported but what is asked for.
"""

import ast
import functools
import importlib
import importlib.util
import inspect
import pkgutil
import re
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING

from agentmicro.errors import SpecError, listed, nearest

if TYPE_CHECKING:
    from agentmicro.society import Society

GROUP = "agentmicro.phenomena"
SECTIONS = ("Kind", "Risk", "Mechanism", "Cures to compare", "References")


@dataclass(frozen=True)
class About:
    """What the docstring of a phenomenon says: its first line, then its sections by heading."""

    title: str
    sections: dict[str, str]


def plain(name: str) -> str:
    """A phenomenon's name as it is compared: lower case, words joined by underscores."""
    return name.strip().lower().replace("-", "_")


def names() -> tuple[str, ...]:
    """The names of all phenomena, in alphabetical order; imports none of them."""
    return tuple(sorted({*_here(), *_elsewhere()}))


def find(name: str) -> "type[Society]":
    """The phenomenon of that name; imports its module only. A SpecError says which names there are."""
    word = plain(name)
    if word not in names():
        raise SpecError(f"no phenomenon {name!r}{nearest(word, names())}; there is {listed(names())}")
    return _class(_module(word))


def every() -> "dict[str, type[Society]]":
    """All phenomena by name."""
    return {name: find(name) for name in names()}


def name_of(cls: "type[Society]") -> str:
    """The name of a phenomenon: the last word of its module's."""
    return cls.__module__.rpartition(".")[2]


def about(name: str) -> About:
    """What a phenomenon's docstring says, read from its file without importing it."""
    spec = importlib.util.find_spec(_module(plain(name)))
    source = Path(spec.origin).read_text("utf-8") if spec and spec.origin else ""
    try:
        text = ast.get_docstring(ast.parse(source)) or ""
    except SyntaxError as error:
        return About(f"cannot be read: {error.msg} in line {error.lineno}", {})
    first, _, rest = text.partition("\n")
    parts = re.split(rf"^({'|'.join(SECTIONS)}): ", rest, flags=re.MULTILINE)
    sections = dict(zip(parts[1::2], (" ".join(part.split()) for part in parts[2::2]), strict=True))
    return About(first.strip(), sections)


def _here() -> tuple[str, ...]:
    return tuple(module.name for module in pkgutil.iter_modules(__path__))


@functools.cache
def _elsewhere() -> dict[str, EntryPoint]:
    return {plain(point.name): point for point in entry_points(group=GROUP)}


def _module(name: str) -> str:
    return f"{__name__}.{name}" if name in _here() else _elsewhere()[name].module


def _class(module: str) -> "type[Society]":
    """The one Society subclass that a module defines."""
    from agentmicro.society import Society

    try:
        found = importlib.import_module(module)
    except Exception as error:  # whatever an author's module raises is one sentence to whoever asked for it
        raise SpecError(f"phenomenon {module} cannot be imported: {type(error).__name__}: {error}") from error
    classes = [
        value
        for value in vars(found).values()
        if inspect.isclass(value) and issubclass(value, Society) and value.__module__ == found.__name__
    ]
    if len(classes) != 1:
        has = listed(cls.__name__ for cls in classes) or "none"
        raise SpecError(f"phenomenon {module}: expected one subclass of Society in the file, and it has {has}")
    return classes[0]
