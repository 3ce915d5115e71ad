"""`agentmicro record`: look at a record of replies, ship it with a paper, take one in, forget parts of it."""

import json
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from agentmicro.cli.options import Json

records = typer.Typer(help="Look at a record of replies, ship it, take one in, forget parts of it.")

Kept = Annotated[Path, typer.Argument(metavar="PATH", help="the record, such as DIR/record.sqlite")]
Lines = Annotated[Path, typer.Argument(metavar="FILE", help="one reply a line, as JSON")]


@records.command()
def show(path: Kept, as_json: Json = False) -> None:
    """Show what a record holds and has cost, by model and by how the calls ended."""
    from agentmicro.completion import archive

    lines = archive.show(path)
    if as_json:
        found = [
            {
                "model": line.model,
                "status": str(line.status),
                "replies": line.replies,
                "calls": line.spent.calls,
                "tokens_in": line.spent.tokens_in,
                "tokens_out": line.spent.tokens_out,
                "tokens_cached": line.spent.tokens_cached,
                "cost_usd": line.spent.cost_usd,
            }
            for line in lines
        ]
        typer.echo(json.dumps(found))
        return
    from agentmicro.study import tables

    table = tables.grid("model", "ended", ">replies", ">calls", ">tokens in", ">cached", ">out", ">USD")
    for line in lines:
        spent = line.spent
        counts = (line.replies, spent.calls, spent.tokens_in, spent.tokens_cached, spent.tokens_out)
        cost = "unknown" if spent.cost_usd is None else f"{spent.cost_usd:.4f}"
        table.add_row(line.model, str(line.status), *(f"{count:,}" for count in counts), cost)
    tables.console().print(table)


@records.command()
def export(path: Kept, file: Lines) -> None:
    """Write a record as JSON lines: what a paper ships, so that others re-run it offline."""
    from agentmicro.completion import archive

    typer.echo(f"{archive.export(path, file):,} replies written to {file}.")


@records.command(name="import")
def import_(path: Kept, file: Lines) -> None:
    """Take an exported record into another, made if it isn't there."""
    from agentmicro.completion import archive

    typer.echo(f"{archive.load(path, file):,} new replies in {path}.")


@records.command()
def prune(
    path: Kept,
    model: Annotated[str | None, typer.Option(help="of this model")] = None,
    seed: Annotated[int | None, typer.Option(help="of runs with this seed")] = None,
    before: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"], help="older than this, local time")
    ] = None,
    failed: Annotated[bool, typer.Option("--failed", help="calls that failed, so that they are made again")] = False,
) -> None:
    """Forget the replies that meet all conditions given, so that they are asked for again."""
    from agentmicro.completion import archive

    gone = archive.prune(path, model, seed, None if before is None else before.timestamp(), failed)
    typer.echo(f"{gone:,} replies forgotten in {path}.")
