"""Language minds: one prompt per agent, and a reply that is read as an act or counted as what it is."""

import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from agentmicro.completion import Provider, Reply, Request, Status
from agentmicro.errors import ReplyError
from agentmicro.exposure import Observation, Seen
from agentmicro.minds.mind import Decided, Outcome
from agentmicro.minds.recall import SHOWN, Diary, Recall
from agentmicro.minds.speaker import Speaker

type Prompt = Callable[[Observation], str]

FOLDING = 1_000  # the attempt under which a summary is asked for, beyond any number of re-asks
SUMMARY = {
    "type": "object",
    "properties": {"summary": {"type": "string"}},
    "required": ["summary"],
    "additionalProperties": False,
}
FOLD = """{past}

Sum up what you remember in at most 100 words, as you would tell it to yourself. Keep what may matter for what you do
next. Answer with the summary and nothing else."""
AGAIN = "That reply cannot be used: {wrong}. {form}"


class Answer(NamedTuple):
    """What came of one decision: the value if there is one, how it ended, and the raw text of the last reply."""

    value: object
    outcome: Outcome
    text: str


class LanguageMind:
    """A model behind the seam: renders what each agent is shown, asks, and reads the replies.

    Options are put in an order and under labels drawn by keyed luck, so that a position artefact of the model averages
    out instead of passing for a finding. A reply that cannot be read is asked for again with what was wrong, a stated
    number of times, and is then `invalid`; a call that fails is `failed`, a refusal `refused`; none of them becomes
    behaviour. The batch is asked at once; what comes back is applied in the order of the rows.
    """

    def __init__(self, name: str, provider: Provider, prompt: Prompt, speaker: Speaker | None = None) -> None:
        self.name = name
        self.provider = provider
        self.prompt = prompt
        self.speaker = speaker or Speaker(model=name)
        self.served: set[str] = set()
        self._recall = Recall.of(self.speaker.recall)
        self._diaries: defaultdict[int, Diary] = defaultdict(Diary)

    def opening(self) -> object:
        """Begins as the phenomenon says."""
        return None

    def ready(self) -> None:
        """Raises when a ceiling is reached and no further turn may be paid for."""
        self.provider.check()

    def decide(self, seen: Seen) -> Decided:
        """The acts read from the replies, and how each decision ended."""
        observations = [seen.one(index) for index in range(len(seen))]
        self._fold(observations)
        requests = [self.request(observation) for observation in observations]
        asked = tuple(request.prompt for request in requests)
        answers = self._answers(observations, requests)
        for observation, answer in zip(observations, answers, strict=True):
            self._remember(observation, answer)
        acts = seen.asked.encode_many([answer.value for answer in answers])
        outcomes = np.array([answer.outcome for answer in answers], np.int8)
        return Decided(acts, outcomes, tuple(answer.text for answer in answers), asked)

    def request(self, observation: Observation) -> Request:
        """The question to one agent: what it recalls, then what the phenomenon asks."""
        question = self.prompt(observation)
        told = self._diaries[observation.row].tell(self._recall, observation.time, question) if self._recalls else ""
        return self._asked(observation, f"{told}\n\n{question}" if told else question, observation.offer.schema())

    @property
    def _recalls(self) -> bool:
        return self._recall.regime != "none"

    def _asked(self, observation: Observation, prompt: str, schema: dict[str, object], attempt: int = 0) -> Request:
        seed, decision = observation.decision
        return Request(
            model=self.speaker.model,
            prompt=prompt,
            schema=schema,
            seed=seed,
            agent=observation.row,
            decision=decision,
            attempt=attempt,
            system=self.speaker.system_for(observation.row),
            options=self.speaker.options,
            base_url=self.speaker.base_url,
            transport=self.speaker.transport,
            price_in=self.speaker.price_in,
            price_out=self.speaker.price_out,
        )

    def _answers(self, observations: Sequence[Observation], requests: list[Request]) -> list[Answer]:
        """Asks everybody, and those whose reply cannot be read again, a stated number of times."""
        answers: dict[int, Answer] = {}
        left = list(range(len(requests)))
        while left:
            replies = self.provider.complete([requests[index] for index in left])
            self.served.update(reply.served for reply in replies if reply.served)
            open_still = []
            for index, reply in zip(left, replies, strict=True):
                answers[index], wrong = _read(observations[index], reply, requests[index].attempt)
                if wrong and requests[index].attempt < self.speaker.reasks:
                    requests[index] = _again(requests[index], reply, wrong, observations[index].offer.form)
                    open_still.append(index)
            left = open_still
        return [answers[index] for index in range(len(requests))]

    def _remember(self, observation: Observation, answer: Answer) -> None:
        if not self._recalls or answer.value is None:
            return
        heard = observation.heard
        shown = [f"{item.content}" + (f" x{item.count}" if item.count > 1 else "") for item in heard[:SHOWN]]
        rest = f" and {len(heard) - SHOWN} more" if len(heard) > SHOWN else ""
        act = observation.affordance.describe(answer.value)
        text = f"turn {observation.time:g}: you saw {'; '.join(shown) or 'nothing'}{rest}, and answered {act}"
        self._diaries[observation.row].write(self._recall, observation.time, text)

    def _fold(self, observations: Sequence[Observation]) -> None:
        """Lets the agents whose episodes have gathered sum them up; where that fails they keep the episodes."""
        due = [one for one in observations if self._recalls and self._diaries[one.row].due(self._recall)]
        if not due:
            return
        pasts = [self._diaries[one.row].tell(self._recall, one.time, "") for one in due]
        replies = self.provider.complete(
            [self._asked(one, FOLD.format(past=past), SUMMARY, FOLDING) for one, past in zip(due, pasts, strict=True)]
        )
        for one, reply in zip(due, replies, strict=True):
            summary = _summary(reply)
            if summary:
                self._diaries[one.row].fold(summary)


def _read(observation: Observation, reply: Reply, attempt: int) -> tuple[Answer, str]:
    """What one reply says, and what is wrong with it if it cannot be read."""
    if reply.status is not Status.OK:
        ended = Outcome.REFUSED if reply.status is Status.REFUSED else Outcome.FAILED
        return Answer(None, ended, reply.text or reply.error), ""
    offer = observation.offer
    try:
        parsed = offer.read(json.loads(reply.text)) if reply.structured else offer.parse(reply.text)
    except ReplyError as error:
        return Answer(None, Outcome.INVALID, reply.text), str(error)
    except (json.JSONDecodeError, RecursionError):
        return Answer(None, Outcome.INVALID, reply.text), "it is no JSON"
    outcome = Outcome.REASKED if attempt else Outcome.REPAIRED if parsed.repaired else Outcome.VALID
    return Answer(parsed.value, outcome, reply.text), ""


def _again(request: Request, reply: Reply, wrong: str, form: str) -> Request:
    """The same question once more, with the reply and what was wrong with it."""
    said = (*request.again, (reply.text[:2_000], AGAIN.format(wrong=wrong, form=form)))
    return replace(request, attempt=request.attempt + 1, again=said)


def _summary(reply: Reply) -> str:
    if reply.status is not Status.OK:
        return ""
    try:
        found = json.loads(reply.text)
    except (json.JSONDecodeError, RecursionError):
        return reply.text.strip()
    return str(found.get("summary", "")).strip() if isinstance(found, dict) else reply.text.strip()
