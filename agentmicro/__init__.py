"""agentmicro grows, measures and cures collective risks in populations of LLM agents.

The names below are the public ones. They are loaded when first used, so that `import agentmicro` costs nothing and the
offline path never imports what it does not need.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agentmicro.affordances import Artifact, Choice, Message, Number, Picks, Tools
    from agentmicro.architecture import Architecture, Exposure
    from agentmicro.completion import Reply, Request, Scripted
    from agentmicro.errors import (
        AgentmicroError,
        GraphError,
        KnobError,
        MindError,
        ReplyError,
        RuleError,
        ScenarioError,
        SpecError,
    )
    from agentmicro.exposure import Observation, Seen
    from agentmicro.graphs import TOPOLOGIES, Links, build
    from agentmicro.knobs import Group, Knob, Range, knobs
    from agentmicro.minds import LanguageMind, Outcome, each
    from agentmicro.noise import Chance, Luck
    from agentmicro.society import Member, Society
    from agentmicro.study.growing import grow, load
    from agentmicro.study.results import Study
    from agentmicro.trace import Trace, influence
    from agentmicro.world import Feed, Notice

__version__ = "0.1.0"

_HOMES = {
    "affordances": ("Artifact", "Choice", "Message", "Number", "Picks", "Tools"),
    "architecture": ("Architecture", "Exposure"),
    "completion": ("Reply", "Request", "Scripted"),
    "errors": (
        "AgentmicroError",
        "GraphError",
        "KnobError",
        "MindError",
        "ReplyError",
        "RuleError",
        "ScenarioError",
        "SpecError",
    ),
    "exposure": ("Observation", "Seen"),
    "graphs": ("TOPOLOGIES", "Links", "build"),
    "knobs": ("Group", "Knob", "Range", "knobs"),
    "minds": ("LanguageMind", "Outcome", "each"),
    "noise": ("Chance", "Luck"),
    "society": ("Member", "Society"),
    "study.growing": ("grow", "load"),
    "study.results": ("Study",),
    "trace": ("Trace", "influence"),
    "world": ("Feed", "Notice"),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "TOPOLOGIES",
    "AgentmicroError",
    "Architecture",
    "Artifact",
    "Chance",
    "Choice",
    "Exposure",
    "Feed",
    "GraphError",
    "Group",
    "Knob",
    "KnobError",
    "LanguageMind",
    "Links",
    "Luck",
    "Member",
    "Message",
    "MindError",
    "Notice",
    "Number",
    "Observation",
    "Outcome",
    "Picks",
    "Range",
    "Reply",
    "ReplyError",
    "Request",
    "RuleError",
    "ScenarioError",
    "Scripted",
    "Seen",
    "Society",
    "SpecError",
    "Study",
    "Tools",
    "Trace",
    "build",
    "each",
    "grow",
    "influence",
    "knobs",
    "load",
]


def __getattr__(name: str) -> object:
    """Loads a public name from its home; phenomena are `from agentmicro.phenomena.herding import Herding`."""
    if name not in _HOME:
        raise AttributeError(f"agentmicro has no {name!r}; public names: {', '.join(__all__)}")
    return getattr(importlib.import_module(f"agentmicro.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
