"""The gallery: every phenomenon as a card, by the level at which its risk shows, with a picture of a real run."""

import functools
import threading
from html import escape
from typing import Any

import solara

from agentmicro import phenomena
from agentmicro.app.paint import painted
from agentmicro.app.snapshot import Camera
from agentmicro.errors import AgentmicroError
from agentmicro.study import files, risks

SMALL = 36  # agents of a picture, where the phenomenon lets that be chosen
TURNS = 12  # turns that its run takes
UNPLACED = ("elsewhere", "their files do not say at which level the risk shows")
ACROSS, DOWN, MARGIN = 220, 120, 12


@solara.component
def Gallery():
    """All phenomena, level by level."""
    drawn: solara.Reactive[dict[str, str]] = solara.use_reactive(dict(_PICTURES))

    def draw(cancel: threading.Event) -> None:
        for name in phenomena.names():
            if cancel.is_set():
                return
            _PICTURES.setdefault(name, picture(name))
            drawn.set(dict(_PICTURES))

    solara.use_thread(draw, dependencies=[])
    claims = founding()
    solara.v.Html(tag="h1", children=["Collective risks, grown from local conditions"])
    lead = "Open one, let it run, change one condition, and see why each agent did what it did."
    solara.Text(f"{lead} Everything here runs offline with embedded minds; any language model can take a seat.")
    known = {name: placed(name) for name in phenomena.names()}
    for level, words in (*risks.LEVELS.items(), UNPLACED):
        mine = [name for name, (where, _) in known.items() if where == level]
        if mine:
            solara.HTML(tag="h2", unsafe_innerHTML=f"{escape(level)} <small>{escape(words)}</small>")
            with solara.Div(classes=["am-cards"]):
                for name in mine:
                    Card(name, drawn.value.get(name, ""), claims.get(name, ""), known[name][1]).key(name)


def placed(name: str) -> tuple[str, tuple[str, ...]]:
    """The level and the kinds of a phenomenon; one whose file does not say them, or cannot be read, stands apart."""
    try:
        found = risks.placed(name)
    except AgentmicroError:
        return UNPLACED[0], ()
    return found.level or UNPLACED[0], tuple(found.kinds)


_PICTURES: dict[str, str] = {}


@solara.component
def Card(name: str, svg: str, claim: str, risks_of: tuple[str, ...]):
    """One phenomenon: its picture, its sentence, its claim."""
    title, _, line = phenomena.about(name).title.partition(": ")
    kinds = "".join(f"<span>{escape(kind)}</span>" for kind in risks_of)
    inside = f'<div class="am-picture">{svg}</div><h3>{escape(title)}</h3><p>{escape(line[:1].upper() + line[1:])}</p>'
    said = f'<p class="am-claim">{escape(claim)}</p>' if claim else ""
    with solara.Link(f"/run?run={name}", nofollow=True):
        solara.HTML(tag="div", classes=["am-tile"], unsafe_innerHTML=f'{inside}{said}<p class="am-kinds">{kinds}</p>')


@functools.cache
def founding() -> dict[str, str]:
    """The claim of the scenario that is called like a phenomenon, by phenomenon."""
    found = {}
    for name in files.names():
        said = files.summary(name)
        if phenomena.plain(name) == phenomena.plain(said["phenomenon"]):
            found[phenomena.plain(name)] = said["risk"]
    return found


def picture(name: str) -> str:
    """A short real run as a small picture; nothing where it cannot be made."""
    try:
        cls: Any = phenomena.find(name)
        model = small(cls)
        for _ in range(min(TURNS, cls.length)):
            model.step()
        ground = Camera().ground(model)
        paint = painted(model.affordance, model.acts.own)
    except Exception:  # a picture is decoration: what a phenomenon raises is told on its own page
        return ""
    places = [
        (MARGIN + (x + 1) / 2 * (ACROSS - 2 * MARGIN), MARGIN + (1 - y) / 2 * (DOWN - 2 * MARGIN))
        for x, y in ground.points
    ]
    size = max(1.4, min(6.0, 34 / len(places) ** 0.5))
    links = "".join(
        f"M{places[a][0]:.0f} {places[a][1]:.0f}L{places[b][0]:.0f} {places[b][1]:.0f}" for a, b in ground.links
    )
    dots = "".join(
        f'<circle cx="{x:.0f}" cy="{y:.0f}" r="{size:.1f}" fill="{paint.legend[code][1]}"/>'
        for (x, y), code in zip(places, paint.codes, strict=True)
    )
    return f'<svg viewBox="0 0 {ACROSS} {DOWN}" aria-hidden="true"><path d="{links}" class="am-links"/>{dots}</svg>'


def small(cls: Any) -> Any:
    """A phenomenon with few agents, if its other knobs allow that."""
    try:
        return cls(agents=SMALL, rng=1)
    except AgentmicroError:
        return cls(rng=1)
