"""The page of a live run: controls, the stage, the lines, the inspector, and how to take the run along."""

from dataclasses import replace

import solara

from agentmicro.app.configuration import Configuration, read
from agentmicro.app.controller import Status
from agentmicro.app.controls import Controls
from agentmicro.app.inspector import Inspector
from agentmicro.app.lines import NULL, OTHER, RUN, Line, chart
from agentmicro.app.live import Live, View, at_once
from agentmicro.app.parts import Copy, Keys, Stage
from agentmicro.app.why import Followed
from agentmicro.errors import AgentmicroError, SpecError, listed
from agentmicro.knobs import Scalar
from agentmicro.phenomena import about, name_of

FIRST = "herding"  # what the page shows when nobody asks for anything
SLOWEST = 2.0  # seconds between turns at the slow end of the slider


def asked(query: str) -> tuple[Configuration, str]:
    """The configuration that a link asks for, and what is wrong with it, if anything."""
    try:
        return read(query) if query.strip("?") else Configuration(FIRST), ""
    except AgentmicroError as error:
        return Configuration(FIRST), str(error)


@solara.component
def Run():
    """One run, live."""
    query = solara.use_router().search or ""
    configuration, problem = solara.use_memo(lambda: asked(query), [query])
    view: solara.Reactive[View | None] = solara.use_reactive(None)
    live = solara.use_memo(lambda: Live(configuration, view.set), [query])
    solara.use_effect(lambda: live.close, [live])
    if problem:
        solara.Warning(f"This link cannot be opened, so here is {FIRST} instead: {problem}")
    shown = view.value or live.view
    Played(live, shown)


@solara.component
def Played(live: Live, view: View):
    """The page of a run that there is."""
    draft, set_draft = solara.use_state(live.configuration)
    agent, set_agent = solara.use_state(-1)
    followed, set_followed = solara.use_state(list[Followed]())
    problem, set_problem = solara.use_state("")
    solara.use_effect(lambda: set_draft(live.configuration), [live])
    state, frame = view.state, view.state.frame
    begun = state.time > 0

    def put(name: str, value: Scalar) -> None:
        wanted = replace(draft, knobs={**draft.values, name: value})
        if begun and at_once(draft.cls, name):
            live.change(name, value).add_done_callback(lambda done: set_problem(str(done.exception() or "")))
            set_draft(replace(draft, knobs=draft.knobs))
            return
        begin(wanted)

    def begin(wanted: Configuration) -> None:
        set_draft(wanted)
        if not begun:
            live.restart(wanted)

    def fresh() -> None:
        set_agent(-1)
        set_followed([])
        live.restart(replace(draft, changes=()))

    def press(key: str) -> None:
        playing = state.status is Status.PLAYING
        actions = {"play": live.controller.pause if playing else live.controller.play, "step": live.controller.step}
        {**actions, "reset": fresh, "finish": lambda: hurry(live)}[key]()

    Keys(event_press=press)
    cls = draft.cls
    told = about(name_of(cls))
    values = {**draft.values, **(dict(frame.knobs) if frame and begun else {})}
    waiting = begun and replace(draft, changes=()) != replace(live.configuration, changes=())
    with solara.Div(classes=["am-run"]):
        with solara.Column(gap="4px", classes=["am-card", "am-controls"]):
            solara.HTML(tag="h2", unsafe_innerHTML="Conditions")
            Seed(draft, begin)
            Controls(cls, values, put, begun)
        with solara.Column(gap="10px", classes=["am-middle"]):
            title, _, rest = told.title.partition(": ")
            solara.v.Html(tag="h1", children=[title])
            solara.Text(rest[:1].upper() + rest[1:], classes=["am-lead"])
            Buttons(live, view, press)
            if waiting:
                with solara.Row(classes=["am-waiting"], gap="10px"):
                    solara.Text("What you changed needs a new run.")
                    solara.Button("start it", on_click=fresh, color="primary", small=True)
            for text in filter(None, (problem, state.error)):
                solara.Error(f"{text} Change a condition or reset the run." if text == state.error else text)
            if frame is None:
                solara.ProgressLinear(state.status is Status.BUILDING)
            else:
                arrows = [(one.author, one.reader, 1 / one.depth) for one in followed] if agent >= 0 else []
                with solara.Div(classes=["am-card"]):
                    Stage(frame, agent, arrows, lambda row: set_agent(int(row)))
                Lines(view)
                Taken(live.configuration)
        with solara.Column(gap="10px", classes=["am-side"]):
            if frame is not None and 0 <= agent < len(frame.acts.codes):
                Inspector(frame, agent, set_followed, lambda: (set_agent(-1), set_followed([])))
            else:
                Story(told.sections)


def hurry(live: Live) -> None:
    """Runs to the end without a pause between the turns."""
    live.controller.delay = 0.0
    live.controller.play()


@solara.component
def Seed(configuration: Configuration, on_value):
    """The seed and the length of a run."""
    problem, set_problem = solara.use_state("")

    def put(seed: int = configuration.seed, turns: int = configuration.turns) -> None:
        try:
            on_value(replace(configuration, seed=seed, turns=turns))
            set_problem("")
        except SpecError as error:
            set_problem(str(error))

    with solara.Row(gap="8px"):
        solara.InputInt("seed", value=configuration.seed, on_value=lambda seed: put(seed=seed))
        solara.InputInt("turns", value=configuration.turns, on_value=lambda turns: put(turns=turns))
    if problem:
        solara.Text(problem, classes=["am-problem"])


@solara.component
def Buttons(live: Live, view: View, press):
    """Play, step, run to the end, reset; the clock, and how fast it goes."""
    state = view.state
    slow, set_slow = solara.use_state(0)
    playing = state.status is Status.PLAYING
    over = state.status in (Status.FINISHED, Status.FAILED)

    def pace(value: int) -> None:
        set_slow(value)
        live.controller.delay = SLOWEST * value / 10

    with solara.Row(gap="8px", classes=["am-buttons"]):
        icon = "mdi-pause" if playing else "mdi-play"
        word = "Pause" if playing else "Play"
        solara.Button(word, icon_name=icon, on_click=lambda: press("play"), color="primary", disabled=over)
        solara.Button("Step", icon_name="mdi-skip-next", on_click=lambda: press("step"), disabled=over)
        solara.Button("To the end", icon_name="mdi-fast-forward", on_click=lambda: press("finish"), disabled=over)
        solara.Button("Reset", icon_name="mdi-restart", on_click=lambda: press("reset"))
        with solara.Div(classes=["am-pace"]):
            solara.SliderInt("slower", value=slow, min=0, max=10, on_value=pace, thumb_label=False)
        busy = "…" if state.busy and playing else ""
        solara.Text(f"Time: {state.time:g} of {state.turns:,}{busy}", classes=["am-clock"])
        solara.Text(str(state.status), classes=["am-status", f"am-{state.status}"])


@solara.component
def Lines(view: View, other: View | None = None):
    """Every measure of a run over time, with the null behind it and perhaps a second run beside it."""
    frame = view.state.frame
    if frame is None:
        return
    marks = {change.at - 1: assigned(change.knobs) for change in view.configuration.changes}
    beside = other.state.frame.series if other is not None and other.state.frame else {}
    charts = []
    for name, values in frame.series.items():
        lines = [Line(NULL, view.null.get(name, [])[: view.state.turns + 1]), Line(OTHER, beside.get(name, []))]
        charts.append(chart(name, frame.docs[name], [*lines, Line(RUN, values)], view.state.turns, marks))
    key = '<p class="am-key"><i class="run"></i>this run'
    key += '<i class="other"></i>the other run' if other is not None else ""
    key += '<i class="null"></i>null, same seed</p>' if view.null else "</p>"
    solara.HTML(tag="div", classes=["am-card"], unsafe_innerHTML=f'{key}<div class="am-charts">{"".join(charts)}</div>')


@solara.component
def Taken(configuration: Configuration):
    """The same run as a link, a scenario and a script."""
    with solara.Details("Take this run along: a link, a scenario file, a Python script"):
        Copy(title="Link to this page", text=f"/run?{configuration.query()}")
        Copy(title=configuration.command(), text=configuration.scenario(), file=f"{configuration.phenomenon}-copy.toml")
        Copy(title="Python", text=configuration.script(), file=f"{configuration.phenomenon}_copy.py")


@solara.component
def Story(sections):
    """What the phenomenon is about, in its author's words."""
    with solara.Column(gap="8px", classes=["am-card", "am-story"]):
        solara.Text("Click an agent to see what it saw and why it acted.", classes=["am-doc"])
        for heading, text in sections.items():
            if heading != "Kind":
                solara.v.Html(tag="h4", children=[heading])
                solara.Text(text)
        solara.Text("Keys: space plays and pauses, → steps, End runs to the end, r resets.", classes=["am-doc"])


def assigned(values) -> str:
    """Knobs as they are written on a command line."""
    return listed(f"{name}={value}" for name, value in values.items())
