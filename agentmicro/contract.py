"""The contract: the laws that every phenomenon passes, each a function of its class.

A law makes small runs of the phenomenon, under its defaults and under one other micro-variable or mind at a time, and
raises `Broken` with a sentence that says which phenomenon breaks what, where, and the two values that differ. Knobs given
to a law hold in all of its runs. A phenomenon of your own is checked by

    for law in LAWS:
        law(MyPhenomenon)
"""

import copy
import json
import math
import pickle
from collections.abc import Callable
from typing import Any

import mesa
import numpy as np

from agentmicro.affordances import Choice, Picks
from agentmicro.completion import Scripted
from agentmicro.errors import listed
from agentmicro.knobs import Scalar, knobs
from agentmicro.minds import LanguageMind
from agentmicro.society import MINDS, Society
from agentmicro.trials import (
    LENGTH,
    SEED,
    Broken,
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
    in_batches,
    omission,
    one_by_one,
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
    for knobs_ in contexts(cls, **given):
        first = run(cls(**knobs_, rng=SEED))
        compare(cls, law, knobs_, {"the first time": first, "the second time": run(cls(**knobs_, rng=SEED))})
    for knobs_ in turn_structures(cls, given):
        if run(cls(**knobs_, rng=SEED)) == run(cls(**knobs_, rng=SEED + 1)):
            broken(cls, "another seed makes another run", knobs_, f"seeds {SEED} and {SEED + 1} make the same run")


def waves_equalone_by_one(cls: Phenomenon, **given: Scalar) -> None:
    """A sequential turn run in waves is the turn of one agent after another, trace for trace."""
    for turns in ("random", "fixed"):
        for knobs_ in contexts(cls, **{"turns": turns, **given}):
            model = cls(**knobs_, rng=SEED)
            if model.architecture.turns in ("random", "fixed"):
                alone = run(cut_by(cls, one_by_one)(**knobs_, rng=SEED))
                compare(cls, "waves equal one by one", knobs_, {"in waves": run(model), "one by one": alone})


def simultaneity_is_latency(cls: Phenomenon, **given: Scalar) -> None:
    """A simultaneous turn is any order of one agent after another with one more turn of latency, trace for trace."""
    for knobs_ in contexts(cls, **{"turns": "simultaneous", **given}):
        model = cls(**knobs_, rng=SEED)
        if not model.architecture.simultaneous:
            continue
        for turns in ("random", "fixed"):
            late = cut_by(cls, one_by_one)(**knobs_, rng=SEED)
            late.rearrange(turns=turns, latency=late.architecture.latency + 1)
            for source in late.sources.values():
                source.latency += 1
            both = {"at once": run(copy.deepcopy(model)), f"one by one ({turns}) a turn late": run(late)}
            compare(cls, "simultaneity is latency", knobs_, both)


def shuffle_do_is_a_turn(cls: Phenomenon, **given: Scalar) -> None:
    """`agents.shuffle_do("step")` is a sequential turn in the order that it draws."""

    def by_mesa(self: Society) -> None:
        self.agents.shuffle_do("step")
        self.unfold()
        self.datacollector.collect(self)

    for knobs_ in contexts(cls, **{"turns": "random", **given}):
        model = type(cls.__name__, (cls,), {"step": by_mesa})(**knobs_, rng=SEED)
        if model.architecture.turns not in ("random", "fixed"):
            continue
        shuffled = run(model)
        order: dict[int, list[int]] = {}
        for entry in model.trace or ():
            order.setdefault(int(entry["time"]), []).append(entry["agent"])
        drawn = cut_by(cls, lambda self, rows, order=order: [np.array([row]) for row in order[int(self.time)]])
        both = {"by shuffle_do": shuffled, "by a turn in that order": run(drawn(**knobs_, rng=SEED))}
        compare(cls, "shuffle_do is a turn", knobs_, both)


def every_knob_matters(cls: Phenomenon, **given: Scalar) -> None:
    """Every knob changes the trace or the measures, or stands in `inert` with the reason, and then it does not."""
    law, known = "every knob matters", knobs(cls)
    for name in (*cls.inert, *cls.needs):
        if name not in known:
            broken(cls, law, {}, f"{name} stands in inert or needs, and there is no such knob")
    for name, knob in known.items():
        tried: list[Scalar] = []
        for extra in [{}, cls.needs[name]] if name in cls.needs else [{}]:
            base = small(cls, **{**given, **extra})
            plain = behaviour(run(cls(**base, rng=SEED)))
            now = base.get(name, knob.default)
            for value in alternatives(cls, knob, now):
                model = built(cls, base | {name: value})
                if model is None:
                    continue
                tried.append(value)
                if behaviour(run(model)) == plain:
                    continue
                if name in cls.inert:
                    broken(cls, law, base, f"{name} is said to be inert, and {now!r} and {value!r} differ")
                break
            else:
                continue
            break
        else:
            if not cls.inert.get(name):
                broken(cls, law, given, f"{name} = {known[name].default!r} does what {listed(tried) or 'nothing'} do")


def silence_is_counted(cls: Phenomenon, **given: Scalar) -> None:
    """A population that never answers runs to the end, as failures: nothing moves and no measure is infinite."""
    law = "silence is counted"
    if not set(MINDS) & set(knobs(cls)):
        broken(cls, law, {}, f"it has no knob {' or '.join(MINDS)}, so that its minds cannot be replaced")
    for knobs_ in contexts(cls, **dict.fromkeys(MINDS, "silent"), **given):
        model = cls(**knobs_, rng=SEED)
        before = written(model.affordance, model.acts.own)
        try:
            run(model)
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:
            broken(cls, law, knobs_, f"the run stops with {type(error).__name__}: {error}")
        asked, failed = model.n_decisions, model.n_failed_decisions
        if failed != asked or not asked or model.valid:
            broken(cls, law, knobs_, f"{failed} of {asked} decisions failed, and valid is {model.valid}")
        for row, (old, new) in enumerate(zip(before, written(model.affordance, model.acts.own), strict=True)):
            if old != new:
                broken(cls, law, knobs_, f"agent {row} went from {old} to {new} without an answer")
        for name, column in model.datacollector.model_vars.items():
            for turn, value in enumerate(column):
                if isinstance(value, complex | str) or value is None or math.isinf(value):
                    broken(cls, law, knobs_, f"{name} is {value!r} in row {turn}, expected a number or NaN")


def prompts_say_everything(cls: Phenomenon, **given: Scalar) -> None:
    """A prompt shows all that its reader hears and every option, in an order and under labels drawn by keyed luck."""
    law = "prompts say everything"
    for knobs_ in contexts(cls, **SCRIPT, **given):
        models = [cls(**knobs_, rng=SEED), cls(**knobs_, rng=SEED)]
        prompts: list[list[str]] = [[], []]
        offers = set()
        for model, texts in zip(models, prompts, strict=True):
            for _ in range(LENGTH):
                model.step()
                seen = model.expose(model.acts.rows)
                texts.extend(cls.prompt(seen.one(index)) for index in range(len(seen)))
                offers |= {(one.offer.order, one.offer.labelled) for one in map(seen.one, range(len(seen)))}
            for index in range(len(seen)):
                fault = omission(cls, seen, index)
                if fault:
                    where = f"agent {index} at time {seen.time:g}"
                    broken(cls, law, knobs_, f"the prompt of {where} {fault}")
        for row, (first, second) in enumerate(zip(*prompts, strict=True)):
            if first != second:
                broken(cls, law, knobs_, f"prompt {row} is {first!r} once and {second!r} another time, by one seed")
        if isinstance(seen.asked, Choice | Picks) and len(seen.asked.options) > 1 and len(offers) < 2:
            broken(cls, law, knobs_, f"every decision is offered the same order and labels, {offers}")


def workers_agree(cls: Phenomenon, **given: Scalar) -> None:
    """Two worker processes of `mesa.batch_run` give the rows that one gives."""
    base = small(cls, **given)
    rows = [
        mesa.batch_run(cls, base, number, max_steps=2, display_progress=False, data_collection_period=1, rng=[1, 2])
        for number in (1, 2)
    ]
    one, two = (
        [json.dumps(row) for row in sorted(found, key=lambda row: (row["RunId"], row["Step"]))] for found in rows
    )
    for first, second in zip(one, two, strict=True):
        if first != second:
            broken(cls, "workers agree", base, f"one process gives {first}, two give {second}")


def knobs_rebuild_the_run(cls: Phenomenon, **given: Scalar) -> None:
    """The resolved knobs and the seed build the same run again, as a reset in the app does."""
    for knobs_ in contexts(cls, **given):
        model = cls(**knobs_)
        again: list[Society] = [cls(**model.knobs, rng=seed) for seed in (model.seed, str(model.seed))]
        first = run(model)
        for other in again:
            compare(cls, "knobs rebuild the run", knobs_, {"at first": first, "from its knobs": run(other)})


def replies_replay(cls: Phenomenon, **given: Scalar) -> None:
    """A run of language minds is made again by its recorded replies, trace for trace."""
    for knobs_ in contexts(cls, **SCRIPT, **given):
        first = run(cls(**knobs_, rng=SEED))
        said = {(entry["agent"], entry["decision"]): entry["said"] for entry in first.entries}
        recorded = LanguageMind(
            SCRIPT["mind"], Scripted(lambda asked, said=said: said[asked.agent, asked.decision]), cls.prompt
        )
        minds: dict[str, Any] = {name: recorded for name in MINDS if name in knobs_}
        both = {"asked": first, "replayed": run(cls(**{**knobs_, **minds}, rng=SEED))}
        compare(cls, "replies replay", knobs_, both)


def exposure_is_the_only_channel(cls: Phenomenon, **given: Scalar) -> None:
    """What an agent did reaches those alone who are exposed to it: nobody else hears, is asked or decides otherwise."""
    for knobs_ in contexts(cls, **given):
        model = cls(**knobs_, rng=SEED)
        for _ in range(3):
            model.step()
        before = answers(model)
        for row in range(0, len(model.acts.rows), 3):
            allowed = readers(model, row)
            for undo in _other_acts(model, row):
                after = answers(model)
                undo()
                for who in before:
                    if before[who] != after[who] and int(who.split()[0]) not in {row, *allowed}:
                        what = f"agent {who} is not exposed to agent {row}, yet its act turns {before[who]} into"
                        broken(cls, "exposure is the only channel", knobs_, f"{what} {after[who]}")


def luck_is_order_free(cls: Phenomenon, **given: Scalar) -> None:
    """A turn at once, in whatever batches and order it is computed, is the same turn."""
    for knobs_ in contexts(cls, **{"turns": "simultaneous", **given}):
        model = cls(**knobs_, rng=SEED)
        if model.architecture.simultaneous:
            whole = run(model)._replace(measures=[])
            for name, cut in (("in shuffled batches", in_batches), ("backwards", backwards)):
                parts = run(cut_by(cls, cut)(**knobs_, rng=SEED))._replace(measures=[])
                compare(cls, "luck is order-free", knobs_, {"as a whole": whole, name: parts})


def copies_continue(cls: Phenomenon, **given: Scalar) -> None:
    """A model that is pickled or copied in the middle of a run, with a change pending, goes on as if it were not."""
    law = "copies continue"
    for knobs_ in turn_structures(cls, given):
        for change in (False, True):
            model = cls(**knobs_, rng=SEED)
            run(model, 2)
            if change:
                model.intervene(4, **{name: "stubborn" for name in MINDS if name in knobs(cls)})
            try:
                copies = {"unpickled": pickle.loads(pickle.dumps(model)), "copied": copy.deepcopy(model)}
            except (pickle.PicklingError, AttributeError, TypeError) as error:
                broken(cls, law, knobs_, f"it cannot be pickled: {error}")
            rest = run(model)
            for name, other in copies.items():
                compare(cls, law, knobs_, {"uninterrupted": rest, name: run(other)})


LAWS: tuple[Callable[..., None], ...] = (
    seed_fixes_the_run,
    waves_equalone_by_one,
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
)
