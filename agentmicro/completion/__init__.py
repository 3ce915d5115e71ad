"""The seam to language models."""

from agentmicro.completion.scripted import SCRIPTS, Script, Scripted
from agentmicro.completion.seam import CallError, Fault, Provider, Reply, Request, Status, Transport

__all__ = [
    "SCRIPTS",
    "CallError",
    "Fault",
    "Provider",
    "Reply",
    "Request",
    "Script",
    "Scripted",
    "Status",
    "Transport",
]
