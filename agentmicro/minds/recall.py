"""What a language mind is told of its own past: nothing, the last turns, all of it, what fits, or its own summary.

The architecture's `memory` says which earlier acts of others are still before an agent; recall is the mind's own
account of what it saw and did. `retrieved` ranks episodes by recency, relevance and importance (the idea of Park et
al. 2023, arXiv 2304.03442; the measures are ours and need no model): 0.995 to the power of an episode's age in turns,
the cosine of word counts with the question, and the share of its words that no earlier episode has. `summarised` lets
the mind itself fold its episodes into one text whenever k of them have gathered; the summary is a recorded decision.
"""

import math
import re
from collections import Counter
from dataclasses import dataclass, field

from agentmicro.errors import MindError, listed, nearest

REGIMES = ("none", "last", "all", "retrieved", "summarised")
DECAY = 0.995
SHOWN = 12  # exposures that an episode names; the rest are counted


@dataclass(frozen=True)
class Recall:
    """One regime: its name and, where it has one, how many episodes."""

    regime: str
    episodes: int = 0

    @classmethod
    def of(cls, text: str) -> "Recall":
        """The regime that a text names: `none`, `last 5`, `all`, `retrieved 5` or `summarised 5`."""
        word, _, number = text.strip().partition(" ")
        if word not in REGIMES:
            raise MindError(f"recall = {text!r}: expected one of {listed(REGIMES)}{nearest(word, REGIMES)}")
        counted = word in ("last", "retrieved", "summarised")
        if counted != number.strip().isdigit() or (counted and not int(number)):
            expected = f"'{word} 5'" if counted else f"{word!r} alone"
            raise MindError(f"recall = {text!r}: expected {expected}")
        return cls(word, int(number) if counted else 0)


@dataclass
class Diary:
    """The past of one agent as its mind tells it."""

    episodes: list[tuple[float, str]] = field(default_factory=list)
    summary: str = ""

    def tell(self, recall: Recall, now: float, question: str) -> str:
        """The past as it stands before the question; empty where there is none."""
        told = [text for _, text in self._kept(recall, now, question)]
        lines = ([f"Your summary of what was before: {self.summary}"] if self.summary else []) + told
        return "What you remember:\n" + "\n".join(f"- {line}" for line in lines) if lines else ""

    def _kept(self, recall: Recall, now: float, question: str) -> list[tuple[float, str]]:
        match recall.regime:
            case "none":
                return []
            case "last":
                return self.episodes[-recall.episodes :]
            case "retrieved":
                return _retrieved(self.episodes, recall.episodes, now, question)
        return self.episodes

    def write(self, recall: Recall, time: float, text: str) -> None:
        """Adds what was just seen and done, and forgets what the regime can no longer tell."""
        if recall.regime == "none":
            return
        self.episodes.append((time, text))
        if recall.regime == "last":
            del self.episodes[: -recall.episodes]

    def due(self, recall: Recall) -> bool:
        """Whether it is time to fold the episodes into the summary."""
        return recall.regime == "summarised" and len(self.episodes) >= recall.episodes

    def fold(self, summary: str) -> None:
        """Replaces the episodes by a summary that includes the earlier one."""
        self.summary, self.episodes = summary, []


def _words(text: str) -> Counter[str]:
    return Counter(re.findall(r"\w+", text.lower()))


def _retrieved(episodes: list[tuple[float, str]], count: int, now: float, question: str) -> list[tuple[float, str]]:
    """The episodes with the highest sum of recency, relevance and importance, in the order of time."""
    asked, known = _words(question), set[str]()
    scores = []
    for time, text in episodes:
        words = _words(text)
        shared = sum(number * asked[word] for word, number in words.items())
        lengths = math.sqrt(sum(n * n for n in words.values()) * sum(n * n for n in asked.values()))
        news = sum(1 for word in words if word not in known) / max(1, len(words))
        known.update(words)
        scores.append(DECAY ** (now - time) + (shared / lengths if lengths else 0.0) + news)
    best = sorted(range(len(episodes)), key=lambda index: -scores[index])[:count]
    return [episodes[index] for index in sorted(best)]
