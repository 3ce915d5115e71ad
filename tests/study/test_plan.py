"""Plans: which cells a scenario asks for, what they are for, and that a cell stays itself whatever is added."""

import csv
import io
import json
from dataclasses import replace
from math import isnan
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plots import Plots, scenario

from agentmicro.errors import KnobError, ScenarioError
from agentmicro.minds.speaker import Speaker
from agentmicro.phenomena.channels import Channels
from agentmicro.study.compaction import _cells
from agentmicro.study.kept import _cell
from agentmicro.study.plan import Cell, Point, asked, plan, speaking
from agentmicro.study.results import STAGES
from agentmicro.study.scenario import load
from agentmicro.study.spec import Arm, Attack, Claim, Identify, Validate

TEXT = """
phenomenon = "herding"
[micro]
agents = 20
[grow]
seeds = 3
turns = 4
vary = { order = ["shuffled", "fixed"], agents = [10, 20] }
[identify]
vary = { order = ["fixed"], signal = ["hidden"] }
where = { items = 12 }
[intervene]
hide = { signal = "hidden" }
later = { signal = "hidden", at = 3 }
twice = [{ signal = "hidden", at = 2 }, { signal = "organic", order = "fixed", at = 3 }]
[attack]
slot = "place"
rows = [1, 48]
knobs = { order = "attack" }
[validate]
values = { gini = 0.4 }
where = { items = 10 }
[[claim]]
says = "One."
that = "gini"
where = { order = "fixed" }
against = { order = "shuffled" }
above = 0
seeds = 8
"""


@pytest.fixture
def whole(tmp_path):
    (tmp_path / "whole.toml").write_text(TEXT)
    return load(str(tmp_path / "whole.toml"))


def points(*values, seeds=3):
    return [Point({"agents": value}, seeds) for value in values]


def of(made, stage, role=None):
    return [use for use in made.uses if use.stage == stage and role in (None, use.role)]


def test_each_stage_has_its_cells_and_equal_ones_are_one(whole):
    made = plan(whole, points(10, 20))
    assert {use.stage for use in made.uses} == set(STAGES)
    base = of(made, "base")[0]
    assert (base.label, base.role, base.changes, isnan(base.at)) == ("base", "reference", "{}", True)
    assert made.cells[base.cell].knobs["agents"] == 20
    assert [use.label for use in of(made, "grow")] == ["agents=10", "agents=20"]
    assert of(made, "grow")[1].cell == base.cell == of(made, "intervene", "reference")[0].cell
    assert json.loads(of(made, "null")[0].changes) == dict(whole.cls.null)
    same = [json.dumps([cell.knobs, cell.steps], sort_keys=True) for cell in made.cells.values()]
    assert len(set(same)) == len(same)


def test_knobs_are_changed_alone_around_a_base_of_their_own(whole):
    made = plan(whole, ())
    reference, *arms = of(made, "identify")
    assert (reference.role, json.loads(reference.changes)) == ("reference", {"items": 12})
    assert [json.loads(use.changes) for use in arms] == [
        {"items": 12, "order": "fixed"},
        {"items": 12, "signal": "hidden"},
    ]
    changed = asked(whole, {"order": "fixed"})
    assert [use.label for use in of(plan(changed, ()), "identify", "arm")] == ["signal=hidden"]  # fixed is the base now


def test_an_arm_at_a_time_keeps_the_knobs_of_the_base_and_changes_later(whole):
    arms = {use.label: use for use in of(plan(whole, ()), "intervene", "arm")}
    cells = plan(whole, ()).cells
    assert isnan(arms["hide"].at)
    assert arms["later"].at == 3
    assert arms["hide"].changes == arms["later"].changes == '{"signal": "hidden"}'
    later = cells[arms["later"].cell]
    assert (later.knobs["signal"], later.steps) == ("organic", ((3.0, {"signal": "hidden"}),))
    assert cells[arms["hide"].cell].knobs["signal"] == "hidden"
    twice = cells[arms["twice"].cell]
    assert [(values["signal"], values["order"]) for values in twice.values] == [
        ("organic", "shuffled"),
        ("hidden", "shuffled"),
        ("organic", "fixed"),
    ]
    assert (arms["twice"].at, arms["twice"].changes) == (2.0, '{"order": "fixed"}')


def test_an_arm_of_several_changes_is_a_cell_of_its_own_that_is_kept_whole(whole):
    arm = Arm("fix", {"order": "fixed"}, 2.0, ((4.0, {"order": "shuffled", "signal": "hidden"}),))
    made = plan(replace(whole, claims=(), intervene={"fix": arm}), ())
    (use,) = of(made, "intervene", "arm")
    cell = made.cells[use.cell]
    assert cell.steps == ((2.0, {"order": "fixed"}), (4.0, {"order": "shuffled", "signal": "hidden"}))
    assert len({cell.key, Cell(cell.knobs, ((2.0, {"order": "fixed"}),)).key}) == 2
    (row,) = csv.DictReader(io.StringIO(_cells({cell.key: cell})))
    assert _cell(row) == cell


def test_the_same_attack_stands_at_each_place_and_its_reference_is_the_base(whole):
    made = plan(whole, ())
    assert of(made, "attack", "reference")[0].cell == of(made, "base")[0].cell
    arms = of(made, "attack", "arm")
    assert [use.label for use in arms] == ["1", "48"]
    assert [made.cells[use.cell].knobs["place"] for use in arms] == [1, 48]
    assert {made.cells[use.cell].knobs["order"] for use in arms} == {"attack"}


def test_claims_have_their_arms_and_nulls_and_may_ask_for_more_seeds(whole):
    made = plan(whole, ())
    uses = of(made, "claim")
    assert [use.role for use in uses] == ["where", "null", "against", "null against"]
    assert {(use.label, use.seeds) for use in uses} == {("1", 8)}
    assert made.seeds[of(made, "base")[0].cell] == 8  # the claim's other arm is the base
    assert made.seeds[of(made, "validate")[0].cell] == 3
    assert of(made, "validate")[0].role == "reference"


def test_what_is_not_asked_is_not_planned():
    made = plan(scenario(intervene={}, claims=(), vary={}, identify=Identify()), ())
    assert [use.stage for use in made.uses] == ["base", "null"]
    assert made.runs == 8


def test_every_run_comes_once_and_all_cells_have_a_seed_before_any_has_two(whole):
    made = plan(whole, points(10))
    jobs = list(made.jobs())
    assert len(jobs) == len(set(jobs)) == made.runs
    assert [seed for _, seed in jobs] == sorted(seed for _, seed in jobs)
    assert {key: max(job.seed for job in jobs if job.cell == key) for key in made.cells} == made.seeds


@given(st.integers(1, 9), st.lists(st.integers(1, 12), min_size=1, max_size=5))
def test_blocks_of_seeds_reorder_the_runs_and_change_none(block, seeds):
    made = plan(scenario(), [Point({"size": size}, count) for size, count in enumerate(seeds, start=30)])
    jobs = list(made.jobs(block))
    assert sorted(jobs) == sorted(made.jobs())
    assert [(seed - 1) // block for _, seed in jobs] == sorted((seed - 1) // block for _, seed in jobs)


def test_a_cell_keeps_its_key_when_a_scenario_gets_more(whole):
    before = set(plan(whole, points(10, 20)).cells)
    more = replace(whole, claims=(), intervene={**whole.intervene, "fix": Arm("fix", {"order": "fixed"})})
    after = set(plan(asked(more, seeds=9), points(5, 10, 15, 20, seeds=9)).cells)
    assert before - after <= {use.cell for use in of(plan(whole, ()), "claim")}


@given(st.integers(6, 9), st.integers(0, 3), st.sampled_from([None, 1.0, 2.0]))
def test_keys_are_equal_for_equal_arms_only(agents, size, at):
    steps = () if at is None else ((at, {"size": 1}),)
    one = Cell({"agents": agents, "size": size}, steps)
    same = Cell({"size": size, "agents": agents}, steps)
    others = [
        Cell({"agents": agents, "size": size + 1}, steps),
        Cell(one.knobs, ((3.0, {"size": 1}),)),
        Cell(one.knobs, ((3.0, {"size": 2}),)),
    ]
    assert one.key == same.key
    assert len({one.key, *(other.key for other in others)}) == 4


def test_other_seeds_hold_for_claims_that_state_none_of_their_own():
    plots = scenario(claims=(replace(CLAIM, seeds=4), replace(CLAIM, says="Two.", seeds=6)))
    assert [claim.seeds for claim in asked(plots, seeds=9).claims] == [9, 6]
    assert asked(plots, seeds=9).grow.seeds == 9
    assert asked(plots) == plots


CLAIM = Claim("One.", "level", "above", 0.0, 1.0)


def test_overrides_are_checked_and_belong_to_the_base():
    made = plan(asked(scenario(), {"agents": 12}), ())
    assert made.base["agents"] == 12
    assert of(made, "base")[0].changes == "{}"
    with pytest.raises(KnobError, match=r"agnts: Plots has no such knob; did you mean 'agents'\?"):
        asked(scenario(), {"agnts": 3})


def test_an_arm_that_cannot_be_names_its_table():
    wrong = scenario(validate=Validate(values={"level": 1.0}, where={"size": 1000}))
    with pytest.raises(ScenarioError, match=r"plots.toml: \[validate\] size = 1000: expected a whole number from 0 to"):
        plan(wrong, ())


# --- attacks by a mind


def attacked(mind="stubborn(act=1)", base="drift", agents=6, **given):
    made = scenario(micro={"mind": base, "agents": agents}, attack=Attack("mind", mind, **given))
    return made, {
        use.label: plan(made, ()).cells[use.cell].knobs["mind"] for use in of(plan(made, ()), "attack", "arm")
    }


def test_an_attacking_mind_takes_one_seat_after_the_other():
    made, minds = attacked()
    assert list(minds) == ["0", "1", "2", "3", "4", "5"]
    model = made.cls(agents=6, mind=minds["2"], rng=1)
    assert [model.minds[seat].name for seat in model.seats] == ["drift", "drift", "stubborn", *["drift"] * 3]


def test_the_minds_of_the_base_stay_where_they_were():
    made, minds = attacked(base="stubborn(act=0):2@0+3, drift")
    assert list(minds) == ["1", "2", "4", "5"]  # the other two are somebody's seats
    model = made.cls(agents=6, mind=minds["4"], rng=1)
    assert [model.seats[row] for row in (0, 3, 4)] == [1, 1, 0]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"base": "drift:4, stubborn:2"}, "gives every seat away by its amount; leave one mind without an amount"),
        ({"base": "stubborn:1@2, drift", "rows": (2,)}, r"rows: 2 is a seat that \[micro\] gives to somebody"),
        ({"rows": (6,)}, "rows: 6 is none of the places, which go from 0 to 5"),
    ],
)
def test_an_attack_that_cannot_be_seated_says_why(given, sentence):
    with pytest.raises(ScenarioError, match=rf"plots.toml: \[attack\] .*{sentence}"):
        attacked(**given)


def test_a_sample_of_places_grows_by_adding():
    few, more = (set(attacked(agents=50, sample=count)[1]) for count in (5, 12))
    assert len(few) == 5
    assert few < more
    assert len(attacked(agents=50, sample=80)[1]) == 50


def test_a_knob_that_holds_a_place_goes_as_far_as_there_are_agents():
    made = scenario(attack=Attack("node", "size"))
    assert [use.label for use in of(plan(made, ()), "attack", "arm")] == [str(row) for row in range(6)]


def test_all_slots_are_attacked_only_where_there_are_few(whole):
    few = scenario(attack=Attack("slot", "size"))
    assert len(of(plan(few, ()), "attack", "arm")) == 101
    with pytest.raises(ScenarioError, match=r"\[attack\] rows: expected the slots .* place goes from 1 to 10,000"):
        plan(replace(whole, attack=Attack("slot", "place")), ())


def test_who_would_be_asked_over_the_network_is_known_from_the_arms():
    defined = {"minds": "scripted:chance:3, openai/x:5, ollama_chat/y:2"}
    assert [speaker.model for speaker in speaking(Channels, [defined, {"minds": "openai/x"}])] == [
        "openai/x",
        "ollama_chat/y",
    ]
    assert speaking(Plots, [{"mind": "drift"}]) == ()


def test_minds_of_the_scenario_are_known_while_it_is_planned():
    speaker = Speaker(model="scripted:chance")
    made = plan(scenario(micro={"mind": "reader"}, minds={"reader": speaker}), ())
    assert made.base["mind"] == "reader"
    assert Path(scenario().path).name == "plots.toml"
