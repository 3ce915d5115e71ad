"""Reading what language models write: the repairs that every kind of act shares.

A repair is named in `Parsed.how`, so that a run can count them:

    space      white space around or inside the answer
    case       letter case
    marks      quotes, backticks, asterisks, brackets, bullets, final punctuation
    fence      a code fence around the answer
    json       JSON around an answer that was asked for in words
    key        a JSON object whose single key is not the one asked for
    bare       the JSON value without its object
    extra      further keys, which are dropped
    type       another JSON type (2 for "2")
    label      the label of an option instead of the option
    prose      a sentence around the answer
    separators the commas of 1,000
    repeat     the same pick twice
    lines      one line per name instead of a JSON object

Every pattern here is linear in the text, and what is searched rather than decoded is at most `LONGEST` characters.
"""

import json
import re
import reprlib
import unicodedata
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from agentmicro.errors import ReplyError

LONGEST: Final = 100_000
"""How many characters of a reply are searched for an answer; a longer reply is a `ReplyError`."""

MISSING: Final = object()
"""No JSON here (None is a JSON value)."""

NOTHING: Final = frozenset({"none", "null", "nil", "undefined"})
PAIRS: Final = {'"': '"', "'": "'", "`": "`", "*": "*", "_": "_", "“": "”", "‘": "’", "«": "»", "(": ")", "[": "]"}
FINAL: Final = ".,;:!?…。！？"
MARKS: Final = "\"'`*_“”‘’«»" + FINAL
BULLET: Final = re.compile(r"(?:[-–—•*+]|\(?\d{1,6}[.)])\s+")
NEGATION: Final = re.compile(r"\b(?:not|never|neither|nor|cannot|refuse|reject|avoid|except|against)\b|n['’]t\b")
LAYERS: Final = 32
TRIES: Final = 64


class Parsed(NamedTuple):
    """A value read from a reply, whether the reply had to be repaired, and the names of the repairs."""

    value: Any
    repaired: bool = False
    how: tuple[str, ...] = ()


def parsed(value: Any, *how: str) -> Parsed:
    """A value with the repairs that led to it, each named once."""
    return Parsed(value, bool(how), tuple(dict.fromkeys(how)))


def quoted(text: object) -> str:
    """A text as an error message shows it: in quotes, and short."""
    words = text if isinstance(text, str) else reprlib.repr(text)
    words = words if len(words) <= 80 else f"{words[:77]}..."
    return repr(words) if isinstance(text, str) else words


def fold(text: str) -> str:
    """The text without its letter case and with single spaces."""
    return " ".join(unicodedata.normalize("NFC", text).casefold().split())


def bare(text: str) -> str:
    """The text without the marks around it; a text of marks only stays as it is."""
    return text.strip().strip(MARKS).strip() or text


def is_nothing(text: str) -> bool:
    """Whether the text stands for no reply at all: empty, or what a program prints for a missing value."""
    return not text.strip() or fold(text) in NOTHING


def layers(text: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The text with ever fewer outer marks, one layer at a time, and the repairs so far.

    Layer by layer, because an option may itself end with a mark: `"Stop!"` in quotes is `Stop!` before it is `Stop`.
    """
    how: dict[str, None] = {}
    for _ in range(LAYERS):
        yield text, tuple(how)
        name = "marks"
        if text != text.strip():
            text, name = text.strip(), "space"
        elif len(text) > 2 and PAIRS.get(text[0]) == text[-1]:
            text = text[1:-1]
        elif len(text) > 1 and text[-1] in FINAL:
            text = text[:-1]
        elif bullet := BULLET.match(text):
            text = text[bullet.end() :]
        else:
            return
        how[name] = None


def unfenced(text: str) -> str | None:
    """What stands inside a code fence that is the whole text; None without such a fence."""
    first, line_break, rest = text.strip().partition("\n")
    fence = first[: len(first) - len(first.lstrip(first[:1]))]
    if not line_break or len(fence) < 3 or fence[0] not in "`~" or not rest.endswith(fence):
        return None
    inside = rest.removesuffix(fence).removesuffix("\n")
    return inside if inside.strip() and fence not in inside else None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; one that gives a key twice is not read, because it says two things."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key occurs twice")
    return found


def _constant(name: str) -> Any:
    """NaN and the infinities are no JSON."""
    raise ValueError(f"{name} is no JSON")


# Line breaks inside JSON strings are the most common slip of models, and harmless.
_DECODER: Final = json.JSONDecoder(strict=False, object_pairs_hook=_object, parse_constant=_constant)


def whole_json(text: str) -> Any:
    """The JSON value that the whole text is, or MISSING."""
    try:
        return _DECODER.decode(text.strip())
    except (ValueError, RecursionError):
        return MISSING


def inner_json(text: str) -> list[dict[str, Any]]:
    """The JSON objects inside prose, in order; the first `TRIES` braces are tried."""
    found: list[dict[str, Any]] = []
    start = text.find("{")
    for _ in range(TRIES):
        if start < 0:
            break
        try:
            value, end = _DECODER.raw_decode(text, start)
            found.append(value)
        except (ValueError, RecursionError):
            end = start + 1
        start = text.find("{", end)
    return found


def unwrap(raw: Any, kind: str) -> tuple[Any, tuple[str, ...]]:
    """The answer inside a JSON object: under the key asked for, or under the only key there is."""
    if not isinstance(raw, dict):
        return raw, ("bare",)
    if kind in raw:
        return raw[kind], () if len(raw) == 1 else ("extra",)
    if len(raw) == 1:
        return next(iter(raw.values())), ("key",)
    raise ReplyError(f"the reply is a JSON object with the keys {quoted(list(raw))}; expected the one key {kind!r}")


def scalar_text(raw: Any) -> tuple[str, tuple[str, ...]]:
    """A JSON string, or the text of another JSON scalar."""
    if isinstance(raw, str):
        return raw, ()
    if raw is None:
        raise ReplyError("the reply is empty")
    if isinstance(raw, bool | int | float):
        return json.dumps(raw), ("type",)
    raise ReplyError(f"the reply holds {quoted(raw)} where one text was expected")


def answered(
    text: str,
    direct: Callable[[str], Parsed | None],
    read: Callable[[Any], Parsed],
    prose: Callable[[str], Parsed],
    longest: int = LONGEST,
) -> Parsed:
    """Reads a reply the way a patient reader does: as asked, then as JSON, then as a sentence with one answer in it.

    JSON that can be decoded is taken at its word: when it holds no valid answer, the prose around it is not searched.
    """
    capped(text, longest)
    inside = unfenced(text)
    found = direct(text)
    if found and (inside is None or not found.repaired):
        return found
    if is_nothing(text):
        raise ReplyError("the reply is empty")
    fence = () if inside is None else ("fence",)
    inside = text if inside is None else inside
    if fence and (found := direct(inside)):
        return parsed(found.value, *fence, *found.how)
    if is_nothing(inside):
        raise ReplyError("the reply is empty")
    raw = whole_json(inside)
    if raw is not MISSING:
        found = read(raw)
        return parsed(found.value, *fence, "json", *found.how)
    objects = inner_json(inside)
    found = agreed([read(raw) for raw in objects]) if objects else prose(inside)
    return parsed(found.value, *fence, *(("json", "prose") if objects else ()), *found.how)


def agreed(answers: list[Parsed]) -> Parsed:
    """The one answer of several readings; readings that differ are a `ReplyError`."""
    first = answers[0]
    for other in answers:
        if other.value != first.value:
            raise ReplyError(f"the reply holds the answers {quoted(first.value)} and {quoted(other.value)}; give one")
    return first


def given(text: object) -> None:
    """Refuses what is no text."""
    if text is None:
        raise ReplyError("the reply is empty")
    if not isinstance(text, str):
        raise ReplyError(f"the reply is {quoted(text)}, which is no text")


def capped(text: str, longest: int = LONGEST) -> None:
    """Refuses a text too long to be searched."""
    given(text)
    if len(text) > longest:
        raise ReplyError(f"the reply has {len(text):,} characters; at most {longest:,} are read")


def unmarked(head: str, rest: str) -> tuple[str, str]:
    """The two sides of `- **name:** text` without its bullet and without the marks that close after the colon."""
    bullet = BULLET.match(head.lstrip())
    head = head.lstrip()[bullet.end() :] if bullet else head.strip()
    opened = head[: len(head) - len(head.lstrip("*_`"))]
    if opened and rest.startswith(opened) and not head.endswith(opened):
        rest = rest.removeprefix(opened)
    return head.strip("*_`"), rest


def sections[Name](text: str, known: Callable[[str], Name | None]) -> tuple[str, list[tuple[Name, str]]]:
    """Splits `name: text` lines: what stands before the first known name, and the text under each name."""
    before: list[str] = []
    found: list[tuple[Name, list[str]]] = []
    for line in text.split("\n"):
        head, colon, rest = line.partition(":")
        name = None
        if colon and len(head) <= 1000:
            inner, after = unmarked(head, rest)
            # Marks that close after the colon are marks for sure; others may belong to the name.
            name = known(head) if after == rest else None
            if name is None:
                name, rest = known(inner), after
        if name is not None:
            found.append((name, [rest]))
        else:
            (found[-1][1] if found else before).append(line)
    return "\n".join(before).strip(), [(name, "\n".join(lines).strip()) for name, lines in found]
