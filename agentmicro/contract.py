"""The contract: the laws that every phenomenon passes, each a function of its class.

A law makes small runs of the phenomenon, under its defaults and under one other micro-variable or mind at a time, and
raises `Broken` with a sentence that says which phenomenon breaks what, where, and the two values that differ. Knobs
given to a law hold in all of its runs. A phenomenon of your own is checked by

    for law in LAWS:
        law(MyPhenomenon)
"""

import copy
import json
import math
import pickle
import re
from collections.abc import Callable

import mesa
import numpy as np

from agentmicro.acts import Rows
from agentmicro.affordances import Choice, Picks
from agentmicro.completion import SCRIPTS, Reply, Request, Scripted
from agentmicro.errors import SpecError, listed
from agentmicro.exposure import Seen
from agentmicro.knobs import Knob, Scalar, knobs
from agentmicro.minds import LanguageMind
from agentmicro.society import MINDS, Society
from agentmicro.trials import (
    LENGTH,
    SEED,
    Broken,
    Given,
    Phenomenon,
    alternatives,
    answers,
    backwards,
    behaviour,
    broken,
    built,
    compare,
    contexts,
    cut_by,
    imposed,
    in_batches,
    made,
    misput,
    omission,
    one_by_one,
    other_values,
    readers,
    run,
    small,
    turn_structures,
    written,
)

__all__ = ["LAWS", "Broken"]

SCRIPT = dict.fromkeys(MINDS, "scripted:chance")


def seed_fixes_the_run(cls: Phenomenon, **given: Scalar) -> None:
    """A seed fixes the run, trace and measures; another seed makes another run."""
    law = "a seed fixes the run"
    for context in contexts(cls, **given):
        first = run(made(cls, context))
        compare(cls, law, context, {"the first time": first, "the second time": run(made(cls, context))})
    for context in turn_structures(cls, **given):
        if run(made(cls, context)) == run(made(cls, context, SEED + 1)):
            broken(cls, "another seed makes another run", context, f"seeds {SEED} and {SEED + 1} make the same run")


def waves_equal_one_by_one(cls: Phenomenon, **given: Scalar) -> None:
    """A sequential turn run in waves is the turn of one agent after another, trace for trace."""
    for turns in ("random", "fixed"):
        for context in contexts(cls, **{"turns": turns, **given}):
            model = made(cls, context)
            if model.architecture.turns in ("random", "fixed"):
                alone = run(made(cut_by(cls, one_by_one), context))
                compare(cls, "waves equal one by one", context, {"in waves": run(model), "one by one": alone})


def simultaneity_is_latency(cls: Phenomenon, **given: Scalar) -> None:
    """A simultaneous turn is any order of one agent after another with one more turn of latency, trace for trace."""
    for context in contexts(cls, **{"turns": "simultaneous", **given}):
        model = made(cls, context)
        if not model.architecture.simultaneous:
            continue
        for turns in ("random", "fixed"):
            late = made(cut_by(cls, one_by_one), context)
            late.rearrange(turns=turns, latency=late.architecture.latency + 1)
            for source in late.sources.values():
                source.latency += 1
            both = {"at once": run(copy.deepcopy(model)), f"one by one ({turns}) a turn late": run(late)}
            compare(cls, "simultaneity is latency", context, both)


def shuffle_do_is_a_turn(cls: Phenomenon, **given: Scalar) -> None:
    """`agents.shuffle_do("step")` is a sequential turn in the order that it draws."""

    def by_mesa(self: Society) -> None:
        self.agents.shuffle_do("step")
        self.unfold()
        self.datacollector.collect(self)

    for context in contexts(cls, **{"turns": "random", **given}):
        model = made(type(cls.__name__, (cls,), {"step": by_mesa}), context)
        if model.architecture.turns not in ("random", "fixed"):
            continue
        shuffled = run(model)
        order: dict[int, list[int]] = {}
        for entry in model.trace or ():
            order.setdefault(int(entry["time"]), []).append(entry["agent"])

        def drawn(self: Society, rows: Rows, order: dict[int, list[int]] = order) -> list[Rows]:
            return [np.array([row]) for row in order[int(self.time)]]

        both = {"by shuffle_do": shuffled, "by a turn in that order": run(made(cut_by(cls, drawn), context))}
        compare(cls, "shuffle_do is a turn", context, both)


def every_knob_matters(cls: Phenomenon, **given: Scalar) -> None:
    """Every knob changes the trace or the measures, or stands in `inert` with the reason, and then it does not."""
    law, known = "every knob matters", knobs(cls)
    for name in (*cls.inert, *cls.needs):
        if name not in known:
            broken(cls, law, {}, f"{name} stands in inert or needs, and there is no such knob")
    for name, knob in known.items():
        tried: list[Scalar] = []
        moved = _mover(cls, knob, given, tried)
        if moved is None and not cls.inert.get(name):
            others = listed(map(repr, tried)) or "no other value that could be tried"
            broken(cls, law, given, f"{name} = {knob.default!r} makes the same run as {others}")
        if moved is not None and name in cls.inert:
            broken(cls, law, given, f"{name} is said to be inert, but {moved!r} makes another run")


def _mover(cls: Phenomenon, knob: Knob, given: Given, tried: list[Scalar]) -> Scalar | None:
    """The first other value of a knob that makes another run, by itself or beside the knobs that it needs."""
    for extra in ({}, cls.needs[knob.name]) if knob.name in cls.needs else ({},):
        base = small(cls, **given) | dict(extra)
        plain = behaviour(run(made(cls, base)))
        for value in alternatives(cls, knob, base.get(knob.name, knob.default)):
            model = built(cls, base | {knob.name: value})
            if model is not None:
                tried.append(value)
                if behaviour(run(model)) != plain:
                    return value
    return None


def silence_is_counted(cls: Phenomenon, **given: Scalar) -> None:
    """A population that never answers runs to the end, as failures: nothing moves and no measure is infinite."""
    law = "silence is counted"
    if not set(MINDS) & set(knobs(cls)):
        broken(cls, law, {}, f"it has no knob {' or '.join(MINDS)}, so that its minds cannot be replaced")
    for context in contexts(cls, **{**given, **dict.fromkeys(MINDS, "silent")}):
        model = made(cls, context)
        before = written(model.affordance, model.acts.own)
        try:
            run(model)
        except Exception as error:
            broken(cls, law, context, f"the run stops with {type(error).__name__}: {error}")
        asked, failed = model.n_decisions, model.n_failed_decisions
        if failed != asked or not asked or model.valid:
            broken(cls, law, context, f"{failed} of {asked} decisions failed, and valid is {model.valid}")
        for row, (old, new) in enumerate(zip(before, written(model.affordance, model.acts.own), strict=True)):
            if old != new:
                broken(cls, law, context, f"agent {row} went from {old} to {new} without an answer")
        for name in model.measures:
            for turn, value in enumerate(model.datacollector.model_vars[name]):
                if isinstance(value, complex | str) or value is None or math.isinf(value):
                    broken(cls, law, context, f"{name} is {value!r} in row {turn}, expected a number or NaN")


def prompts_say_everything(cls: Phenomenon, **given: Scalar) -> None:
    """A prompt shows all that its reader hears and every option, in an order and under labels drawn by keyed luck."""
    law = "prompts say everything"
    for context in contexts(cls, **{**given, **SCRIPT}):
        model, again = made(cls, context), made(cls, context)
        offers: set[object] = set()
        for _ in range(LENGTH):
            model.step()
            again.step()
            seen, twin = model.expose(model.acts.rows), again.expose(again.acts.rows)
            for index in range(len(seen)):
                where = f"the prompt of agent {index} at time {seen.time:g}"
                text, other = cls.prompt(seen.one(index)), cls.prompt(twin.one(index))
                if text != other:
                    broken(cls, law, context, f"{where} is {text!r} in one run and {other!r} in another of one seed")
                offers.add((str(seen.one(index).offer.order), seen.one(index).offer.labelled))
                if model.architecture.visibility == "hidden" and _private(seen, index):
                    broken(cls, law, context, f"{where} shows {seen.heard(index)[0]} under hidden visibility")
        for index in range(len(seen)):
            if fault := omission(cls, seen, index) or misput(cls, seen, index):
                broken(cls, law, context, f"the prompt of agent {index} at time {seen.time:g} {fault}")
        if isinstance(seen.asked, Choice | Picks) and len(seen.asked.options) > 1 and len(offers) == 1:
            broken(cls, law, context, f"every decision is offered the same order and labels, {offers}")


def _private(seen: Seen, index: int) -> int:
    """How much of what an agent hears does not come from the world."""
    return len(seen.heard(index)) - sum(len(view.exposures(index)) for view in seen.world.values())


def workers_agree(cls: Phenomenon, **given: Scalar) -> None:
    """Two worker processes of `mesa.batch_run` give the rows that one gives."""
    base = small(cls, **given)
    rows = [
        mesa.batch_run(cls, base, number, max_steps=2, display_progress=False, data_collection_period=1, rng=[1, 2])
        for number in (1, 2)
    ]
    one, two = (sorted(found, key=lambda row: (row["RunId"], row["Step"])) for found in rows)
    for first, second in zip(one, two, strict=True):
        for name in first | second:
            here, there = json.dumps(first.get(name)), json.dumps(second.get(name))
            if here != there:
                where = f"{name} of run {first['RunId']} at time {first['Step']:g}"
                broken(cls, "workers agree", base, f"{where} is {here} from one process and {there} from two")


def knobs_rebuild_the_run(cls: Phenomenon, **given: Scalar) -> None:
    """The resolved knobs and the seed build the same run again, as a reset in the app does."""
    for context in contexts(cls, **given):
        model = made(cls, context, None)
        again: list[Society] = [made(cls, model.knobs, seed) for seed in (model.seed, str(model.seed))]
        first = run(model)
        for other in again:
            compare(cls, "knobs rebuild the run", context, {"at first": first, "from its knobs": run(other)})


def replies_replay(cls: Phenomenon, **given: Scalar) -> None:
    """A run of language minds is made again by its recorded replies, trace for trace."""
    for context in contexts(cls, **{**given, **SCRIPT}):
        replies: dict[tuple[int, int], str | Reply] = {}

        def ask(request: Request, replies: dict[tuple[int, int], str | Reply] = replies) -> str | Reply:
            return replies.setdefault((request.agent, request.decision), SCRIPTS["chance"](request))

        def replay(request: Request, replies: dict[tuple[int, int], str | Reply] = replies) -> str | Reply:
            return replies[request.agent, request.decision]

        runs = {"by its name": run(made(cls, context))}
        for way, script in (("recorded", ask), ("replayed", replay)):
            mind = LanguageMind(SCRIPT["mind"], Scripted(script), cls.prompt)
            runs[way] = run(made(cls, {**context, **{name: mind for name in MINDS if name in context}}))
        for way in ("recorded", "replayed"):
            compare(cls, "replies replay", context, {"by its name": runs["by its name"], way: runs[way]})


def exposure_is_the_only_channel(cls: Phenomenon, **given: Scalar) -> None:
    """What an agent did reaches those alone who are exposed to it: nobody else hears, is asked or decides otherwise."""
    for context in contexts(cls, **given):
        model = made(cls, context)
        run(model, 3)
        before = answers(model)
        for row in range(0, len(model.acts.rows), 3):
            reached = {row, *readers(model, row)}
            for value in other_values(model, row):
                with imposed(model, row, value):
                    after = answers(model)
                for (reader, way, what), old in before.items():
                    new = after[reader, way, what]
                    if old != new and reader not in reached:
                        changed = f"the {what} of agent {reader} ({way}) turns from {old} to {new}"
                        why = f"when agent {row}, which it is not exposed to, does {value!r}"
                        broken(cls, "exposure is the only channel", context, f"{changed} {why}")


def luck_is_order_free(cls: Phenomenon, **given: Scalar) -> None:
    """A turn at once, in whatever batches and order it is computed, is the same turn."""
    for context in contexts(cls, **{"turns": "simultaneous", **given}):
        model = made(cls, context)
        if model.architecture.simultaneous:
            whole = run(model)._replace(measures=[])
            for name, cut in (("in shuffled batches", in_batches), ("backwards", backwards)):
                parts = run(made(cut_by(cls, cut), context))._replace(measures=[])
                compare(cls, "luck is order-free", context, {"as a whole": whole, name: parts})


def copies_continue(cls: Phenomenon, **given: Scalar) -> None:
    """A model that is pickled or copied in the middle of a run, with a change pending, goes on as if it were not."""
    law = "copies continue"
    for context in turn_structures(cls, **given):
        for change in (False, True):
            model = made(cls, context)
            run(model, 2)
            if change:
                model.intervene(4, **{name: "stubborn" for name in MINDS if name in knobs(cls)})
            try:
                copies = {"unpickled": pickle.loads(pickle.dumps(model)), "copied": copy.deepcopy(model)}
            except (pickle.PicklingError, AttributeError, TypeError) as error:
                broken(cls, law, context, f"it cannot be pickled: {error}")
            rest = run(model)
            for name, other in copies.items():
                compare(cls, law, context, {"uninterrupted": rest, name: run(other)})


def null_takes_something_away(cls: Phenomenon, **given: Scalar) -> None:
    """The null, where there is one, is knobs that the phenomenon has, makes another run, and can be put into words."""
    law, null = "the null takes something away", dict(cls.null)
    base = small(cls, **{name: value for name, value in given.items() if name not in null})
    try:
        cls.checked(base | null)
    except SpecError as error:
        broken(cls, law, null, str(error))
    run_of = {"itself": run(made(cls, base)).measures, "its null": run(made(cls, base | null)).measures}
    if null and run_of["itself"] == run_of["its null"]:
        broken(cls, law, null, "the run and its null measure the same")
    ends = [{name: float(value) for name, value in rows[-1].items()} for rows in run_of.values()]
    words = cls.finding(*ends)
    if not words or re.search(r"\bnan\b", words):
        broken(cls, law, null, f"the finding reads {words!r}")


LAWS: tuple[Callable[..., None], ...] = (
    seed_fixes_the_run,
    waves_equal_one_by_one,
    simultaneity_is_latency,
    shuffle_do_is_a_turn,
    every_knob_matters,
    silence_is_counted,
    prompts_say_everything,
    workers_agree,
    knobs_rebuild_the_run,
    replies_replay,
    exposure_is_the_only_channel,
    luck_is_order_free,
    copies_continue,
    null_takes_something_away,
)
