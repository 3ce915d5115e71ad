"""`agentmicro panels`: the figures of several studies as one."""

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from agentmicro.study.results import Study

Studies = Annotated[list[str], typer.Argument(metavar="STUDY...", help="folders of studies, or scenarios to grow now")]
Out = Annotated[Path, typer.Option(metavar="FILE", help="where to draw: .svg, .png or .pdf")]


def panels(studies: Studies, out: Out) -> None:
    """Draw one figure with a small panel for each study: its outcome against the first knob that it varied."""
    from agentmicro.study import panels as drawing

    with tempfile.TemporaryDirectory() as folder:
        made = [Path(text) if (Path(text) / "study.json").is_file() else grown(text, Path(folder)) for text in studies]
        typer.echo(f"Drawn to {drawing.panels(made, out)}.")


def grown(name: str, folder: Path) -> "Study":
    """The study of a scenario's sweep alone, without its arms, attacks and claims."""
    from agentmicro.study.growing import grow
    from agentmicro.study.progress import Watch
    from agentmicro.study.scenario import load
    from agentmicro.study.spec import Identify, Validate

    scenario = load(name)
    bare = replace(
        scenario, identify=Identify(), thresholds=(), intervene={}, attack=None, validate=Validate(), claims=()
    )
    with Watch(scenario.name) as progress:
        return grow(bare, folder / scenario.name, progress=progress)
