"""The seam to language models; what talks to servers (`client`, `session`, transports) is imported where it is used."""

from agentmicro.completion.budget import Account, BudgetReached, Spent
from agentmicro.completion.scripted import SCRIPTS, Script, Scripted
from agentmicro.completion.seam import CallError, Fault, Provider, Reply, Request, Status, Transport

__all__ = [
    "SCRIPTS",
    "Account",
    "BudgetReached",
    "CallError",
    "Fault",
    "Provider",
    "Reply",
    "Request",
    "Script",
    "Scripted",
    "Spent",
    "Status",
    "Transport",
]
