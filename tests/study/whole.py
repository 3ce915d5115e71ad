"""A whole study whose runs are made by formula: every stage has something to say, and nothing has run."""

from dataclasses import replace

import numpy as np
import pandas as pd

from agentmicro.minds.speaker import defined
from agentmicro.study.adequacy import adequacy
from agentmicro.study.arms import intervene, side_effects
from agentmicro.study.attacks import attacks
from agentmicro.study.claims import claims
from agentmicro.study.effects import identify
from agentmicro.study.plan import Point, plan
from agentmicro.study.results import Study
from agentmicro.study.scenario import load
from agentmicro.study.thresholds import dose, thresholds
from agentmicro.study.validation import validate

TEXT = """
phenomenon = "channels"

[risk]
name = "loss of liveness"
level = "macro"
outcome = "conflicts"
claim = "Agents that decide alike and at once never settle, though each does the sensible thing."
references = ["doi:10.1126/science.1127207", "arXiv:2507.08616"]
margin = 0.03

[micro]
agents = 24
graph = "small_world(k=4, p=0.1)"

[grow]
seeds = 12
turns = 30
vary = { loss = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5], channels = [3, 4, 6] }

[identify]
measures = ["conflicts", "settled_at"]
[identify.vary]
turns = ["random", "clocks"]
visibility = ["anonymous"]
latency = [2]
memory = [3]
channels = [4]
graph = ["ring"]

[[threshold]]
says = "Loss of messages keeps the group from settling."
of = "loss"
that = "conflicts"
reaches = 0.5

[[threshold]]
says = "It never gets that bad."
of = "loss"
that = "conflicts"
reaches = 0.95

[intervene]
"one after another" = { turns = "random" }
"unlike tie-breaking" = { minds = "any-free" }
"a fourth channel" = { channels = 4 }
"unlike, and a fourth channel" = { minds = "any-free", channels = 4 }
"remember three turns" = { memory = 3, at = 10 }

[attack]
mind = "stubborn"

[validate]
values = { conflicts = { low = 0.1, high = 0.5, source = "arXiv:2507.08616", grade = "read off a figure" } }

[[claim]]
says = "All at once, no group settles."
that = "settled"
between = [0, 0]

[[claim]]
says = "One after another, fewer links clash."
that = "conflicts"
where = { turns = "random" }
against = { turns = "simultaneous" }
below = 0

[[claim]]
says = "It is always worse than that."
that = "conflicts"
above = 0.9
"""


def study(folder, text=TEXT, failed=0, tokens=0):
    """A study of the scenario, its turns kept in the folder; the first `failed` seeds of every arm have failed."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "liveness.toml").write_text(text)
    scenario = load(str(folder / "liveness.toml"))
    grow = scenario.grow
    with defined(scenario.minds):
        points = [Point({"loss": loss, "channels": n}, grow.seeds) for loss in grow.vary["loss"] for n in (3, 4, 6)]
        made = plan(scenario, points)
    numbers = {key: number for number, key in enumerate(made.cells)}
    uses = pd.DataFrame([use._replace(cell=numbers[use.cell]) for use in made.uses])
    runs, turns = [], []
    for key, cell in made.cells.items():
        for seed in range(1, made.seeds[key] + 1):
            about = {"cell": numbers[key], "seed": seed}
            known = {f"knob_{name}": value for name, value in cell.knobs.items()}
            runs.append(about | known | _run(cell, seed, seed <= failed, tokens))
            turns += [] if seed <= failed else [about | row for row in _turns(cell, seed, scenario.turns)]
    columns = ["cell", "seed", "time", "conflicts"]
    pd.DataFrame(turns, columns=columns).to_parquet(folder / "turns.parquet")
    return Study(scenario, uses, pd.DataFrame(runs), folder)


def _run(cell, seed, bad, tokens):
    value = np.nan if bad else _conflicts(cell, seed)
    tokens = tokens * (1 + 0.1 * cell.knobs["channels"])
    ended = {
        "status": "failed" if bad else "succeeded",
        "error": "RuleError: it broke" if bad else "",
        "valid": not bad,
    }
    measured = {"conflicts": value, "settled": 0.0 * value, "settled_at": 40 * value}
    spent = {"n_calls": tokens / 50, "tokens_in": tokens, "tokens_out": tokens / 10, "cost_usd": tokens * 1e-6}
    return {**ended, **measured, **spent, "failure_rate": 0.01, "served_models": "demo-1" if tokens else ""}


def _turns(cell, seed, turns):
    """On its way to where it ends."""
    last = _conflicts(cell, seed)
    luck = np.random.default_rng([seed, 11]).normal(0, 0.02, turns + 1)
    luck[-1] = 0
    for time in range(turns + 1):
        yield {"time": time, "conflicts": float(np.clip(last + 0.3 * np.exp(-time / 6) + luck[time], 0, 1))}


def _conflicts(cell, seed):
    """What a run ends with: a smooth law of its knobs, with luck of the seed and luck of the arm."""
    knobs = cell.values[-1]
    own = sum(map(ord, repr(sorted(knobs.items()))))
    luck = np.random.default_rng([seed, 7]).normal(0, 0.03) + np.random.default_rng([seed, own]).normal(0, 0.03)
    level = 0.55 - 0.12 * (knobs["channels"] - 3) + 0.5 * (knobs["loss"] - 0.25)
    level += 0.08 * (knobs["latency"] > 0) - 0.02 * (knobs["memory"] > 0) - 0.35 * (knobs["turns"] == "random")
    level += 0.3 * (knobs["minds"] == "random") - 0.12 * (knobs["minds"] == "any-free")
    if str(knobs["minds"]).startswith("stubborn"):
        level += 0.004 * int(knobs["minds"].partition("@")[2].partition(",")[0])
    return float(np.clip(level + luck, 0.0, 1.0))


def tables(study):
    """The tables of every stage; those of sensitivity are made up, since a grid has none."""
    sobol = {
        "S1": [0.61, 0.2, 0.01],
        "S1_conf": [0.05, 0.04, 0.03],
        "ST": [0.7, 0.28, 0.02],
        "ST_conf": [0.06, 0.05, 0.02],
    }
    return {
        "dose": dose(study),
        "effects": identify(study),
        "thresholds": thresholds(study),
        "arms": intervene(study),
        "side_effects": side_effects(study),
        "attacks": attacks(study),
        "sensitivity": pd.DataFrame({"method": "sobol", "knob": ["loss", "channels", "memory"], **sobol}),
        "adequacy": adequacy(study),
        "validation": validate(study),
        "claims": claims(study),
    }


def other(study, **changes):
    """The study with other things in its scenario."""
    return replace(study, scenario=replace(study.scenario, **changes))
