"""The page that compares: two runs on the same seed that differ in one condition, and their difference turn by turn."""

from dataclasses import replace
from math import nan

import solara

from agentmicro.app.configuration import Configuration
from agentmicro.app.controls import Control
from agentmicro.app.leave import Leave
from agentmicro.app.lines import RUN, Line, chart
from agentmicro.app.live import Live, View
from agentmicro.app.parts import Keys, Stage
from agentmicro.app.run import Lines, asked, assigned
from agentmicro.app.spending import Purse
from agentmicro.errors import AgentmicroError
from agentmicro.knobs import Scalar, knobs
from agentmicro.phenomena import about, name_of

STATED = {"herding": {"order": "fixed"}}  # a comparison that shows something, where a page opens without one


def paired(query: str) -> tuple[Configuration, str]:
    """The two runs that a link asks for; where it names no second one, the null of the phenomenon or a stated one."""
    configuration, problem = asked(query)
    if configuration.other:
        return configuration, problem
    name = configuration.phenomenon
    return replace(configuration, other=STATED.get(name, dict(configuration.cls.null))), problem


@solara.component
def Compare():
    """Two runs side by side."""
    query = solara.use_router().search or ""
    configuration, problem = solara.use_memo(lambda: paired(query), [query])
    one: solara.Reactive[View | None] = solara.use_reactive(None)
    two: solara.Reactive[View | None] = solara.use_reactive(None)
    purse = solara.use_memo(Purse, [query])
    first = solara.use_memo(lambda: Live(configuration, one.set, beside=False, purse=purse), [query])
    second = solara.use_memo(lambda: Live(configuration, two.set, beside=False, other=True, purse=purse), [query])
    solara.use_effect(lambda: first.close, [first])
    solara.use_effect(lambda: second.close, [second])
    if problem:
        solara.Warning(f"This link cannot be opened: {problem}")
    one.get(), two.get()  # what they say may be older than what is known now
    Beside((first, second), (first.view, second.view))


@solara.component
def Beside(lives: tuple[Live, Live], views: tuple[View, View]):
    """The page of two runs that there are."""
    configuration = lives[0].configuration
    playing = any(view.state.wanted for view in views)
    problem, set_problem = solara.use_state("")

    def press(key: str) -> None:
        for live in lives:
            actions = {"play": live.pause if playing else live.play, "step": live.step}
            {**actions, "finish": live.play, "reset": live.reset}[key]()

    def differ(name: str, value: Scalar) -> None:
        try:
            wanted = replace(configuration, other={name: value})
        except AgentmicroError as error:
            set_problem(str(error))
            return
        set_problem("")
        for live in lives:
            live.restart(wanted)

    Keys(event_press=press)
    solara.v.Html(tag="h1", children=["One condition changed"])
    title = about(name_of(configuration.cls)).title.partition(":")[0]
    solara.Text(f"{title}: two runs with the same seed and the same luck; whatever differs comes from one condition.")
    Difference(configuration, differ)
    with solara.Row(gap="8px", classes=["am-buttons"]):
        solara.Button("Pause" if playing else "Play", on_click=lambda: press("play"), color="primary")
        solara.Button("Step", on_click=lambda: press("step"))
        solara.Button("Reset", on_click=lambda: press("reset"))
        solara.Text(
            f"Time: {min(view.state.time for view in views):g} of {views[0].state.turns:,}", classes=["am-clock"]
        )
    Leave(lives, any(view.state.busy for view in views))
    for text in filter(None, (problem, *(view.state.error for view in views))):
        solara.Error(text)
    names = (
        assigned({name: configuration.values[name] for name in configuration.other}),
        assigned(configuration.other),
    )
    with solara.Div(classes=["am-two"]):
        for name, view in zip(names, views, strict=True):
            with solara.Div(classes=["am-card"]):
                solara.v.Html(tag="h2", children=[name])
                if view.state.frame is not None:
                    Stage(view.state.frame)
    Differences(*views)
    Lines(views[0], views[1])


@solara.component
def Difference(configuration: Configuration, on_value):
    """Which condition differs, and how."""
    known = knobs(configuration.cls)
    name = next(iter(configuration.other), next(iter(known)))
    chosen, set_chosen = solara.use_state(name)
    value = configuration.other.get(chosen, configuration.values[chosen])
    with solara.Row(gap="16px", classes=["am-card", "am-differ"]):
        solara.Select("the condition", value=chosen, values=list(known), on_value=set_chosen)
        Control(configuration.cls, known[chosen], value, on_value, "on the right").key(f"other.{chosen}")


@solara.component
def Differences(one: View, two: View):
    """The right run less the left one, measure by measure, as far as both have come."""
    frames = one.state.frame, two.state.frame
    if frames[0] is None or frames[1] is None:
        return
    charts = []
    for name, values in frames[0].series.items():
        others = frames[1].series.get(name, [])
        both = [other - value for value, other in zip(values, others, strict=False)]
        charts.append(chart(f"Δ {name}", frames[0].docs[name], [Line(RUN, both or [nan])], one.state.turns, {}))
    head = "<h2>The difference</h2><p class='am-doc'>The right run less the left one, on the same seed.</p>"
    solara.HTML(
        tag="div", classes=["am-card"], unsafe_innerHTML=f'{head}<div class="am-charts">{"".join(charts)}</div>'
    )
