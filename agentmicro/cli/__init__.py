"""The command line: run, study, check, list, show, new, record, doctor.

Exit codes: 0 good; 1 bad input, or a claim that is not held; 2 finished, but too many decisions failed for the runs to
count as evidence; 3 a ceiling was reached, and the same command goes on; 130 interrupted, 143 told to end. What is
wrong is one sentence on stderr.
"""

import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer

from agentmicro.cli import dotenv
from agentmicro.cli.commands import BAD, GOOD, app
from agentmicro.errors import AgentmicroError

UsageError: Any = typer.BadParameter.__bases__[0]  # click's own, or the copy of click that a newer Typer carries

REACHED, INTERRUPTED = 3, 130


def main(args: Sequence[str] | None = None) -> int:
    """Runs a command line and returns its exit code; what is wrong becomes one sentence on stderr."""
    words = list(sys.argv[1:] if args is None else args)
    try:
        dotenv.load(Path.cwd())
        command = typer.main.get_command(app)
        code = command.main(words or ["--help"], prog_name="agentmicro", standalone_mode=False, obj=words)
        sys.stdout.flush()
    except (AgentmicroError, UsageError, OSError, MemoryError) as error:
        return _failed(error, words)
    except KeyboardInterrupt:
        code = INTERRUPTED
    if code == INTERRUPTED:
        typer.echo("interrupted", err=True)
    return int(code or GOOD)


def _failed(error: Any, words: Sequence[str]) -> int:
    if isinstance(error, BrokenPipeError):
        # Whoever read has had enough, which is no error; the interpreter must not flush into the closed pipe at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BAD
    if isinstance(error, AgentmicroError):
        from agentmicro.completion import BudgetReached

        if isinstance(error, BudgetReached):
            typer.echo(f"stopped: {error}\nto go on: {shlex.join(['agentmicro', *words])}", err=True)
            return REACHED
    text = error.format_message() if isinstance(error, UsageError) else str(error)
    if isinstance(error, MemoryError):
        text = f"not enough memory: {error}"
    elif isinstance(error, OSError):
        text = f"{error.filename}: {error.strerror}" if error.filename else str(error)
    typer.echo(f"error: {' '.join(text.split())}", err=True)
    return BAD


__all__ = ["app", "main"]
