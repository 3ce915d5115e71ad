"""Stage 1, risk: which collective risks there are, at which level each shows, and which phenomenon grows which.

A phenomenon says where it belongs in its docstring, as in `Kind: macro; herding, manipulation`; nothing imports it to
find out. The levels are those of the founding paper (arXiv 2604.15236, table 1): micro is between neighbours, meso
in groups, macro in the population. The kinds join its stage 1, the three failure modes of Hammond et al. 2025
(arXiv 2502.14143: miscoordination, conflict, collusion), and contagion, which the coordination literature adds.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from agentmicro import phenomena
from agentmicro.errors import SpecError, listed, nearest

LEVELS: Mapping[str, str] = {
    "micro": "between neighbours: what one agent passes on to the next",
    "meso": "in groups: who acts with whom against whom",
    "macro": "in the population: what everybody ends up doing",
}
KINDS: Mapping[str, str] = {
    "cascade": "agents follow those before them and no longer what they know themselves",
    "collusion": "agents that should compete divide the gains between them",
    "conflict": "agents with opposed aims lose together what they could have kept",
    "contagion": "a state or an instruction spreads from agent to agent",
    "coordination failure": "agents with one aim do not reach it together",
    "deception": "agents make others believe what they know to be false",
    "drift": "meaning or behaviour moves away from where it began",
    "herding": "agents converge on the same few choices for no reason in the choices",
    "manipulation": "one party steers many through what they see",
    "polarisation": "a population parts into camps",
}


@dataclass(frozen=True)
class Placed:
    """Where a phenomenon belongs: the level at which its risk shows, and the kinds of risk that it grows."""

    level: str
    kinds: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.level}; {listed(self.kinds)}"


def placed(name: str) -> Placed:
    """Where a phenomenon says it belongs; nowhere if it is silent, and a SpecError if it says what there is not."""
    said = phenomena.about(name).sections.get("Kind", "")
    if not said:
        return Placed("", ())
    level, _, rest = said.rstrip(".").partition(";")
    kinds = tuple(word.strip() for word in rest.split(",") if word.strip())
    if level.strip() not in LEVELS:
        near = nearest(level.strip(), LEVELS)
        raise SpecError(f"phenomenon {name}: Kind: level {level.strip()!r}: expected one of {listed(LEVELS)}{near}")
    for kind in kinds or ("",):
        if kind not in KINDS:
            raise SpecError(
                f"phenomenon {name}: Kind: {kind!r}: expected some of {listed(KINDS)}{nearest(kind, KINDS)}"
            )
    return Placed(level.strip(), kinds)


def asked(text: str) -> str:
    """The kind or level that a text names, near spellings such as `cascades` or `coordination-failure` included."""
    word = " ".join(text.lower().replace("-", " ").replace("_", " ").split()).replace("polarization", "polarisation")
    found = next((known for known in (*KINDS, *LEVELS) if word in (known, f"{known}s")), "")
    if not found:
        known = (*KINDS, *LEVELS)
        raise SpecError(
            f"no risk {text!r}{nearest(word, known)}; there is {listed(KINDS)}; or a level: {listed(LEVELS)}"
        )
    return found


def of_risk(text: str) -> tuple[str, ...]:
    """The phenomena that grow a kind of risk, or show at a level."""
    risk = asked(text)
    return tuple(name for name in phenomena.names() if risk in (placed(name).level, *placed(name).kinds))
