"""A comparison times two pieces of work in turn, so that whatever else runs on the machine slows both alike."""

import gc
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from time import perf_counter

type Work = Callable[[], object]
type Pairs = list[tuple[float, float]]

LONG_ENOUGH, TOO_LONG = 0.01, 0.2  # seconds


@dataclass(frozen=True)
class Measurement:
    """One line of the results: what was measured on both sides, their ratio, and whether the aim is met.

    ours and reference are medians in `unit`, ratio is the median of the pairwise ratios, low and high are their
    quartiles. Where there is nothing to compare with, reference and the ratios are None.
    """

    name: str
    what: str
    against: str
    n: int
    repeats: int
    unit: str
    ours: float
    reference: float | None = None
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    aim: str = ""
    met: bool | None = None
    note: str = ""


def seconds(work: Work, calls: int = 1) -> float:
    """The time of one call, as the mean of several."""
    begin = perf_counter()
    for _ in range(calls):
        made = work()
    spent = perf_counter() - begin
    del made  # what the work built is freed outside the clock
    return spent / calls


def interleaved(ours: Work, reference: Work, repeats: int) -> Pairs:
    """Times of both sides, A B A B ..., after one call of each that is not counted.

    Both are called equally often in each repeat, often enough for the faster side to be well above the clock's grain
    unless the slower one would take too long.
    """
    gc.collect()
    slow, fast = sorted((seconds(ours), seconds(reference)), reverse=True)
    calls = max(1, min(ceil(LONG_ENOUGH / fast), int(TOO_LONG / slow)))
    return [(seconds(ours, calls), seconds(reference, calls)) for _ in range(repeats)]


def quartiles(values: list[float]) -> tuple[float, float, float]:
    """The lower quartile, the median and the upper quartile; a single value is all three."""
    if len(values) == 1:
        return values[0], values[0], values[0]
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, middle, high


def compared(
    name: str,
    what: str,
    against: str,
    n: int,
    pairs: Pairs,
    *,
    most: float | None = None,
    unit: str = "s",
    scale: float = 1.0,
    note: str = "",
) -> Measurement:
    """The median of the pairwise ratios with its quartiles, held against the largest ratio aimed at."""
    low, ratio, high = quartiles([mine / theirs for mine, theirs in pairs])
    return Measurement(
        name,
        what,
        against,
        n,
        len(pairs),
        unit,
        statistics.median(mine for mine, _ in pairs) * scale,
        statistics.median(theirs for _, theirs in pairs) * scale,
        ratio,
        low,
        high,
        aim="" if most is None else f"ratio <= {most:g}",
        met=None if most is None else ratio <= most,
        note=note,
    )
