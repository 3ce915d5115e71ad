"""Options: the words that Choice and Picks share, how they are shown, and how a reply names them."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Final

import numpy as np

from agentmicro.affordances.base import Order
from agentmicro.affordances.reading import LONGEST, MARKS, bare, fold, layers, quoted
from agentmicro.errors import ReplyError, SpecError, listed, nearest

LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
LABEL: Final = re.compile(r"(?:(?:option|choice|answer)\b\s*:?\s*)?[(\[]?([a-z]|\d{1,6})[)\].:]?", re.IGNORECASE)
# Where labels are numbers, the number before an option is no bullet: it may contradict the option.
NUMBERED: Final = re.compile(r"\s*\(?(\d{1,6})[.):]\s+\S")
# A, I and numbers are also words of a sentence, so there they need the punctuation of a label or the last place.
LABEL_IN_PROSE: Final = re.compile(
    r"(?<![\w'’.,])(?:([B-HJ-Z])(?![\w'’])|([AI]|\d{1,6})(?![\w'’])(?=[)\]:.](?:\s|\Z)|\W*\Z))"
    r"|\b[Oo]ption\s+([A-Z]|\d{1,6})\b"
)


def checked_options(kind: str, options: Iterable[str]) -> tuple[str, ...]:
    """The options of an affordance; options that no reader could tell apart are a `SpecError`."""
    if isinstance(options, str):
        raise SpecError(f"{kind}: the options are the one text {quoted(options)}, expected several texts")
    found = tuple(options)
    if not found:
        raise SpecError(f"{kind}: there are no options, expected at least one")
    seen: dict[str, str] = {}
    for option in found:
        if not isinstance(option, str) or not option.strip():
            raise SpecError(f"{kind}: the option {option!r} is no text, expected words")
        if (other := seen.get(option.casefold())) is not None:
            raise SpecError(f"{kind}: the options {other!r} and {option!r} are the same up to letter case")
        seen[option.casefold()] = option
    return found


def checked_order(kind: str, order: Order | None, count: int) -> tuple[int, ...]:
    """Which options are on offer, as shown; an order is a permutation of all options or of some."""
    if order is None:
        return tuple(range(count))
    shown = tuple(int(index) for index in order)
    if not shown or len(set(shown)) < len(shown) or min(shown) < 0 or max(shown) >= count:
        raise SpecError(
            f"{kind}: the order {quoted(list(shown))} is no arrangement of the options, "
            f"expected different numbers from 0 to {count - 1}"
        )
    return shown


def no_order(kind: str, order: Order | None) -> None:
    """Refuses an order where there is nothing to arrange."""
    if order is not None:
        raise SpecError(f"{kind}: the order {quoted(order)} arranges nothing, because there are no options")


def smallest_integer(count: int) -> np.dtype[Any]:
    """The smallest signed integer type that counts the options and keeps negative numbers for blanks."""
    return np.min_scalar_type(-max(count, 2))


@dataclass(frozen=True)
class Mentions:
    """What a sentence names: options, in its own order, and the labels among its words.

    `rest` is the sentence with the options blanked out; `mixed` is whether its labels and its words name different
    options, as in "B. blue" where B is red.
    """

    options: tuple[str, ...]
    rest: str
    labels: frozenset[str]
    mixed: bool


@dataclass(frozen=True)
class Menu:
    """The options as one agent sees them; all are known, so that one not on offer is never taken for another."""

    options: tuple[str, ...]
    order: tuple[int, ...]
    labelled: bool

    @cached_property
    def shown(self) -> tuple[str, ...]:
        """The options on offer, in the order shown."""
        return tuple(self.options[index] for index in self.order)

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """The labels of the options shown: A to Z, or numbers beyond 26; none where an option looks like a label."""
        return _labels(self.options, len(self.order)) if self.labelled else ()

    @cached_property
    def _by_label(self) -> dict[str, str]:
        return dict(zip(self.labels, self.shown, strict=True)) if self.labels else {}

    @cached_property
    def _exact(self) -> frozenset[str]:
        return frozenset(self.options)

    @cached_property
    def _on_offer(self) -> frozenset[str]:
        return frozenset(self.shown)

    @cached_property
    def _folded(self) -> dict[str, list[str]]:
        return _grouped((fold(option), option) for option in self.options)

    @cached_property
    def _bare(self) -> dict[str, list[str]]:
        return _grouped((fold(bare(option)), option) for option in self.options)

    @cached_property
    def _longest_first(self) -> list[str]:
        # NUL marks what is blanked out, so an option that holds one is read exactly or not at all.
        return sorted((key for key in self._folded if "\0" not in key), key=len, reverse=True)

    @cached_property
    def _widest(self) -> int:
        return max(map(len, self.options))

    @cached_property
    def longest(self) -> int:
        """How long a reply may be: long enough to name every option."""
        return LONGEST + 8 * sum(len(option) + 8 for option in self.options)

    @cached_property
    def text(self) -> str:
        """The options, one per line."""
        if self.labels:
            return "\n".join(f"{label}) {option}" for label, option in self._by_label.items())
        return "\n".join(f"- {option}" for option in self.shown)

    def unknown(self, text: str) -> ReplyError:
        """The error for a text that names no option."""
        hint = nearest(text[:200], self.shown)
        return ReplyError(f"the reply {quoted(text)} is none of the options on offer: {listed(self.shown)}{hint}")

    def find(self, text: str) -> tuple[str, tuple[str, ...]] | None:
        """The option that the whole text is, and the repairs it took; None when it is none."""
        if text in self._exact:
            return self._offered(text), ()
        numbered = NUMBERED.match(text)
        if len(text.strip()) > self._widest + 64 or (numbered and numbered[1] in self._by_label):
            return None
        for layer, how in layers(text):
            if layer in self._exact:
                return self._offered(layer), how
            if same := self._folded.get(fold(layer)):
                option = self._one(same)
                case = "space" if " ".join(layer.split()) == " ".join(option.split()) else "case"
                return option, (*how, case)
            label = LABEL.fullmatch(layer)
            if label and (labelled := self._by_label.get(label[1].upper())):
                return labelled, (*how, "label")
        if same := self._bare.get(fold(bare(text))):
            return self._one(same), ("marks",)
        return None

    def mentioned(self, text: str) -> Mentions:
        """The options that occur in a sentence as whole words, the longest first, or by their label."""
        rest = fold(text.replace("\0", " "))
        found: list[tuple[int, str]] = []
        for key in self._longest_first:
            if key not in rest:
                continue
            pattern = _whole_words(key)
            if first := pattern.search(rest):
                found.extend((first.start(), self._offered(option)) for option in self._folded[key])
                rest = pattern.sub("\0" * len(key), rest)
        labels = {
            label: match.start()
            for match in (LABEL_IN_PROSE.finditer(text) if self.labels else ())
            if (label := match[1] or match[2] or match[3]) in self._by_label
        }
        by_label = [(start, self._by_label[label]) for label, start in labels.items()]
        mixed = bool(found and by_label) and {option for _, option in found} != {option for _, option in by_label}
        options = dict.fromkeys(option for _, option in sorted(found + by_label))
        return Mentions(tuple(options), rest, frozenset(labels), mixed)

    def _offered(self, option: str) -> str:
        if option not in self._on_offer:
            raise ReplyError(f"the option {option!r} is not on offer; the options are {listed(self.shown)}")
        return option

    def _one(self, options: list[str]) -> str:
        if len(options) > 1:
            raise ReplyError(f"the reply may mean {options[0]!r} or {options[1]!r}; write the option exactly as it is")
        return self._offered(options[0])


@lru_cache(maxsize=64)
def _labels(options: tuple[str, ...], count: int) -> tuple[str, ...]:
    """So many labels; none where an option looks like one of them."""
    labels = tuple(LETTERS[:count]) if count <= len(LETTERS) else tuple(str(i + 1) for i in range(count))
    taken = set(labels)
    for option in options:
        alone = LABEL.fullmatch(bare(option))
        if (alone and alone[1].upper() in taken) or taken & set(re.findall(r"[^\W_]+", option)):
            return ()
    return labels


def _grouped(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """The options by a key that several may share."""
    groups: dict[str, list[str]] = {}
    for key, option in pairs:
        groups.setdefault(key, []).append(option)
    return groups


def _whole_words(key: str) -> re.Pattern[str]:
    """A pattern for a text that is not a part of a longer word, hyphenated word, contraction or number."""
    before = r"(?<!\w)(?<!\w[-'’])(?<!\d[.,])" if re.match(r"\w", key) else ""
    after = r"(?!\w|[-'’]\w|[.,]\d)" if re.search(r"\w\Z", key) else ""
    return re.compile(before + re.escape(key) + after)


def stripped_marks(text: str) -> str:
    """A piece of a sentence without white space and marks."""
    return text.strip().strip(MARKS).strip()
