"""The seam to language models."""

from agentmicro.completion.scripted import SCRIPTS, Script, Scripted
from agentmicro.completion.seam import Provider, Reply, Request, Status

__all__ = ["SCRIPTS", "Provider", "Reply", "Request", "Script", "Scripted", "Status"]
