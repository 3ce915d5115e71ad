"""The inspector: one decision of one agent; what it saw, was asked, said and did, and whom it followed."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import solara

from agentmicro.app.snapshot import Frame
from agentmicro.app.why import Entry, Followed, decisions, tree

SHOWN = 60  # exposures that are listed at most
LETTERS = 4_000  # letters of a prompt or a reply that are shown before somebody asks for all


@solara.component
def Inspector(frame: Frame, agent: int, on_tree: Callable[[Sequence[Followed]], None], on_close: Callable[[], None]):
    """What the trace says of one agent; `on_tree` hears whom the decision that is shown followed."""
    back, set_back = solara.use_state(0)
    solara.use_effect(lambda: set_back(0), [agent])
    mine = decisions(frame.entries, agent, len(frame.entries))
    entry = mine[-1 - min(back, len(mine) - 1)] if mine else None
    followed = tree(frame.entries, _rows_of(frame), entry) if entry else []
    solara.use_effect(lambda: on_tree(followed), [agent, back, len(mine)])
    with solara.Column(gap="6px", classes=["am-card", "am-inspector"]):
        with solara.Row(justify="space-between"):
            solara.HTML(tag="h2", unsafe_innerHTML=f"Agent {agent}")
            solara.Button("close", on_click=on_close, text=True, small=True)
        solara.Text(f"{frame.ground.names[agent]}, decided by {frame.minds[agent]}", classes=["am-doc"])
        if not frame.traced:
            solara.Warning("This run is too large for every decision to be written down; take fewer agents or links.")
        elif entry is None:
            solara.Info("It has not decided yet. Press step.")
        else:
            _steps(len(mine), min(back, len(mine) - 1), set_back)
            _decision(entry, followed, frame)


def _rows_of(frame: Frame) -> Mapping[str, int]:
    """The row of every name that an exposure may give as its author."""
    entries: Sequence[Entry] = frame.entries
    return {entry["name"]: entry["agent"] for entry in entries}


def _steps(count: int, back: int, set_back: Callable[[int], None]) -> None:
    with solara.Row(gap="6px", classes=["am-steps"]):
        solara.Button("earlier", on_click=lambda: set_back(back + 1), disabled=back >= count - 1, small=True)
        solara.Text(f"decision {count - back} of {count}")
        solara.Button("later", on_click=lambda: set_back(back - 1), disabled=back <= 0, small=True)


def _decision(entry: Entry, followed: Sequence[Followed], frame: Frame) -> None:
    solara.HTML(tag="h4", unsafe_innerHTML="Did")
    solara.Text(f"{told(entry['act'])} at time {entry['time']:g} ({entry['outcome']})", classes=["am-did"])
    solara.HTML(tag="h4", unsafe_innerHTML="Why?")
    _why(entry, followed, frame)
    saw = entry["saw"]
    solara.HTML(tag="h4", unsafe_innerHTML=f"Saw ({len(saw)})")
    with solara.Column(gap="0px", classes=["am-saw"]):
        for place, shown in enumerate(saw[:SHOWN], start=1):
            times = f" × {shown['count']}" if shown["count"] != 1 else ""
            whose = f"from {shown['author']}" if shown["author"] else "from nobody in particular"
            old = "now" if not shown["age"] else f"{shown['age']:g} turn{'s' * (shown['age'] != 1)} old"
            solara.Text(f"{place}. {told(shown['content'])}{times}, {whose}, {old}")
        if len(saw) > SHOWN:
            solara.Text(f"and {len(saw) - SHOWN:,} more")
        if not saw:
            solara.Text("nothing")
    for key, title in (("asked", "Was asked"), ("said", "Said")):
        if entry.get(key):
            solara.HTML(tag="h4", unsafe_innerHTML=title)
            Long(told(entry[key]))


def _why(entry: Entry, followed: Sequence[Followed], frame: Frame) -> None:
    nearest = [one for one in followed if one.depth == 1]
    if nearest:
        names = ", ".join(frame.ground.names[one.author] for one in nearest[:8])
        deeper = len({one.author for one in followed} - {one.author for one in nearest})
        more = f"; {deeper} more agents stand behind them" if deeper else ""
        solara.Text(f"It did what it saw {names} do{more}. The arrows show who repeated whom.")
    elif entry["saw"]:
        solara.Text("It did what nobody that it saw had done.")
    else:
        solara.Text("It saw nobody.")


@solara.component
def Long(text: str):
    """A text of any length as plain text; the rest of a long one on request."""
    whole, set_whole = solara.use_state(False)
    shown = text if whole or len(text) <= LETTERS else text[:LETTERS]
    solara.v.Html(tag="pre", children=[shown], class_="am-text")
    if len(text) > LETTERS:
        rest = f"show all {len(text):,} letters" if not whole else "show less"
        solara.Button(rest, on_click=lambda: set_whole(not whole), small=True, text=True)


def told(value: Any) -> str:
    """An act or a content as words."""
    if isinstance(value, Mapping):
        return "; ".join(f"{key}: {told(inner)}" for key, inner in value.items() if inner is not None) or "nothing"
    if isinstance(value, list | tuple):
        return ", ".join(map(told, value)) or "nothing"
    if isinstance(value, float):
        return f"{value:.4g}"
    return "nothing" if value is None else str(value)
