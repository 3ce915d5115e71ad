"""Text as it is printed: numbers, and what somebody else wrote, without markup of its own and not too long."""

import re
import unicodedata
from math import isfinite

from agentmicro.study.tables import number

AS_IT_IS = "as it is"  # what the unchanged scenario is called beside its arms
LONGEST = 1_000  # letters of one text; what a model said may be a megabyte
HIDDEN = ("Cc", "Cf", "Cs", "Co", "Cn")  # control, direction, half a pair, private, nobody's
MARKS = re.compile(r"([\\`*_\[\]|~#$!])")


def told(text: object, most: int = LONGEST) -> str:
    """The text without letters that cannot be seen, on any number of lines, cut with a word on how long it was."""
    whole = str(text)
    shown = "".join(
        letter if letter == "\n" or unicodedata.category(letter) not in HIDDEN else " " for letter in whole[:most]
    )
    return shown if len(whole) <= most else f"{shown.rstrip()} … ({len(whole):,} letters)"


def marked(text: object) -> str:
    """The text as Markdown shows it word by word: nothing in it becomes a link, an image, a heading or HTML."""
    line = " ".join(told(text).split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    line = MARKS.sub(r"\\\1", line)
    return re.sub(r"^([-+]|\d+[.)])(?=\s|$)", lambda found: f"{found[1][:-1]}\\{found[1][-1]}", line)


def spanned(mean: float, low: float, high: float) -> str:
    """An estimate with its interval; alone where that is not known."""
    return f"{amount(mean)} ({amount(low)} to {amount(high)})" if isfinite(low) and isfinite(high) else amount(mean)


def amount(value: float) -> str:
    """A number in four digits with the minus sign that print uses; a dash where it is undefined."""
    return number(value).replace("-", "−", 1) if value < 0 else number(value)
