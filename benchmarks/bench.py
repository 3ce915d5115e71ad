"""What the kernel costs, as ratios within one run: `python -m benchmarks.bench [--quick] [--only NAME] [--out PATH]`.

Each measurement interleaves ours with a plain reference (A B A B ...) and reports the median of the pairwise ratios,
so that a busy machine slows both sides alike. It writes one JSON line per measurement, as soon as it is known, and a
table on standard error at the end. Only ratios travel between machines; the times beside them do not.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks import kernel, whole
from benchmarks.timing import Measurement

type Case = Callable[[bool, int], Iterator[Measurement]]

CASES: Mapping[str, Case] = {
    case.__name__: case
    for case in (
        kernel.herding,
        kernel.imitation,
        kernel.waves,
        kernel.luck,
        kernel.recording,
        whole.building,
        whole.growth,
        whole.age,
        whole.start,
    )
}


def main(arguments: list[str] | None = None) -> int:
    """Runs the benchmarks that are asked for; nothing is judged by the exit code, because times are no tests."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench", description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="the smallest sizes, to see that everything runs")
    parser.add_argument("--only", choices=CASES, action="append", help="one benchmark; may be given several times")
    parser.add_argument("--repeats", type=int, help="pairs of each measurement (default 7, with --quick 2)")
    parser.add_argument("--out", type=Path, help="where the JSON lines go (default: standard output)")
    chosen = parser.parse_args(arguments)
    repeats = chosen.repeats or (2 if chosen.quick else 7)
    found = []
    with chosen.out.open("w", encoding="utf-8") if chosen.out else nullcontext(sys.stdout) as lines:
        for name in chosen.only or CASES:
            for measurement in CASES[name](chosen.quick, repeats):
                found.append(measurement)
                print(json.dumps(asdict(measurement)), file=lines, flush=True)
    Console(stderr=True, width=None if sys.stderr.isatty() else 200).print(table(found))
    return 0


def table(found: list[Measurement]) -> Table:
    """The measurements as a person reads them."""
    drawn = Table("benchmark", "what", "against", "n", "ours", "reference", "unit", "ratio", "aim", "met", "note")
    for row in found:
        spread = "" if row.low is None else f" ({row.low:.2f}-{row.high:.2f})"
        drawn.add_row(
            row.name,
            row.what,
            row.against,
            f"{row.n:,}",
            f"{row.ours:.3g}",
            "" if row.reference is None else f"{row.reference:.3g}",
            row.unit,
            "" if row.ratio is None else f"{row.ratio:.2f}{spread}",
            row.aim,
            {True: "yes", False: "NO", None: ""}[row.met],
            row.note,
        )
    return drawn


if __name__ == "__main__":
    sys.exit(main())
