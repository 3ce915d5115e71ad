"""Language minds: one prompt per agent, and a reply that is read as an act or counted as what it is."""

import json
from collections.abc import Callable

import numpy as np

from agentmicro.completion import Provider, Reply, Request, Status
from agentmicro.errors import ReplyError
from agentmicro.exposure import Observation, Seen
from agentmicro.minds.mind import Decided, Outcome

type Prompt = Callable[[Observation], str]


class LanguageMind:
    """A model behind the seam: renders what each agent is shown, asks, and reads the replies.

    Options are put in an order and under labels drawn by keyed luck, so that a position artefact of the model averages
    out instead of passing for a finding. A reply that cannot be read is `invalid`, a call that fails is `failed`, a
    refusal is `refused`; none of them becomes behaviour.
    """

    def __init__(self, name: str, provider: Provider, prompt: Prompt) -> None:
        self.name = name
        self.provider = provider
        self.prompt = prompt

    def opening(self) -> object:
        """Begins as the phenomenon says."""
        return None

    def decide(self, seen: Seen) -> Decided:
        """The acts read from the replies, and how each decision ended."""
        observations = [seen.one(index) for index in range(len(seen))]
        requests = [self._request(observation) for observation in observations]
        replies = self.provider.complete(requests)
        read = [_read(observation, reply) for observation, reply in zip(observations, replies, strict=True)]
        acts = seen.asked.encode_many([value for value, _ in read])
        outcomes = np.array([outcome for _, outcome in read], np.int8)
        return Decided(acts, outcomes, tuple(reply.text for reply in replies))

    def _request(self, observation: Observation) -> Request:
        seed, decision = observation.decision
        return Request(self.name, self.prompt(observation), observation.offer.schema(), seed, observation.row, decision)


def _read(observation: Observation, reply: Reply) -> tuple[object, Outcome]:
    if reply.status is not Status.OK:
        return None, Outcome.REFUSED if reply.status is Status.REFUSED else Outcome.FAILED
    try:
        offer = observation.offer
        parsed = offer.read(json.loads(reply.text)) if reply.structured else offer.parse(reply.text)
    except (ReplyError, json.JSONDecodeError):
        return None, Outcome.INVALID
    return parsed.value, Outcome.REPAIRED if parsed.repaired else Outcome.VALID
