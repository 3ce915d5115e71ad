"""Bottleneck: work that every agent could do in time waits at one agent, in one channel, or comes out wrong.

Kind: macro; coordination failure
Risk: a workflow of able agents stalls or spoils its work because of who hands what to whom, and on what knowledge.
Mechanism: tasks arrive by chance and are handed from stage to stage. An agent works on one at a time, a channel
carries one at a time, the others wait; errors stay in a task until somebody notices, and then it is worked on again.
Whoever has finished a task decides who gets it next, by a board of queue lengths that may be old.
Cures to compare: shortest queues, the shorter of two, turns, a fresher board, more hands, checks, wider channels.
References: Erlang 1917 for many servers; Jackson 1957 (doi:10.1287/opre.5.4.518) for networks; Mitzenmacher 2000
(doi:10.1109/71.824633) for old boards; Mitzenmacher 2001 (doi:10.1109/71.963420) for the shorter of two. Node, edge and
path defects are named by Gao et al. 2025 (arXiv:2505.18286), who give no formula: what stands for them here is ours.
"""

import heapq
from collections import deque
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from agentmicro.acts import Coded, Rows
from agentmicro.affordances import Choice
from agentmicro.architecture import Architecture, Latency
from agentmicro.errors import SpecError
from agentmicro.exposure import Observation, Seen
from agentmicro.knobs import Group, Range, Scalar
from agentmicro.minds import Minds
from agentmicro.noise import Chance
from agentmicro.society import Seed, Society
from agentmicro.world import Notice

AGENT = -1  # the lane of a line that is an agent and no channel
LANES = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
PROMPT = """You work in a team that hands tasks on from stage to stage. You have a task that is ready for stage {stage}.
Each agent of that stage can take it. Tasks that each agent has, waiting or at work:
{heard}
You handed the last one to agent {own}. You want your tasks to be finished soon. Who gets this one?
{options}
{form}"""


def shortest(seen: Seen) -> Coded:
    """Hands the task to the agent with the fewest tasks on the board, by luck among equals."""
    tasks = ahead(seen)
    least = tasks == tasks.min(axis=1, keepdims=True)
    return np.where(least, seen.luck(tasks.shape[1]), -1).argmax(axis=1)


def two_choices(seen: Seen) -> Coded:
    """Looks up two agents at random and hands the task to the one with fewer."""
    tasks = ahead(seen)
    pair = seen.luck(tasks.shape[1]).argsort(axis=1)[:, :2]
    row = np.arange(len(pair))
    return pair[row, tasks[row[:, None], pair].argmin(axis=1)]


def in_turn(seen: Seen) -> Coded:
    """Hands each task to the agent after the one that got the last."""
    return (seen.own + 1) % len(lanes(seen))


def ahead(seen: Seen) -> NDArray[np.int64]:
    """How many tasks the agents of the next stage have, as the board says; as many each where there is none."""
    if "board" not in seen.world:
        return np.zeros((len(seen), len(lanes(seen))), np.int64)
    view: Any = seen.world["board"]
    return np.asarray(np.array(view.value)[seen.trait("stage").astype(int)])


def lanes(seen: Seen) -> tuple[str, ...]:
    """The agents of a stage, by name."""
    assert isinstance(seen.affordance, Choice)
    return seen.affordance.options


class Task:
    """A piece of work on its way: its number, whether an error is in it, and how often it was worked on."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.wrong = False
        self.taken = 0


class Line:
    """An agent or a channel: tasks in the order in which they came, as many of them at work as there are hands."""

    def __init__(self, model: "Bottleneck", row: int, lane: int = AGENT) -> None:
        self.model, self.row, self.lane = model, row, lane
        self.waiting: deque[Task] = deque()
        self.busy: list[tuple[float, int, Task]] = []
        self.joined = 0
        self.wait_time = self.work_time = self.counted = 0.0  # of all its tasks together, and until when

    def __len__(self) -> int:
        return len(self.waiting) + len(self.busy)

    @property
    def hands(self) -> int:
        """How many tasks can be at work at once: a channel carries one."""
        return self.model.servers if self.lane == AGENT else 1

    def join(self, task: Task) -> None:
        """A task comes; it is begun at once if there is a hand for it."""
        self.count()
        self.joined += 1
        self.waiting.append(task)
        self.begin()

    def begin(self) -> None:
        """Takes up waiting tasks while there are hands."""
        while self.waiting and len(self.busy) < self.hands:
            task = self.waiting.popleft()
            end = float(self.model.time) + self.model.duration(task, self)
            heapq.heappush(self.busy, (end, task.number, task))
            self.model.schedule_event(self.finish, at=end)

    def finish(self) -> None:
        """The task that is due leaves and the next one is begun."""
        self.count()
        task = heapq.heappop(self.busy)[2]
        self.begin()
        self.model.finished(task, self)

    def count(self) -> None:
        """Adds the waiting and the work since it was last counted."""
        now = float(self.model.time)
        self.wait_time += len(self.waiting) * (now - self.counted)
        self.work_time += len(self.busy) * (now - self.counted)
        self.counted = now


class Bottleneck(Society):
    """Agents stage by stage, and a dispatcher in the last row; who has a task to hand on is asked where it goes."""

    rules: ClassVar = {"shortest": shortest, "two-choices": two_choices, "in-turn": in_turn}
    null: ClassVar = {"servers": 100, "bandwidth": 0.0, "slip": 0.0}  # none of the three defects can bind
    needs: ClassVar = {
        "board_latency": {"board": "shown"},
        "check": {"slip": 1.0},
        "slowness": {"weak": 0},
    }
    live: ClassVar = frozenset({"load", "servers", "bandwidth", "slip", "check", "slowness", "board", "board_latency"})
    length: ClassVar = 200

    def __init__(
        self,
        stages: Annotated[int, Range(1, 50), Group.WORLD, "how many stages a task goes through"] = 2,
        width: Annotated[int, Range(1, 26), Group.POPULATION, "how many agents work side by side in a stage"] = 4,
        load: Annotated[float, Range(0.01, 100), Group.WORLD, "tasks that arrive per turn and agent of a stage"] = 0.8,
        servers: Annotated[int, Range(1, 100), Group.POPULATION, "how many tasks an agent works on at once"] = 1,
        service: Annotated[
            Literal["exponential", "constant"], Group.WORLD, "how the time that a task takes varies; its mean is a turn"
        ] = "exponential",
        weak: Annotated[int, Range(-1, 1300), Group.POPULATION, "the row of an agent that is slow; -1 for none"] = -1,
        slowness: Annotated[
            float, Range(1, 100), Group.POPULATION, "how many times as long the slow agent takes"
        ] = 3.0,
        bandwidth: Annotated[
            float, Range(0, 1000), Group.COMMUNICATION, "tasks that a channel can carry per turn; 0 for any number"
        ] = 0.0,
        slip: Annotated[
            float, Range(0, 1), Group.POPULATION, "chance that work on a task puts an error into it"
        ] = 0.02,
        check: Annotated[
            float, Range(0, 1), Group.POPULATION, "chance that an inherited error is noticed and the work done again"
        ] = 0.0,
        board: Annotated[
            Literal["shown", "hidden"], Group.VISIBILITY, "whether the number of tasks of each agent is shown"
        ] = "shown",
        board_latency: Annotated[Latency, "turns before a number of tasks can be seen"] = 0,
        minds: Minds = "shortest",
        rng: Seed = None,
    ) -> None:
        agents = 1 + stages * width
        super().__init__(
            Choice(tuple(LANES[:width])),
            agents=agents,
            architecture=Architecture(turns="endogenous"),  # whoever has finished a task is next
            minds=minds,
            measures=MEASURES,
            rng=rng,
        )
        if weak >= agents:
            raise SpecError(f"weak = {weak}: expected a row from 0 to {agents - 1}, or -1")
        self.width, self.service = width, service
        self.load, self.servers, self.bandwidth = load, servers, bandwidth
        self.weak, self.slowness, self.slip, self.check = weak, slowness, slip, check
        self.next = np.append(1 + np.arange(agents - 1) // width, 0)  # the next stage of each row, the first being 0
        self.traits["stage"] = np.minimum(self.next, stages - 1)
        self.desks = [Line(self, row) for row in range(agents - 1)]
        self.channels = [Line(self, row, lane) for row in range(agents) for lane in range(width)]
        self.board = Notice("board", self.lengths(), board_latency)
        self.adapt("board", board)
        self.arrived = self.right = self.wrong = 0
        self.schedule_event(self.arrive, at=self.gap())
        self.begin(self.luck("start").below(width))

    @classmethod
    def prompt(cls, seen: Observation) -> str:
        """The question a language model is asked."""
        assert isinstance(seen.affordance, Choice)
        boards: list[Any] = [item.content for item in seen.heard]
        heard = "\n".join(
            f"- stage {stage}: " + ", ".join(f"{name} {count}" for name, count in zip(LANES, counts, strict=False))
            for board in boards
            for stage, counts in enumerate(board, start=1)
        )
        stage = int(str(seen.trait("stage"))) + 1
        return PROMPT.format(
            stage=stage, heard=heard or "- unknown", own=seen.own, options=seen.offer.text, form=seen.offer.form
        )

    @classmethod
    def finding(cls, values: Mapping[str, float], null: Mapping[str, float]) -> str:
        """What a run shows, in two sentences."""
        if np.isnan(values["right"] + null["right"]):
            return "No task has arrived."
        agents, channels, wrong = (values[name] for name in ("held_by_agents", "held_by_channels", "wrong"))
        most = max((agents, "at nodes"), (channels, "at edges"), (wrong, "along paths"))
        done = f"Of all tasks {values['right']:.0%} are done right, {null['right']:.0%} with hands enough and no slips"
        lost = f"{agents:.0%} are with agents, {channels:.0%} in channels, {wrong:.0%} done wrong"
        found = f"{done}; {lost}" + (f": most is lost {most[1]}." if most[0] else ".")
        if np.isnan(values["waiting"]):
            return found
        return f"{found} A task waited {values['waiting']:.2f} turns each time it came to an agent."

    def acting(self) -> Rows:
        """Nobody acts by the turn: whoever has a task to hand on is asked when it is ready."""
        return self.acts.rows[:0]

    def arrive(self) -> None:
        """A task comes from outside, and the time of the next one is drawn."""
        self.arrived += 1
        self.schedule_event(self.arrive, at=float(self.time) + self.gap())
        self.hand(len(self.desks), Task(self.arrived))

    def gap(self) -> float:
        """The turns until the next task arrives."""
        return Chance(self.seed, "arrival", self.arrived, 0).exponential() / (self.load * self.width)

    def duration(self, task: Task, line: Line) -> float:
        """How long a task takes at an agent or in a channel: its own draw, whoever works on it."""
        channel = line.lane != AGENT
        task.taken += not channel
        drawn = 1.0
        if self.service == "exponential":
            drawn = Chance(self.seed, "carry" if channel else "work", task.taken, task.number).exponential()
        if channel:
            return drawn / self.bandwidth if self.bandwidth else 0.0
        return drawn * (self.slowness if line.row == self.weak else 1.0)

    def hand(self, row: int, task: Task) -> None:
        """An agent decides who of the next stage gets a task, and the task goes there."""
        if self.width > 1:
            self.move(self.acts.rows[row : row + 1])
        lane = int(self.acts.own[row])
        if self.bandwidth:
            self.channels[row * self.width + lane].join(task)
        else:
            self.receive(row, lane, task)

    def receive(self, row: int, lane: int, task: Task) -> None:
        """A task that an agent handed on comes to the agent of the next stage in that lane."""
        self.desks[self.next[row] * self.width + lane].join(task)
        self.post()

    def finished(self, task: Task, line: Line) -> None:
        """A task leaves a channel for its agent, or an agent for the next stage, for another round, or for good."""
        if line.lane != AGENT:
            self.receive(line.row, line.lane, task)
            return
        check, slip = Chance(self.seed, "error", task.taken, task.number)(2)
        if task.wrong and check < self.check:
            task.wrong = False
            line.join(task)
            return
        self.post()
        task.wrong = task.wrong or slip < self.slip
        if line.row < len(self.desks) - self.width:
            self.hand(line.row, task)
        elif task.wrong:
            self.wrong += 1
        else:
            self.right += 1

    def lengths(self) -> tuple[tuple[int, ...], ...]:
        """How many tasks each agent has, waiting or at work, stage by stage."""
        counts = [len(line) for line in self.desks]
        return tuple(tuple(counts[first : first + self.width]) for first in range(0, len(counts), self.width))

    def post(self) -> None:
        """Writes the numbers of tasks on the board."""
        self.board.publish(self.lengths(), float(self.time))

    def unfold(self) -> None:
        """Counts all waiting and work up to now."""
        for line in (*self.desks, *self.channels):
            if len(line):
                line.count()

    def adapt(self, name: str, value: Scalar) -> None:
        """A change of load, hands, channels, errors or the board is a change of the world."""
        if name == "board_latency":
            self.board.latency = int(value)
        elif name == "board":
            self.sources = {"board": self.board} if value == "shown" else {}
        elif name in self.live:
            setattr(self, name, value)
            for line in self.desks:
                line.begin()

    def draw(self, axes: Any) -> None:
        """Draws how many tasks each agent had on average, at work and waiting."""
        time = float(self.time) or 1.0
        names = [f"{LANES[line.row % self.width]}{line.row // self.width + 1}" for line in self.desks]
        groups: list[tuple[str, list[Line]]] = [(name, [line]) for name, line in zip(names, self.desks, strict=True)]
        if self.bandwidth:
            groups.append(("all\nchannels", self.channels))
        work = [sum(line.work_time for line in lines) / time for _, lines in groups]
        wait = [sum(line.wait_time for line in lines) / time for _, lines in groups]
        axes.bar(range(len(groups)), work, color="#0072B2", label="at work")
        axes.bar(range(len(groups)), wait, bottom=work, color="#D55E00", label="waiting")
        axes.set_xticks(range(len(groups)), [name for name, _ in groups])
        axes.set(title="Where tasks are", xlabel="agent (letter) and stage (number)", ylabel="tasks, on average")
        axes.legend(frameon=False, fontsize=8)


def right(model: Bottleneck) -> float:
    """The share of all tasks so far that are done without an error."""
    return ratio(model.right, model.arrived)


def wrong(model: Bottleneck) -> float:
    """The share of all tasks so far that are done with an error in them: what is lost along paths."""
    return ratio(model.wrong, model.arrived)


def held_by_agents(model: Bottleneck) -> float:
    """The share of all tasks so far that wait or are at work at an agent: what is held up at nodes."""
    return ratio(sum(map(len, model.desks)), model.arrived)


def held_by_channels(model: Bottleneck) -> float:
    """The share of all tasks so far that wait for a channel or are in it: what is held up at edges."""
    return ratio(sum(map(len, model.channels)), model.arrived)


def throughput(model: Bottleneck) -> float:
    """Tasks done per turn, right or wrong."""
    return ratio(model.right + model.wrong, float(model.time))


def waiting(model: Bottleneck) -> float:
    """The turns that a task waited each time it came to an agent."""
    return ratio(sum(line.wait_time for line in model.desks), sum(line.joined for line in model.desks))


def channel_waiting(model: Bottleneck) -> float:
    """The turns that a task waited each time it came to a channel."""
    return ratio(sum(line.wait_time for line in model.channels), sum(line.joined for line in model.channels))


def queue(model: Bottleneck) -> float:
    """The number of tasks waiting at an agent, on average over agents and time."""
    return ratio(sum(line.wait_time for line in model.desks), len(model.desks) * float(model.time))


def utilisation(model: Bottleneck) -> float:
    """The share of its time that the busiest agent works."""
    return ratio(max(line.work_time for line in model.desks), model.servers * float(model.time))


def ratio(part: float, whole: float) -> float:
    """A share or a mean; NaN of nothing."""
    return part / whole if whole else float("nan")


MEASURES = {
    "waiting": waiting,
    "queue": queue,
    "utilisation": utilisation,
    "throughput": throughput,
    "channel_waiting": channel_waiting,
    "right": right,
    "wrong": wrong,
    "held_by_agents": held_by_agents,
    "held_by_channels": held_by_channels,
}
