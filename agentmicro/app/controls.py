"""Controls from the signature: one for each knob, in the groups of the micro-variables."""

from collections.abc import Callable, Mapping
from typing import Any

import solara

from agentmicro.app.live import at_once
from agentmicro.errors import AgentmicroError, listed
from agentmicro.knobs import Group, Knob, Scalar, knobs

SLIDER = 400  # whole numbers up to which a range is a slider
STEPS = 100  # steps that a slider of numbers has at least
FINEST = 3  # decimals of a step at most


@solara.component
def Controls(cls: Any, values: Mapping[str, Scalar], on_value: Callable[[str, Scalar], None], running: bool):
    """The knobs of a phenomenon; while a run goes on each says whether it acts at once or needs a new run."""
    known = knobs(cls)
    for group in Group:
        mine = {name: knob for name, knob in known.items() if knob.group is group}
        if mine:
            with solara.Column(gap="2px", classes=["am-group"]):
                solara.HTML(tag="h3", unsafe_innerHTML=str(group))
                for name, knob in mine.items():
                    note = "" if not running else "acts at once" if at_once(cls, name) else "needs a new run"
                    Control(cls, knob, values[name], on_value, note).key(f"{cls.__name__}.{name}")


@solara.component
def Control(cls: Any, knob: Knob, value: Scalar, on_value: Callable[[str, Scalar], None], note: str):
    """One knob: a choice, a switch, a slider, a number or a text, with what it is and what it takes."""
    problem, set_problem = solara.use_state("")

    def put(given: Any) -> None:
        try:
            read = knob.read(given) if isinstance(given, str) else knob.check(given)
            on_value(knob.name, read)
            set_problem("")
        except AgentmicroError as error:
            set_problem(str(error))

    label = knob.name.replace("_", " ")
    with solara.Column(gap="0px", classes=["am-control"]):
        if knob.kind is bool:
            solara.Checkbox(label=label, value=bool(value), on_value=put)
        elif knob.choices:
            solara.Select(label=label, value=value, values=list(knob.choices), on_value=put)
        elif knob.kind is int and knob.range and knob.range.high - knob.range.low <= SLIDER:
            low, high = int(knob.range.low), int(knob.range.high)
            solara.SliderInt(
                label=f"{label}: {value}", value=int(value), min=low, max=high, on_value=put, thumb_label=True
            )
        elif (step := slid(knob, value)) is not None and knob.range:
            ends = {"min": knob.range.low, "max": knob.range.high, "step": step}
            solara.SliderFloat(label=f"{label}: {value:g}", value=float(value), **ends, on_value=put)
        elif knob.kind is int:
            solara.InputInt(label=label, value=int(value), on_value=put, continuous_update=False)
        elif knob.kind is float:
            solara.InputFloat(label=label, value=float(value), on_value=put, continuous_update=False)
        else:
            solara.InputText(label=label, value=str(value), on_value=put, continuous_update=False)
        about = "; ".join(part for part in (knob.doc, _beside(cls, knob.name), note) if part)
        solara.Text(about, classes=["am-doc"])
        if problem:
            solara.Text(problem, classes=["am-problem"])


def slid(knob: Knob, value: Scalar) -> float | None:
    """The step of a slider on which a number stands exactly, if there is one.

    A slider moves a value that is none of its steps to the nearest one by itself, and the page would show another run.
    """
    if knob.kind is not float or knob.range is None or knob.range.high - knob.range.low > SLIDER:
        return None
    low, high = knob.range.low, knob.range.high
    for decimals in range(FINEST + 1):
        exact = all(round(number, decimals) == number for number in (float(value), low, high))
        if exact and (high - low) * 10**decimals >= STEPS:
            return float(10**-decimals)
    return None


def _beside(cls: Any, name: str) -> str:
    needs = cls.needs.get(name, {})
    if not needs:
        return f"inert: {cls.inert[name]}" if name in cls.inert else ""
    return f"acts only with {listed(f'{other}={value}' for other, value in needs.items())}"
