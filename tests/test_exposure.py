"""Exposure against references written from the definitions in `architecture`, not from the code."""

from collections import Counter
from typing import Any, ClassVar, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from agentmicro import exposure
from agentmicro.affordances import Choice, Number
from agentmicro.architecture import (
    Agents,
    Architecture,
    Communication,
    Graph,
    Latency,
    Loss,
    Memory,
    Shown,
    Turns,
    Visibility,
)
from agentmicro.exposure import Seen
from agentmicro.minds import Minds
from agentmicro.phenomena.channels import Channels
from agentmicro.society import Seed, Society

NAMES = ("communication", "visibility", "latency", "loss", "shown", "turns", "memory")
LETTERS = tuple("ABC")
GRAPHS = (
    "ring",
    "star",
    "complete",
    "empty",
    "ring(directed=1)",
    "random(degree=3.0, directed=1)",
    "scale_free",
    "tree",
)


def chatter(seen: Seen, silence: float = 0.0) -> Any:
    """Says something new whatever it hears, and now and then nothing."""
    if isinstance(seen.affordance, Choice):
        said = seen.luck.below(len(LETTERS))
        return np.where(seen.luck() < silence, -1, said)
    said = seen.luck.below(1_000_000).astype(float)
    return np.where(seen.luck() < silence, np.nan, said)


class Lab(Society):
    """Agents that talk at random, and a record of all they did and of all they were shown."""

    rules: ClassVar = {"chatter": chatter}

    def __init__(
        self,
        agents: Agents = 6,
        graph: Graph = "ring",
        communication: Communication = "network",
        visibility: Visibility = "full",
        latency: Latency = 0,
        loss: Loss = 0.0,
        shown: Shown = 0,
        turns: Turns = "simultaneous",
        memory: Memory = 0,
        kind: Literal["number", "choice"] = "number",
        minds: Minds = "chatter",
        rng: Seed = None,
    ) -> None:
        plan = dict(zip(NAMES, (communication, visibility, latency, loss, shown, turns, memory), strict=True))
        super().__init__(
            Choice(LETTERS) if kind == "choice" else Number(0, 1_000_000),
            agents=agents,
            graph=graph,
            architecture=Architecture(**plan),
            minds=minds,
            rng=rng,
        )
        opening = self.luck("start").below(3)
        self.log = [(0.0, row, self.affordance.decode(act)) for row, act in enumerate(opening)]
        self.views: dict[tuple[int, float], Any] = {}
        self.begin(opening if kind == "choice" else opening.astype(float))

    def absorb(self, seen: Seen, acts: Any) -> None:
        for row, act in zip(seen.rows.tolist(), acts, strict=True):
            self.log.append((seen.time, row, self.affordance.decode(act)))

    def decide(self, seen: Seen) -> Any:
        if len(seen) > 100:
            return super().decide(seen)
        view = self.look(seen)
        for index, row in enumerate(seen.rows.tolist()):
            self.views[row, seen.time] = {name: values[index] for name, values in view.items()}
        return super().decide(seen)

    def look(self, seen: Seen) -> dict[str, Any]:
        view = {
            "heard": [seen.heard(index) for index in range(len(seen))],
            "total": seen.total().tolist(),
            "unsettled": seen.unsettled().tolist(),
            "reference": [self.reference(row, seen.time) for row in seen.rows.tolist()],
        }
        if isinstance(self.affordance, Choice):
            return view | {"counts": seen.counts().tolist()}
        return view | {"mean": seen.mean().tolist()}

    def reference(self, reader: int, now: float) -> list[tuple[Any, str, float]]:
        """What the reader is exposed to, from the record alone: content, author, and time of the act."""
        plan, turn = self.architecture, int(now)
        if plan.visibility == "hidden":
            return []
        if plan.communication == "pairs":
            return self.met(reader, turn)
        delay = plan.latency + (plan.turns == "simultaneous")
        newest = turn if plan.turns == "clocks" else turn - delay
        depth = max(0, newest) if plan.memory == -1 else min(plan.memory, max(0, newest))
        found = []
        for back in range(depth + 1):
            for author in self.authors(reader):
                act = self.standing(author, now, newest - back, turn)
                if act not in found:
                    found.append(act)
        return found

    def authors(self, reader: int) -> list[int]:
        everyone = self.architecture.communication == "everyone"
        graph = self.graph
        heard = graph.predecessors(reader) if graph.is_directed() else graph.neighbors(reader)
        return [row for row in range(len(self.decisions)) if row != reader] if everyone else sorted(heard)

    def standing(self, author: int, now: float, when: int, turn: int) -> tuple[Any, str, float]:
        """The author's last act that had been made, and under clocks had arrived, by the end of a turn."""
        late = self.architecture.latency if self.architecture.turns == "clocks" else 0
        acts = [(time, act) for time, row, act in self.log if row == author]
        known = [
            (time, act)
            for time, act in acts
            if time == 0 or (time + late <= now and (when >= turn or time + late < when + 1))
        ]
        time, act = known[-1] if when >= 0 else known[0]
        return act, str(author), time

    def met(self, reader: int, turn: int) -> list[tuple[Any, str, float]]:
        plan, found = self.architecture, []
        delay = plan.latency + (plan.turns == "simultaneous")
        if delay == 0:
            partner = int(self.meeting(turn)[reader])
            time, act = [(time, act) for time, row, act in self.log if row == partner][-1]
            found.append((act, str(partner), time))
        memory = 10**6 if plan.memory == -1 else plan.memory
        for then in range(turn - max(1, delay), max(-1, turn - max(1, delay) - memory - (delay > 0)), -1):
            partner = int(self.meeting(then)[reader])
            act = [act for time, row, act in self.log if row == partner and time < then + 1][-1]
            found.append((act, str(partner), float(then)))
        return found


def run(length: int = 4, **knobs: Any) -> Lab:
    lab = Lab(**{"rng": 1} | knobs)
    for _ in range(length):
        lab.step()
    return lab


plans = st.fixed_dictionaries(
    {
        "communication": st.sampled_from(["network", "everyone"]),
        "graph": st.sampled_from(GRAPHS),
        "latency": st.integers(0, 3),
        "memory": st.sampled_from([0, 0, 1, 2, -1]),
        "turns": st.sampled_from(["simultaneous", "random", "fixed", "clocks", "endogenous"]),
        "kind": st.sampled_from(["number", "choice"]),
        "minds": st.sampled_from(["chatter", "chatter(silence=0.4)"]),
        "rng": st.integers(0, 1000),
    }
)
visible = st.sampled_from(["full", "anonymous", "counts", "hidden"])


def exposures(view: dict[str, Any], time: float) -> list[tuple[Any, str, float]]:
    return [(item.content, item.author, round(time - item.age, 9)) for item in view["heard"]]


# --- what is shown, against the record


@settings(deadline=None, max_examples=150)
@given(plans)
def test_exposures_are_what_the_definitions_say(plan):
    for (_, time), view in run(**plan).views.items():
        expected = [(content, author, round(made, 9)) for content, author, made in view["reference"]]
        assert exposures(view, time) == expected


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(["simultaneous", "random", "fixed", "endogenous"]),
    st.integers(0, 2),
    st.sampled_from([0, 1, 2, -1]),
    st.integers(0, 99),
)
def test_pairs_hear_the_one_they_meet_and_remember_the_meetings_before(turns, latency, memory, seed):
    lab = run(communication="pairs", turns=turns, latency=latency, memory=memory, rng=seed)
    for (_, time), view in lab.views.items():
        assert exposures(view, time) == [
            (content, author, round(made, 9)) for content, author, made in view["reference"]
        ]


@settings(deadline=None, max_examples=60)
@given(plans, visible, st.sampled_from([0.0, 0.4]), st.sampled_from([0, 2]))
def test_visibility_changes_what_is_told_of_the_same_exposures(plan, visibility, loss, shown):
    plan = plan | {"loss": loss, "shown": shown}
    full, veiled = run(**plan), run(**plan, visibility=visibility)
    if visibility == "hidden" and plan["turns"] == "endogenous":
        return  # who goes next depends on what is heard
    assert sorted(full.log) == sorted(veiled.log)
    for key, view in full.views.items():
        heard, told = view["heard"], veiled.views[key]["heard"]
        match visibility:
            case "full":
                assert told == heard
            case "anonymous":
                assert all(item.author is None for item in told)
                assert Counter((i.content, i.age) for i in told) == Counter((i.content, i.age) for i in heard)
                assert [item.age for item in told] == sorted(item.age for item in told)
            case "counts":
                assert {item.content: item.count for item in told} == Counter(item.content for item in heard)
                assert all(item.author is None for item in told)
                assert all(item.age == min(h.age for h in heard if h.content == item.content) for item in told)
            case "hidden":
                assert told == []


@settings(deadline=None, max_examples=80)
@given(plans, visible, st.sampled_from([0.0, 0.4]), st.sampled_from([0, 1, 2]))
def test_arrays_and_text_tell_the_same(plan, visibility, loss, shown):
    lab = run(3, **plan, visibility=visibility, loss=loss, shown=shown)
    for (_, _), view in lab.views.items():
        contents = [item.content for item in view["heard"] for _ in range(item.count)]
        assert view["total"] == len(contents)
        if "counts" in view:
            assert view["counts"] == [contents.count(letter) for letter in LETTERS]
        elif contents:
            assert view["mean"] == pytest.approx(np.mean(contents), rel=1e-12)
        else:
            assert np.isnan(view["mean"])


@settings(deadline=None, max_examples=40)
@given(plans, st.sampled_from([0.0, 0.4]), st.sampled_from([0, 2]))
def test_any_is_one_of_the_acts_heard_and_the_one_that_a_single_agent_would_draw(plan, loss, shown):
    lab = run(2, **plan, loss=loss, shown=shown)
    rows = lab.acts.rows
    seen, again = lab.expose(rows), lab.expose(rows)
    picked = seen.any()
    for index in range(len(rows)):
        one = again.one(index)
        value = seen.affordance.decode(picked[index])
        assert value == (one.heard[one.luck.below(len(one.heard))].content if one.heard else None)


def test_any_draws_each_act_alike():
    lab = Lab(5000, graph="star", rng=3)
    lab.acts.own[0] = 1  # the hub; all leaves hear it alone
    assert (lab.expose(np.arange(1, 5000)).any() == 1).all()
    ring = Lab(6000, graph="ring(k=6)", kind="choice", rng=3)
    ring.acts.write(ring.acts.rows, np.arange(6000) % 3, 0.0)
    share = np.bincount(ring.expose(ring.acts.rows).any(), minlength=3)
    assert stats.chisquare(share).pvalue > 1e-3


@pytest.mark.parametrize("graph", ["star", "complete", "empty"])
def test_an_agent_by_itself_hears_nothing(graph):
    for lab in (
        run(agents=1, graph=graph),
        run(agents=1, graph=graph, kind="choice"),
        run(agents=1, graph=graph, turns="endogenous"),
    ):
        seen = lab.expose(lab.acts.rows)
        assert seen.heard(0) == []
        assert lab.affordance.is_blank(seen.any()).all()
        assert seen.total().tolist() == [0]
        assert seen.unsettled().tolist() == [0]


# --- batches


@settings(deadline=None, max_examples=60)
@given(plans, visible, st.sampled_from([0.0, 0.4]), st.sampled_from([0, 2]), st.data())
def test_how_a_turn_is_cut_into_batches_never_changes_anything(plan, visibility, loss, shown, data):
    if plan["turns"] in ("clocks", "endogenous"):
        plan["turns"] = "simultaneous"
    plan = plan | {"visibility": visibility, "loss": loss, "shown": shown}
    cuts = sorted(data.draw(st.sets(st.integers(1, 5), max_size=3)))

    class Cut(Lab):
        def waves(self, rows):
            return [part for wave in super().waves(rows) for part in np.split(wave, cuts) if part.size]

    whole, cut = Lab(**plan), Cut(**plan)
    for _ in range(3):
        whole.step()
        cut.step()
    assert repr(sorted(whole.views.items())) == repr(sorted(cut.views.items()))
    assert sorted(whole.log) == sorted(cut.log)


# --- loss


@settings(deadline=None, max_examples=60)
@given(plans, st.sampled_from([0.0, 0.3, 1.0]))
def test_an_act_reaches_a_reader_at_once_and_for_good_or_never(plan, loss):
    fate = {}
    for (reader, time), view in run(5, **plan, loss=loss).views.items():
        got = exposures(view, time)
        expected = [(content, author, round(made, 9)) for content, author, made in view["reference"]]
        assert [item for item in expected if item in got] == got
        for _, author, made in expected:
            arrived = any(item[1:] == (author, made) for item in got)
            assert fate.setdefault((reader, author, made), arrived) == arrived
    if loss in (0.0, 1.0):
        assert all(arrived == (loss == 0) for arrived in fate.values())


@pytest.mark.parametrize("loss", [0.1, 0.5, 0.9])
def test_loss_is_the_chance_that_an_act_never_reaches_a_reader(loss):
    lab = Lab(3000, graph="ring(k=4)", loss=loss, rng=5)
    got = lab.expose(lab.acts.rows).total()
    assert (
        stats.chisquare(np.bincount(got.astype(int), minlength=5), stats.binom(4, 1 - loss).pmf(range(5)) * 3000).pvalue
        > 1e-3
    )


def test_losses_of_readers_and_of_successive_acts_are_independent():
    lab = Lab(2000, graph="star", loss=0.5, rng=5)
    got = []
    for _ in range(6):
        lab.step()
        got.append(lab.expose(np.arange(1, 2000)).total())
    table = np.corrcoef(np.array(got))
    np.fill_diagonal(table, 0)
    assert np.abs(table).max() < 4.5 / np.sqrt(2000)
    assert np.abs(np.mean(got, axis=1) - 0.5).max() < 4.5 * 0.5 / np.sqrt(2000)


# --- how many are shown


@pytest.mark.parametrize("communication", ["network", "everyone"])
@pytest.mark.parametrize("shown", [1, 2, 3, 9])
def test_so_many_of_those_it_could_hear_are_shown(communication, shown):
    lab = run(graph="scale_free", communication=communication, shown=shown)
    for (reader, _), view in lab.views.items():
        assert len(view["heard"]) == min(shown, len(lab.authors(reader)))
        assert {item.author for item in view["heard"]} <= {str(author) for author in lab.authors(reader)}


def test_every_set_of_neighbours_is_as_likely_to_be_shown_and_drawn_anew():
    lab = Lab(5, graph="complete", shown=2, rng=8)
    sets = []
    for _ in range(900):
        lab.step()
        sets += [(row, tuple(sorted(item.author for item in lab.views[row, lab.time]["heard"]))) for row in range(5)]
        lab.views.clear()
    for reader in range(5):
        counts = Counter(found for row, found in sets if row == reader)
        assert len(counts) == 6
        assert stats.chisquare(list(counts.values())).pvalue > 1e-3
    repeats = np.mean([a == b for a, b in zip(sets[:-5], sets[5:], strict=True)])
    assert abs(repeats - 1 / 6) < 4.5 * np.sqrt(5 / 36 / len(sets))


@pytest.mark.parametrize("silence", [0.0, 0.6])
@pytest.mark.parametrize("memory", [1, 2, -1])
def test_what_was_shown_earlier_stays_before_the_agent(memory, silence):
    plan = {"graph": "ring(k=4)", "shown": 2, "minds": f"chatter(silence={silence})", "rng": 4}
    now, remembering = run(6, **plan), run(6, **plan, memory=memory)
    assert now.log == remembering.log
    for (reader, time), view in remembering.views.items():
        reach = time if memory == -1 else memory + 1
        earlier = [t for t in range(int(time), 0, -1) if time - t < reach]
        union = {item for t in earlier for item in exposures(now.views[reader, float(t)], t)}
        assert sorted(exposures(view, time), key=str) == sorted(union, key=str)


@pytest.mark.parametrize("together", [1, 13, 40])
def test_views_are_the_same_however_many_are_made_at_once(monkeypatch, together):
    def told():
        made = Channels(agents=30, graph="scale_free", minds="scripted:chance", memory=1, loss=0.2, rng=3)
        for _ in range(3):
            made.step()
        seen = made.expose(made.acts.rows)
        return [(seen.heard(row), made.prompt(seen.one(row)), seen.one(row).offer.order) for row in range(30)]

    before = told()
    monkeypatch.setattr(exposure, "TOGETHER", together)
    assert told() == before
