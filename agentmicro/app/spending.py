"""What a page may spend on language models: nothing until somebody says so there, and then up to a ceiling.

A link alone asks nobody. The leave that is given holds for the runs of one page, and every batch of calls is cut to
what is left of it; replies that are in the record cost nothing and need no key.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, inf, isfinite

from agentmicro.app.configuration import Configuration
from agentmicro.completion import Provider, Reply, Request, Scripted
from agentmicro.completion.budget import Account, BudgetReached, Ceilings, Spent
from agentmicro.completion.loop import Cancelled
from agentmicro.completion.record import Mode
from agentmicro.completion.session import current
from agentmicro.errors import SpecError, listed
from agentmicro.knobs import Scalar
from agentmicro.minds import LanguageMind
from agentmicro.minds.speaker import Speaker
from agentmicro.society import Society
from agentmicro.study.forecast import Forecast, forecast
from agentmicro.study.plan import speaking


def arms(configuration: Configuration, other: bool = False) -> list[dict[str, Scalar]]:
    """Every knob at the start of a run, and after each change on the way."""
    found = [configuration.cls.checked({**configuration.knobs, **(configuration.other if other else {})})]
    for change in configuration.changes:
        found.append({**found[-1], **change.knobs})
    return found


def speakers(configuration: Configuration, other: bool = False) -> tuple[Speaker, ...]:
    """Who would be asked over the network, at the start or after a change on the way."""
    return speaking(configuration.cls, arms(configuration, other))


def expected(configuration: Configuration, other: bool = False) -> Forecast:
    """What a run is likely to ask, from the first of its arms that asks anybody; nobody is called to find out."""
    cls = configuration.cls
    spoken = (arm for arm in arms(configuration, other) if speaking(cls, [arm]))
    arm = next(spoken, None)
    return Forecast() if arm is None else forecast(cls, arm, configuration.seed, configuration.turns)


@dataclass(frozen=True)
class Progress:
    """How far the turn that is under way has come: decisions asked for and decisions answered."""

    asked: int = 0
    answered: int = 0


class Purse:
    """The leave of one page to spend, and what its runs have spent.

    A run that would ask somebody is held until `allow`; what was confirmed is a ceiling over all runs of the page.
    """

    def __init__(self) -> None:
        self.ceilings: Ceilings | None = None
        self.price = 0.0
        self.progress = Progress()
        self._accounts: list[Account] = []
        self._resumed = threading.Event()
        self._resumed.set()
        self._dropped = False

    @property
    def free(self) -> bool:
        """Whether replies come from the record alone, so that there is nothing to allow."""
        return current().settings.mode is Mode.REPLAY

    @property
    def spent(self) -> Spent:
        """What the runs of this page have spent, those that were thrown away included."""
        return sum((account.spent for account in tuple(self._accounts)), Spent())

    @property
    def paused(self) -> bool:
        """Whether no new calls are begun."""
        return not self._resumed.is_set()

    def allow(self, ceilings: Ceilings, likely: Forecast | None = None) -> None:
        """Lets the runs of this page ask, up to a ceiling in USD or in calls."""
        if ceilings.usd is None and ceilings.calls is None:
            raise SpecError("no ceiling: expected the most that may be spent, in USD or in calls")
        load = (likely or Forecast()).total
        if ceilings.usd is not None and load.cost is None:
            raise SpecError("a ceiling in USD cannot be kept, since the price is unknown: give one in calls")
        calls = load.calls.about
        self.price = load.cost.high / calls if load.cost is not None and calls else 0.0
        self.ceilings = ceilings

    def revoke(self) -> None:
        """Takes the leave back: the next batch of calls is not begun."""
        self.ceilings = None

    def pause(self) -> None:
        """Begins no new calls; those in flight are awaited and kept."""
        self._resumed.clear()

    def resume(self) -> None:
        """Begins new calls again."""
        self._resumed.set()

    def drop(self) -> None:
        """Ends a pause without a further call: the turn that waits in it is cancelled."""
        self._dropped = self.paused
        self._resumed.set()

    def hold(self, model: Society, asked: Sequence[Speaker]) -> str:
        """Why the next turn may not begin, in a sentence, or nothing; called on the thread that steps the model."""
        self._dropped = False
        if not asked:
            return ""
        if model.account not in self._accounts:
            self._accounts.append(model.account)
        if self.free:
            return ""
        for mind in model.minds:
            if isinstance(mind, LanguageMind) and not isinstance(mind.provider, Scripted | Guarded):
                mind.provider = Guarded(mind.provider, self)
        return self.reached()

    def reached(self) -> str:
        """Why no further call may be made, in a sentence; empty if one may."""
        if self.ceilings is None:
            return "Nobody has been asked yet: allow the calls first."
        found = self.ceilings.reached(self.spent)
        return f"The ceiling of this page is reached ({found}); allow more to go on from here." if found else ""

    def room(self) -> int:
        """How many calls may be begun at once; BudgetReached where it is none."""
        reason = self.reached()
        if reason:
            raise BudgetReached(reason)
        assert self.ceilings is not None
        spent, most = self.spent, float(current().settings.limits.concurrency)
        if self.ceilings.calls is not None:
            most = min(most, self.ceilings.calls - spent.calls)
        if self.ceilings.usd is not None:
            mean = spent.priced_usd / spent.calls if spent.calls else self.price
            most = min(most, (self.ceilings.usd - spent.priced_usd) / mean if mean else inf)
        return max(1, int(most))

    def wait(self) -> None:
        """Waits for as long as the page is paused; Cancelled where the turn is dropped meanwhile."""
        self._resumed.wait()
        if self._dropped:
            raise Cancelled("the turn was cancelled while it was paused")


class Guarded:
    """A provider whose calls are begun in batches, so that a pause and a ceiling act within a turn."""

    def __init__(self, inner: Provider, purse: Purse) -> None:
        self.inner = inner
        self.purse = purse

    def check(self) -> None:
        """Raises where a ceiling of the session is reached."""
        self.inner.check()

    def complete(self, requests: Sequence[Request]) -> list[Reply]:
        """One reply for each request, in order."""
        replies: list[Reply] = []
        while len(replies) < len(requests):
            self.purse.progress = Progress(len(requests), len(replies))
            self.purse.wait()
            replies += self.inner.complete(requests[len(replies) : len(replies) + self.purse.room()])
        self.purse.progress = Progress()
        return replies


def suggested(likely: Forecast) -> Ceilings:
    """A ceiling that the run is likely to stay below: in USD where the price is known, else in calls."""
    load = likely.total
    if load.cost is not None and isfinite(load.cost.high) and load.cost.high > 0:
        return Ceilings(usd=ceil(load.cost.high * 100) / 100)
    return Ceilings(calls=ceil(load.calls.high))


def names(asked: Sequence[Speaker]) -> str:
    """The models that are asked, in words."""
    return listed(dict.fromkeys(speaker.model for speaker in asked))
