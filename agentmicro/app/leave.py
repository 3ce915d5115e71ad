"""The panel about language models: what a run is likely to cost, the leave to ask them, and what it has spent."""

import threading
from collections.abc import Sequence

import solara

from agentmicro.app.live import Live
from agentmicro.app.spending import Purse, expected, names, suggested
from agentmicro.completion.budget import Ceilings, Spent
from agentmicro.completion.session import current
from agentmicro.errors import AgentmicroError
from agentmicro.study.forecast import Forecast, count, usd

EVERY = 0.5  # seconds between two looks at the calls in flight
MOST = 1_000_000.0  # a ceiling is a number that somebody has read


@solara.component
def Leave(lives: Sequence[Live], busy: bool, failures: str = ""):
    """For runs that ask models over the network: the question before the first call, and the account after it."""
    asked = [speaker for live in lives for speaker in live.asked]
    purse = lives[0].purse
    again, set_again = solara.use_state(0)
    if not asked:
        return
    with solara.Column(gap="6px", classes=["am-card", "am-leave"]):
        if purse.free:
            solara.Text(f"Replies of {names(asked)} come from the record; nobody is called and nothing is paid.")
        elif purse.ceilings is None:
            Question(lives, purse, lambda: set_again(again + 1))
        else:
            Account(lives, purse, busy, failures, lambda: set_again(again + 1))


@solara.component
def Question(lives: Sequence[Live], purse: Purse, on_answer):
    """What the runs will ask and cost, and up to what they may."""
    asked = [speaker for live in lives for speaker in live.asked]
    wanted = [(live.configuration, live.second) for live in lives]
    found = solara.lab.use_task(
        lambda: sum((expected(configuration, second) for configuration, second in wanted), Forecast()),
        dependencies=[str(wanted)],
    )
    solara.HTML(tag="h2", unsafe_innerHTML="This run asks language models")
    solara.Text(f"Nobody has been asked yet. It would ask {names(asked)} over the network, with your keys.")
    if found.error:
        solara.Error(f"What it would cost cannot be said: {found.exception}")
    elif found.value is None:
        solara.ProgressLinear(True)
        solara.Text("Its first turns are rehearsed to see what it would cost; nobody is called.", classes=["am-doc"])
    else:
        Terms(found.value, purse, on_answer).key(str(found.value))


@solara.component
def Terms(likely: Forecast, purse: Purse, on_answer):
    """The estimate, the ceiling, and the button that lets the run ask."""
    load, usual = likely.total, suggested(likely)
    priced = usual.usd is not None
    most, set_most = solara.use_state(float(usual.usd if usual.usd is not None else usual.calls or 0))
    problem, set_problem = solara.use_state("")

    def allow() -> None:
        try:
            purse.allow(Ceilings(usd=most) if priced else Ceilings(calls=min(most, MOST)), likely)
            on_answer()
        except AgentmicroError as error:
            set_problem(str(error))

    price = "unknown" if load.cost is None else f"{usd(load.cost)} USD"
    solara.Text(f"Calls: {count(load.calls)}")
    solara.Text(f"Tokens: {count(load.tokens_in)} in, {count(load.tokens_out)} out")
    solara.Text(f"Price: {price}")
    with solara.Row(gap="12px", classes=["am-terms"]):
        unit = "ceiling, USD" if priced else "ceiling, calls"
        solara.InputFloat(unit, value=most, on_value=lambda value: set_most(float(value or 0)))
        solara.Button("Allow up to this ceiling", on_click=allow, color="primary")
    solara.Text(
        "An estimate, not a promise. The ceiling holds for all runs of this page; whatever is answered is recorded and "
        "is not paid for twice.",
        classes=["am-doc"],
    )
    if problem:
        solara.Text(problem, classes=["am-problem"])


@solara.component
def Account(lives: Sequence[Live], purse: Purse, busy: bool, failures: str, on_answer):
    """What has been spent, what is under way, and how to stop it."""
    tick, set_tick = solara.use_state(0)

    def watch(cancel: threading.Event) -> None:
        number = 0
        while busy and not cancel.wait(EVERY):
            number += 1
            set_tick(number)

    solara.use_thread(watch, dependencies=[busy])

    def cancel() -> None:
        for live in lives:
            live.cancel()

    def stop() -> None:
        purse.revoke()
        on_answer()

    del tick
    spent, ceilings = purse.spent, purse.ceilings
    limit = "" if ceilings is None else ceiling(ceilings)
    with solara.Row(gap="12px", classes=["am-buttons"]):
        solara.Text(f"{told(spent)}; {limit}", classes=["am-spent"])
        if busy:
            progress, flying = purse.progress, current().opened().limiter.in_flight
            state = "paused, no new calls are begun" if purse.paused else "asking"
            solara.Text(
                f"{state}: {progress.answered} of {progress.asked} decisions of this turn, {flying} calls in flight",
                classes=["am-status"],
            )
            solara.Button("Cancel turn", on_click=cancel, small=True)
        solara.Button("Change the ceiling", on_click=stop, small=True, text=True)
    if failures:
        solara.Text(failures, classes=["am-problem"])


def told(spent: Spent) -> str:
    """What was spent, in words."""
    price = "price unknown" if spent.cost_usd is None else f"{spent.cost_usd:.4g} USD"
    replayed = f", {spent.replayed:,} from the record" if spent.replayed else ""
    return f"{spent.calls:,} calls{replayed}, {spent.tokens_in:,} tokens in, {spent.tokens_out:,} out, {price}"


def ceiling(ceilings: Ceilings) -> str:
    """A ceiling in words."""
    return f"at most {ceilings.usd:g} USD" if ceilings.usd is not None else f"at most {ceilings.calls or 0:,.0f} calls"
