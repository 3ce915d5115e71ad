"""What a command may ask of language models: where replies are kept, what it may cost, and who said yes to that."""

import ipaddress
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import typer

from agentmicro.completion.budget import Budget, Ceilings, Spent
from agentmicro.completion.record import Mode
from agentmicro.errors import SpecError, listed, nearest

if TYPE_CHECKING:
    from agentmicro.completion.session import Settings
    from agentmicro.minds.speaker import Speaker

OWN = ("ollama", "ollama_chat")  # servers that run on whoever asks


@dataclass(frozen=True)
class Traffic:
    """The flags about language models.

    record: where replies are kept. mode: record | replay | off. ceilings: the most that this command may spend, over
    all of its runs. The rest is as in `completion.session.Settings`. yes: whether models that cost money may be asked.
    """

    record: Path | None = None
    mode: Mode = Mode.RECORD
    ceilings: Ceilings = field(default_factory=Ceilings)
    concurrency: int | None = None
    price_in: float | None = None
    price_out: float | None = None
    transport: str = ""
    yes: bool = False


def mode_of(text: str) -> Mode:
    """The mode that a flag names."""
    if text not in list(Mode):
        raise SpecError(f"--mode {text}: expected one of {listed(Mode)}{nearest(text, Mode)}")
    return Mode(text)


@contextmanager
def study(
    traffic: Traffic,
    speakers: "Sequence[Speaker]",
    place: Path | None,
    words: Sequence[str],
    expectation: Callable[[], str],
) -> Iterator[Path | None]:
    """A session for the language minds of a command, and where it keeps their replies; nothing where there are none.

    Before any call it asks for leave to spend money; it says how many calls an earlier kill has cost, and after Ctrl-C
    how to go on. expectation: what the command is likely to cost, in words.
    """
    if not speakers:
        yield None
        return
    from agentmicro.completion.session import Session, home

    path = traffic.record or place or home()
    if traffic.mode is not Mode.REPLAY:
        _allowed(traffic, speakers, expectation)
    with Session(settings(traffic, path)) as session:
        if session.interrupted:
            lost = f"{session.interrupted:,} calls were in flight when this study was last killed"
            typer.echo(f"{lost}: paid for perhaps, lost, and made again", err=True)
        try:
            yield None if traffic.mode is Mode.OFF else path
        except KeyboardInterrupt:
            kept = "" if traffic.mode is Mode.OFF else f"every reply is kept in {path}; "
            typer.echo(f"{kept}to go on: {shlex.join(['agentmicro', *words])}", err=True)
            raise


def settings(traffic: Traffic, path: Path) -> "Settings":
    """The flags as the settings of a session that keeps its replies at a path."""
    from agentmicro.completion.limiter import Limits
    from agentmicro.completion.session import Settings

    return Settings(
        path=path,
        mode=traffic.mode,
        limits=Limits() if traffic.concurrency is None else Limits(traffic.concurrency),
        budget=_budget(traffic, path),
        transport=traffic.transport,
        price_in=traffic.price_in,
        price_out=traffic.price_out,
    )


def _allowed(traffic: Traffic, speakers: "Sequence[Speaker]", expectation: Callable[[], str]) -> None:
    """Refuses what cannot be asked or kept, and asks for leave where money is spent without a ceiling."""
    from agentmicro.completion.prices import price_of

    paid = []
    for speaker in speakers:
        sent = speaker.price_in if traffic.price_in is None else traffic.price_in
        received = speaker.price_out if traffic.price_out is None else traffic.price_out
        price = price_of(None, speaker.model, sent, received)
        if price is None and traffic.ceilings.usd is not None:
            raise SpecError(
                f"--max-cost {traffic.ceilings.usd:g}: the price of {speaker.model} is unknown; give --price-in and "
                "--price-out, or a ceiling with --max-tokens or --max-calls"
            )
        if not _local(speaker, traffic.transport or speaker.transport) and (
            price is None or price.sent or price.received
        ):
            paid.append(speaker.model)
    spending = (traffic.ceilings.usd, traffic.ceilings.tokens, traffic.ceilings.calls)
    if not paid or traffic.yes or any(ceiling is not None for ceiling in spending):
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise SpecError(
            f"{listed(dict.fromkeys(paid))} may cost money: give --yes, or a ceiling with --max-cost, --max-tokens or "
            "--max-calls; --dry-run says what to expect"
        )
    typer.echo(expectation(), err=True)
    if not typer.confirm("Ask now?", err=True):
        raise SpecError("not confirmed, so nobody was asked")


def _local(speaker: "Speaker", transport: str) -> bool:
    """Whether a model runs on this machine; a MindError says what is missing to reach it at all."""
    from agentmicro.completion.routes import route

    found = route(speaker.model, speaker.base_url, transport)
    host = urlsplit(found.base_url or "").hostname or ""
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = host == "localhost"
    return loopback or found.provider in OWN


def _budget(traffic: Traffic, path: Path) -> Budget:
    """The ceilings of each run, and of all runs together above what this record has cost before."""
    if traffic.mode is Mode.REPLAY:
        return Budget()
    before = _paid(path) if traffic.mode is Mode.RECORD else Spent()
    used = {"usd": before.priced_usd, "tokens": before.tokens, "calls": before.calls, "seconds": before.seconds}
    given = {item.name: getattr(traffic.ceilings, item.name) for item in fields(Ceilings)}
    above = {name: None if most is None else most + used[name] for name, most in given.items()}
    return Budget(run=traffic.ceilings, study=Ceilings(**above))


def _paid(path: Path) -> Spent:
    """What a record has cost until now."""
    from agentmicro.completion.record import Record

    if not path.is_file():
        return Spent()
    record = Record(path, read_only=True)
    try:
        return record.total()
    finally:
        record.close()
