"""`agentmicro panels`: the figures of several studies as one."""

from pathlib import Path
from typing import Annotated

import typer

Folders = Annotated[list[Path], typer.Argument(metavar="STUDY_DIR...", help="folders that `study --out` has written")]
Out = Annotated[Path, typer.Option(metavar="FILE", help="where to draw: .svg, .png or .pdf")]


def panels(folders: Folders, out: Out) -> None:
    """Draw one figure with a small panel for each study: its outcome against the first knob that it varied."""
    from agentmicro.study import panels as drawing

    typer.echo(f"Drawn to {drawing.panels(folders, out)}.")
