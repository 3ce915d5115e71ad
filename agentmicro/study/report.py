"""The report of a study: one self-contained HTML page, Markdown, and the figures beside it as SVG and PNG.

    OUT/report.html      everything in one file: no network, no script; light and dark, on a screen and on paper
    OUT/report.md        the same as Markdown, with OUT/figures/
    OUT/figures/NAME.*   every figure as SVG and PNG

The same study and the same tables give the same bytes. Texts that a user or a model wrote are escaped everywhere.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from agentmicro.errors import SpecError
from agentmicro.study import charts, forest, maps, pages, sections
from agentmicro.study.canvas import Plate
from agentmicro.study.curves import by_knob
from agentmicro.study.results import Study

if TYPE_CHECKING:
    from pandas import DataFrame

HTML, MARKDOWN, FIGURES = "report.html", "report.md", "figures"


def write(study: Study, tables: Mapping[str, "DataFrame"], into: Path) -> list[Path]:
    """Writes the report of a study into a folder and returns the files; those of an earlier report are replaced."""
    try:
        page = sections.page(study, tables, plates(study, tables))
        texts = {HTML: pages.as_html(page), MARKDOWN: pages.as_markdown(page, FIGURES)}
    except ImportError as error:
        raise SpecError(f"a report needs {error.name}, which comes with the extra agentmicro[study]") from None
    figures = into / FIGURES
    figures.mkdir(parents=True, exist_ok=True)
    files = {into / name: text.encode() for name, text in texts.items()}
    for plate in page.plates:
        files |= {figures / f"{plate.name}.svg": plate.svg.encode(), figures / f"{plate.name}.png": plate.png}
    for old in (*figures.glob("*.svg"), *figures.glob("*.png")):
        if old not in files:
            old.unlink()
    for path, content in files.items():
        path.write_bytes(content)
    return list(files)


def plates(study: Study, tables: Mapping[str, "DataFrame"]) -> dict[str, list[Plate]]:
    """The figures of a report by the section they stand in; a table that is missing or empty has none."""
    given = {name: frame for name, frame in tables.items() if len(frame)}
    if "dose" in given:
        grow = study.scenario.grow
        given["dose"] = by_knob(given["dose"], (*grow.vary, *grow.ranges))
    dose, side_effects = given.get("dose"), given.get("side_effects")
    drawings: dict[str, tuple[str, Callable[[DataFrame], list[Plate]]]] = {
        "growing": ("dose", lambda frame: charts.doses(study, frame)),
        "thresholds": ("thresholds", lambda frame: charts.thresholds(study, frame, dose)),
        "identification": ("effects", lambda frame: forest.effects(study, frame)),
        "sensitivity": ("sensitivity", lambda frame: forest.sensitivity(study, frame)),
        "interventions": ("arms", lambda frame: forest.arms(study, frame, side_effects)),
        "attack": ("attacks", lambda frame: maps.attacks(study, frame)),
    }
    found = {key: draw(given[name]) if name in given else [] for key, (name, draw) in drawings.items()}
    found["growing"] = [*charts.trajectories(study), *found["growing"]]
    found["interventions"] = [*found["interventions"], *charts.arms_over_turns(study)]
    return found
