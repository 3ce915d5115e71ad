"""What of a run can be taken along as a file: its series as CSV, its charts as one SVG."""

import csv
import io
from collections.abc import Mapping, Sequence

from agentmicro.app.lines import HEIGHT, WIDTH

ACROSS = 2  # charts in a row of the sheet
GAP = 20
STYLE = (
    "text{font:10.5px Helvetica,Arial,sans-serif;fill:#5b6873}.name,.value{font-size:12.5px;fill:#1d2730}"
    ".name{font-weight:600}.value,.tick,.end{text-anchor:end}.none{text-anchor:middle}.grid{stroke:#dde3e8}"
    ".mark{stroke:#cc79a7;stroke-width:1.6;stroke-dasharray:3 2}polyline{fill:none;stroke-width:1.9}"
    "polyline.run{stroke:#0072b2}polyline.other{stroke:#d55e00;stroke-dasharray:5 3}polyline.null{stroke:#8a8a8a}"
    "circle.run{fill:#0072b2}circle.other{fill:#d55e00}circle.null{fill:#8a8a8a}"
)


def table(series: Mapping[str, Sequence[float]], null: Mapping[str, Sequence[float]] | None = None) -> str:
    """Every measure at every turn as CSV, to the last digit, with the null's beside them; NaN where undefined."""
    columns = {**series, **{f"null_{name}": values for name, values in (null or {}).items()}}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["turn", *columns])
    for turn in range(max(map(len, series.values()), default=0)):
        writer.writerow([turn, *(repr(each[turn]) if turn < len(each) else "" for each in columns.values())])
    return text.getvalue()


def sheet(charts: Sequence[str]) -> str:
    """Charts one beside the other as an SVG file that needs no style sheet."""
    rows = -(-len(charts) // ACROSS)
    width, height = ACROSS * (WIDTH + GAP) + GAP, rows * (HEIGHT + GAP) + GAP
    placed = [
        chart.replace(
            "<svg ",
            f'<svg x="{GAP + place % ACROSS * (WIDTH + GAP)}" y="{GAP + place // ACROSS * (HEIGHT + GAP)}" '
            f'width="{WIDTH}" height="{HEIGHT}" ',
            1,
        )
        for place, chart in enumerate(charts)
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">'
        f'<style>{STYLE}</style><rect width="100%" height="100%" fill="#ffffff"/>{"".join(placed)}</svg>\n'
    )
