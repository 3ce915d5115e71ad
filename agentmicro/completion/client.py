"""The provider that asks real models: first the record, then the servers, and every reply is kept before it is used.

What is recorded, and when. A reply or a refusal is committed as soon as it comes. A decision that failed for good is
committed too, as a failure, together with the others of its batch and before the batch is handed back: the run goes on
from it, later prompts depend on it, and a replay that asked again could be answered and would be another run. A batch
that stops (Ctrl-C, a budget, no access, a full disk) hands nothing back, so its failures are not recorded and the same
command asks for them again. `agentmicro.completion.archive.prune(failed=True)` forgets recorded failures.
"""

import asyncio
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from agentmicro.completion.budget import OVERRUN, Account, Spent, spent
from agentmicro.completion.loop import run
from agentmicro.completion.record import Item, Mode, identity
from agentmicro.completion.redact import redacted, secrets, unkeyed
from agentmicro.completion.retry import Answer, Halt, ask
from agentmicro.completion.seam import CallError, Fault, Reply, Request
from agentmicro.completion.session import Opened, Session, current
from agentmicro.errors import AgentmicroError, SpecError, listed

type Place = tuple[str, str]  # the key of a request, and its frame

WORKERS = 4  # requests under way for each call that may be in flight: the others wait for another try or for a commit
HOLDS_KEYS = frozenset(
    ("api_key", "apikey", "api-key", "authorization", "headers", "extra_headers", "password", "token", "secret")
)


class ProviderError(AgentmicroError):
    """A provider answers nobody: the run stops instead of failing each decision; what was answered is recorded."""


class Client:
    """A provider that asks models over the network, under the record, the limits and the budget of a session.

    session: the one to use; without one, the current session of each moment. account: what the run has spent; the minds
    of one society share one. A client holds no connection, so it can be copied and sent to another process.
    """

    def __init__(self, session: Session | None = None, account: Account | None = None) -> None:
        self.session = session
        self.account = account if account is not None else Account()

    @property
    def spent(self) -> Spent:
        """What the run has spent until now."""
        return self.account.spent

    def check(self) -> None:
        """Raises BudgetReached where a ceiling is reached: to be called between turns."""
        session = self.session or current()
        if session.settings.budget.bounded:
            session.settings.budget.check(self.account.spent, session.total())

    def complete(self, requests: Sequence[Request]) -> list[Reply]:
        """One reply for each request, in order: from the record where it has one, else from the model and recorded.

        A decision that fails is a reply with its error. What would fail every decision is an exception: ProviderError,
        BudgetReached, RecordError, or in a replay ReplayMiss.
        """
        _hold_no_keys(requests)
        session = self.session or current()
        opened = session.opened()
        record = opened.record
        places = (
            [(str(index), "") for index in range(len(requests))] if record is None else list(map(identity, requests))
        )
        found = {} if record is None else record.find([key for key, _ in places])
        missing = {place: request for place, request in zip(places, requests, strict=True) if place[0] not in found}
        self.account.add(Spent(replayed=len(places) - len(missing)))
        if missing:
            if record is not None and session.settings.mode is Mode.REPLAY:
                raise record.miss(next(iter(missing.values())))
            found.update(self._asked(opened, missing))
        replies = [found[key] for key, _ in places]
        self.account.used(replies)
        return replies

    def _asked(self, opened: Opened, missing: Mapping[Place, Request]) -> dict[str, Reply]:
        asking = _Asking(opened, missing, self.account)
        try:
            return run(asking.all())
        except BaseException:
            if opened.record is not None:
                opened.record.flush()
            raise
        finally:
            self.account.add(asking.spent)
            opened.spent += asking.spent


class _Asking:
    """The requests of one batch that no record answers."""

    def __init__(self, opened: Opened, missing: Mapping[Place, Request], account: Account) -> None:
        self.opened = opened
        self.missing = missing
        self.account = account
        self.spent = Spent()
        self.halt = Halt()
        self.found: dict[str, Reply] = {}
        self.failures: list[tuple[Item, CallError | None]] = []
        self.keys = secrets()
        self.study = opened.total() if opened.settings.budget.bounded else Spent()
        self.transports = {place: opened.transport(request) for place, request in missing.items()}

    async def all(self) -> dict[str, Reply]:
        """Every reply, after the last of them is recorded."""
        waiting = iter(self.missing.items())
        workers = min(len(self.missing), WORKERS * self.opened.settings.limits.concurrency)
        self.halt.asking = {asyncio.ensure_future(self._work(waiting)) for _ in range(workers)}
        await asyncio.gather(*self.halt.asking, return_exceptions=True)
        if self.halt.reason is None and self.failures:
            await self._fail()
        if self.halt.reason is not None:
            raise self.halt.reason
        return self.found

    async def _work(self, waiting: Iterator[tuple[Place, Request]]) -> None:
        settings = self.opened.settings
        for place, request in waiting:
            try:
                self._afford()
                answer = await ask(request, self.transports[place], self.opened.limiter, settings.patience, self.halt)
                if answer is None:
                    return
                await self._settle(Item(*place, request, self._clean(request, answer.reply)), answer)
            except AgentmicroError as error:
                self.halt(error)
            except Exception as error:
                self.halt(_broken(request, error))
            if self.halt.reason is not None:
                return

    def _afford(self) -> None:
        budget = self.opened.settings.budget
        if budget.bounded:
            budget.check(self.account.spent + self.spent, self.study + self.spent, OVERRUN)

    async def _settle(self, item: Item, answer: Answer) -> None:
        self.spent += spent((item.reply,))
        if answer.fault is None:
            self.opened.health(item.request).well()
            self.found[item.key] = (await self._keep([item]))[0]
            self.opened.limiter.board.settled()
        else:
            self.failures.append((item, answer.fault))
            self._judge(item, answer.fault)

    def _judge(self, item: Item, fault: CallError) -> None:
        health = self.opened.health(item.request)
        health.streak += 1
        if fault.status == 401 or (fault.fault is Fault.AUTH and not health.answered):
            raise ProviderError(f"{item.request.model}: {item.reply.error}")
        if fault.passing and (fault.retry_after or 0.0) >= self.opened.settings.patience.decision_seconds:
            raise ProviderError(f"{item.request.model}: {item.reply.error}; give the same command again then")
        if health.streak >= self.opened.settings.give_up:
            raise ProviderError(
                f"{item.request.model}: the last {health.streak} decisions got no answer, and the last one says "
                f"{item.reply.error!r}; what was answered is recorded: give the same command again to go on"
            )

    async def _fail(self) -> None:
        """The failures of the batch become data, unless they say that nobody is there who could ever answer."""
        for item, fault in self.failures:
            hopeless = fault is not None and fault.fault in (Fault.CONNECTION, Fault.REQUEST)
            if hopeless and not self.opened.health(item.request).answered:
                self.halt(ProviderError(f"{item.request.model}: {item.reply.error}"))
                return
        items = [item for item, _ in self.failures]
        self.found.update(zip((item.key for item in items), await self._keep(items), strict=True))

    async def _keep(self, items: Sequence[Item]) -> list[Reply]:
        record = self.opened.record
        if record is None:
            return [item.reply for item in items]
        return await record.keep(items, more=self.opened.limiter.in_flight > 0)

    def _clean(self, request: Request, reply: Reply) -> Reply:
        """The reply as it may be kept: without keys, in characters that can be written, and with its price."""
        text = unkeyed(reply.text, self.keys)
        if not text.isascii():
            text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        error = redacted(reply.error, self.keys) if reply.error else ""
        if text != reply.text or error != reply.error:
            reply = replace(reply, text=text, error=error)
        return self.opened.priced(request, reply)


def _hold_no_keys(requests: Sequence[Request]) -> None:
    for request in requests:
        if not HOLDS_KEYS.isdisjoint(name.lower() for name in request.options):
            named = sorted(name for name in request.options if name.lower() in HOLDS_KEYS)
            raise SpecError(
                f"{request.model}: the option {listed(named)} would write a key into the record; "
                "put the key into the provider's environment variable"
            )


def _broken(request: Request, error: Exception) -> ProviderError:
    """Names the place and the kind, and not the words, which may hold a header."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return ProviderError(
        f"{request.model}: the transport raised {type(error).__name__} in {last.name}, line {last.lineno}, where only "
        "a CallError may leave it: this is a bug"
    )


__all__ = ["Client", "ProviderError"]
