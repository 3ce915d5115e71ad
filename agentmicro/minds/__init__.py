"""Minds: who decides, from what it is shown."""

from agentmicro.minds.language import LanguageMind, Prompt
from agentmicro.minds.mind import USABLE, Decided, Mind, Outcome, Seat
from agentmicro.minds.pick import Minds, candidates, pick, seated
from agentmicro.minds.rules import EVERYWHERE, Rule, RuleMind, each

__all__ = [
    "EVERYWHERE",
    "USABLE",
    "Decided",
    "LanguageMind",
    "Mind",
    "Minds",
    "Outcome",
    "Prompt",
    "Rule",
    "RuleMind",
    "Seat",
    "candidates",
    "each",
    "pick",
    "seated",
]
