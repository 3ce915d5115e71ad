"""Claims: verdicts from intervals that agree with scipy, on runs that are made once."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from agentmicro.errors import ScenarioError
from agentmicro.study import claims
from agentmicro.study.claims import Verdict, check, judge
from agentmicro.study.scenario import load
from agentmicro.study.spec import Claim

nan, inf = math.nan, math.inf


def claim(bound, *values, seeds=10):
    low = values[0] if bound != "below" else -inf
    high = values[-1] if bound != "above" else inf
    return Claim("it is so", "x", bound, low, high, seeds=seeds)


numbers = st.floats(-1e3, 1e3, allow_nan=False)


@given(st.lists(numbers, min_size=2, max_size=30), numbers)
def test_the_interval_is_students(values, bound):
    found = judge(claim("above", bound), values)
    assert found.mean == pytest.approx(np.mean(values), abs=1e-9)
    if np.std(values) > 1e-6:
        low, high = stats.t.interval(0.95, len(values) - 1, np.mean(values), stats.sem(values))
        assert (found.low, found.high) == (pytest.approx(low, abs=1e-6), pytest.approx(high, abs=1e-6))


@given(st.lists(numbers, min_size=2, max_size=30), numbers, numbers)
def test_verdicts_are_what_the_whole_interval_says(values, one, two):
    low, high = sorted((one, two))
    found = judge(claim("between", low, high), values)
    inside, outside = low <= found.low and found.high <= high, found.high < low or found.low > high
    assert found.verdict is (Verdict.HELD if inside else Verdict.BROKEN if outside else Verdict.UNDECIDED)
    above, below = judge(claim("above", one), values).verdict, judge(claim("below", one), values).verdict
    assert {above, below} in ({Verdict.HELD, Verdict.BROKEN}, {Verdict.UNDECIDED}, {Verdict.BROKEN})


@pytest.mark.parametrize(
    ("made", "verdict"),
    [
        (claim("between", 1, 1), Verdict.HELD),
        (claim("between", 0, 0.9), Verdict.BROKEN),
        (claim("above", 1), Verdict.BROKEN),
        (claim("above", 0.9), Verdict.HELD),
        (claim("below", 1), Verdict.BROKEN),
        (claim("below", 1.1), Verdict.HELD),
    ],
)
def test_a_number_that_never_varies_is_a_point(made, verdict):
    found = judge(made, [1.0] * 5)
    assert (found.low, found.high, found.verdict) == (1.0, 1.0, verdict)


def test_rounding_is_not_luck():
    assert judge(claim("between", 0.3, 0.3), [0.3] * 7).verdict is Verdict.HELD


def test_undefined_in_some_seeds_is_undecided_and_in_all_is_broken():
    some = judge(claim("above", 0), [1.0, 1.0, nan])
    assert (some.verdict, some.undefined, some.mean) == (Verdict.UNDECIDED, 1, 1.0)
    every = judge(claim("above", 0), [nan, nan])
    assert (every.verdict, every.undefined) == (Verdict.BROKEN, 2)
    assert judge(claim("above", 0), [1.0, inf, 2.0]).verdict is Verdict.UNDECIDED


def test_one_seed_decides_nothing():
    assert judge(claim("above", 0), [5.0]).verdict is Verdict.UNDECIDED


def test_so_many_more_seeds_would_decide():
    rng = np.random.default_rng(5)
    values = rng.normal(0.2, 1, 20)
    found = judge(claim("above", 0), values)
    assert found.verdict is Verdict.UNDECIDED
    assert found.more is not None
    # The same spread over that many seeds: by the normal approximation the interval just leaves the bound.
    wide = stats.t.ppf(0.975, 19) * values.std(ddof=1) / math.sqrt(20 + found.more)
    assert wide <= abs(values.mean()) < wide * 1.05
    assert judge(claim("above", float(values.mean())), values).more is None


VOTER = """
phenomenon = "voter"
[micro]
agents = 12
graph = "complete"
share = 0.25
[grow]
seeds = 4
turns = 6
[[claim]]
says = "The null keeps its share."
that = "share"
where = { mind = "stubborn" }
between = [0.25, 0.25]
[[claim]]
says = "At first all hold what they are given."
that = "agreement"
at = 0
between = [0.75, 0.75]
[[claim]]
says = "More who begin with 1 make more of them, by construction at the start."
that = "share"
where = { share = 0.5 }
against = {}
at = 0
between = [0.25, 0.25]
[[claim]]
says = "Nobody ever agrees."
that = "agreement"
where = { mind = "stubborn" }
below = 0.5
"""


@pytest.fixture
def voter(tmp_path):
    path = tmp_path / "case.toml"
    path.write_text(VOTER)
    return load(str(path))


def test_claims_are_judged_beside_their_null(voter):
    found = check(voter)
    assert [item.verdict.value for item in found.judged] == ["held", "held", "held", "broken"]
    assert not found.held
    assert found.judged[1].null == 0.75
    assert found.judged[2].null == 0.25
    assert found.as_json()["claims"][3]["verdict"] == "broken"


def test_each_arm_is_run_once_for_each_seed(voter, monkeypatch):
    made = []
    once = claims.run

    def counted(cls, knobs, seed, turns, progress=None):
        made.append((*sorted(knobs.items()), seed, turns))
        return once(cls, knobs, seed, turns, progress)

    monkeypatch.setattr(claims, "run", counted)
    found = check(voter)
    arms = {(("mind", mind), ("share", share)) for mind in ("voter", "stubborn") for share in (0.25, 0.5)}
    assert len(made) == len(set(made)) == found.runs == 4 * len(arms)


def test_differences_are_paired_by_seed(tmp_path):
    path = tmp_path / "pairs.toml"
    path.write_text(
        'phenomenon = "voter"\n[grow]\nseeds = 6\nturns = 3\n[[claim]]\nsays = "Same arm, same luck."\n'
        'that = "share"\nagainst = {}\nbetween = [0, 0]\n'
    )
    assert check(load(str(path))).held


def test_overrides_take_the_place_of_the_microspecification(voter):
    found = check(voter, {"share": 0.75})
    assert found.judged[1].verdict is Verdict.HELD
    assert found.judged[0].verdict is Verdict.BROKEN
    assert found.judged[0].mean == 0.75


def test_runs_in_which_too_many_decisions_fail_are_counted(voter):
    assert check(voter).invalid == 0
    assert check(voter, {"mind": "silent"}).invalid > 0


def test_a_scenario_without_claims_is_no_success(tmp_path):
    path = tmp_path / "empty.toml"
    path.write_text('phenomenon = "voter"\n')
    with pytest.raises(ScenarioError, match=r"empty.toml: no \[\[claim\]\] to check"):
        check(load(str(path)))


def test_an_arm_that_cannot_be_built_says_which_claim(tmp_path):
    path = tmp_path / "odd.toml"
    path.write_text(
        'phenomenon = "voter"\n[[claim]]\nsays = "x"\nthat = "share"\nabove = 0\n'
        'where = { agents = 5, graph = "random_regular(k=3)" }\n'
    )
    with pytest.raises(ScenarioError, match=r"odd.toml: \[claim 1\] random_regular with 5 agents"):
        check(load(str(path)))


@settings(deadline=None, max_examples=30)
@given(st.lists(numbers | st.just(nan), min_size=1, max_size=8), numbers)
def test_no_numbers_break_the_judge(values, bound):
    found = judge(claim("below", bound), values, values)
    assert found.verdict in Verdict
    assert found.undefined == sum(map(math.isnan, values))
