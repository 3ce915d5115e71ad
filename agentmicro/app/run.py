"""The page of a live run: controls, the stage, the lines, the inspector, and how to take the run along."""

from dataclasses import replace

import solara

from agentmicro.app.configuration import Configuration, read
from agentmicro.app.controller import Status
from agentmicro.app.controls import Controls
from agentmicro.app.exports import sheet, table
from agentmicro.app.inspector import Inspector
from agentmicro.app.leave import Leave
from agentmicro.app.lines import NULL, OTHER, RUN, Line, chart
from agentmicro.app.live import Live, Shown, View, at_once
from agentmicro.app.parts import Copy, Keys, Stage
from agentmicro.app.snapshot import Frame
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
    view.get()  # what it says may be older than what is known now
    Played(live, live.view)


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
        actions = {"play": live.pause if state.wanted else live.play, "step": live.step}
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
            Leave([live], state.busy, failed(frame))
            if state.held and live.purse.ceilings is not None:
                solara.Warning(state.held)
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
                Files(live)
                Taken(live.configuration)
        with solara.Column(gap="10px", classes=["am-side"]):
            if frame is not None and 0 <= agent < len(frame.acts.codes):
                Inspector(frame, agent, set_followed, lambda: (set_agent(-1), set_followed([])))
            else:
                Story(told.sections)


def hurry(live: Live) -> None:
    """Runs to the end without a pause between the turns."""
    live.controller.delay = 0.0
    live.play()


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
    over = state.status in (Status.FINISHED, Status.FAILED)

    def pace(value: int) -> None:
        set_slow(value)
        live.controller.delay = SLOWEST * value / 10

    with solara.Row(gap="8px", classes=["am-buttons"]):
        icon, word = ("mdi-pause", "Pause") if state.wanted else ("mdi-play", "Play")
        solara.Button(word, icon_name=icon, on_click=lambda: press("play"), color="primary", disabled=over)
        solara.Button("Step", icon_name="mdi-skip-next", on_click=lambda: press("step"), disabled=over)
        solara.Button("To the end", icon_name="mdi-fast-forward", on_click=lambda: press("finish"), disabled=over)
        solara.Button("Reset", icon_name="mdi-restart", on_click=lambda: press("reset"))
        with solara.Div(classes=["am-pace"]):
            solara.SliderInt("slower", value=slow, min=0, max=10, on_value=pace, thumb_label=False)
        solara.Text(f"Time: {state.time:g} of {state.turns:,}", classes=["am-clock"])
        solara.Text(stands(state), classes=["am-status", f"am-{state.status}"])


def charts(view: View, other: View | None = None) -> list[str]:
    """Every measure of a run over time, with the null behind it and perhaps a second run beside it."""
    frame = view.state.frame
    if frame is None:
        return []
    marks = {change.at - 1: assigned(change.knobs) for change in view.configuration.changes}
    beside = other.state.frame.series if other is not None and other.state.frame else {}
    found = []
    for name, values in frame.series.items():
        lines = [Line(NULL, view.null.get(name, [])[: view.state.turns + 1]), Line(OTHER, beside.get(name, []))]
        found.append(chart(name, frame.docs[name], [*lines, Line(RUN, values)], view.state.turns, marks))
    return found


@solara.component
def Lines(view: View, other: View | None = None):
    """The charts of a run, with what their lines are."""
    key = '<p class="am-key"><i class="run"></i>this run'
    key += '<i class="other"></i>the other run' if other is not None else ""
    key += '<i class="null"></i>null, same seed' if view.null else ""
    key += '<i class="mark"></i>a condition changed' if view.configuration.changes else ""
    inside = f'{key}</p><div class="am-charts">{"".join(charts(view, other))}</div>'
    solara.HTML(tag="div", classes=["am-card"], unsafe_innerHTML=inside)


@solara.component
def Files(live: Live):
    """What can be saved of a run, made at the click."""
    name = live.configuration.phenomenon

    def series() -> str:
        frame = live.view.state.frame
        return table(frame.series, live.view.null) if frame is not None else ""

    with solara.Row(gap="8px", classes=["am-buttons", "am-files"]):
        solara.FileDownload(series, filename=f"{name}.csv", label="Numbers (CSV)", icon_name="mdi-table")
        solara.FileDownload(
            lambda: sheet(charts(live.view)), filename=f"{name}.svg", label="Charts (SVG)", icon_name="mdi-chart-line"
        )
        with solara.Link(f"/compare?{live.configuration.query()}", nofollow=True):
            solara.Button("Compare with one condition changed", icon_name="mdi-compare-horizontal", text=True)


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


def stands(state: Shown) -> str:
    """What a run is doing, in a word or two."""
    if state.busy and not state.wanted and state.status is Status.PLAYING:
        return "pausing after this turn"
    return "held" if state.held else str(state.status)


def failed(frame: Frame | None) -> str:
    """How many decisions failed, if any did."""
    share = frame.ledger.get("failure_rate", 0.0) if frame is not None else 0.0
    if not share > 0:
        return ""
    number = f"{share:.1%} of the decisions failed; who failed keeps its act"
    return number if frame is None or frame.valid else f"{number}. More than this phenomenon bears: not valid"


def assigned(values) -> str:
    """Knobs as they are written on a command line."""
    return listed(f"{name}={value}" for name, value in values.items())
