"""The command that opens the app."""

import socket
from typing import Annotated

import typer

from agentmicro.cli import options
from agentmicro.errors import SpecError


def app(
    what: Annotated[str, typer.Argument(metavar="[PHENOMENON]", help="open its page instead of the gallery")] = "",
    host: Annotated[str, typer.Option(help="which address to listen on")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="which port to listen on")] = 8765,
    no_open: Annotated[bool, typer.Option("--no-open", help="do not open a browser")] = False,
    record: options.RecordAt = None,
    mode: options.ModeIs = "record",
    max_cost: options.MaxCost = None,
    max_tokens: options.MaxTokens = None,
    max_calls: options.MaxCalls = None,
    concurrency: options.Concurrency = None,
    price_in: options.PriceIn = None,
    price_out: options.PriceOut = None,
    transport: options.Via = "",
) -> None:
    """Open the app in a browser: runs live, one condition changed, and why."""
    from agentmicro import phenomena
    from agentmicro.cli.traffic import Traffic, mode_of, settings
    from agentmicro.completion.budget import Ceilings
    from agentmicro.completion.record import Mode
    from agentmicro.completion.session import home

    try:
        from agentmicro.app import serve
    except ImportError:
        raise SpecError("the app is not installed; it comes with the extra agentmicro[app]") from None
    if mode_of(mode) is Mode.OFF:
        raise SpecError(
            "--mode off: expected record or replay, since a cancelled turn is played again from what is kept"
        )
    ceilings = Ceilings(max_cost, max_tokens, max_calls)
    traffic = Traffic(record, mode_of(mode), ceilings, concurrency, price_in, price_out, transport)
    path = f"/run?run={phenomena.name_of(phenomena.find(what))}" if what else "/"
    _free(host, port)
    typer.echo(f"The app is on http://{host}:{port}{path} (Ctrl-C ends it).")
    if host not in serve.LOOPBACK:
        typer.echo(
            f"Anybody who can reach {host} can run simulations here and spend what your keys can pay for; "
            "there is no password.",
            err=True,
        )
    serve.serve(host, port, path, not no_open, settings(traffic, record or home()))


def _free(host: str, port: int) -> None:
    """Refuses a port that is taken, before anything slow begins."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise SpecError(f"--host {host} --port {port}: cannot listen there: {error.strerror}") from None
