import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from agentmicro import noise
from agentmicro.noise import BLOCK, Chance, Luck

MASK = 2**64 - 1

seeds = st.one_of(st.integers(-(2**130), 2**130), st.integers(0, 100))
streams = st.text(max_size=12)
small = st.integers(-(2**63), 2**63 - 1)
keyed = st.tuples(seeds, streams, small, small)


def splitmix(state):
    """The next output of SplitMix64 as its authors publish it."""
    state = (state + 0x9E3779B97F4A7C15) & MASK
    z = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return state, z ^ (z >> 31)


# --- the hash


def test_the_finaliser_is_that_of_splitmix64():
    # The first five outputs of the published generator from state 1234567.
    published = [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]
    state, drawn = 1234567, []
    for _ in published:
        state, value = splitmix(state)
        drawn.append(value)
    assert drawn == published
    assert [noise.mix((1234567 + (k + 1) * noise.GOLDEN) & MASK) for k in range(5)] == published


@settings(deadline=None)
@given(st.integers(0, MASK), st.integers(0, 200))
def test_successive_draws_walk_splitmix64_from_the_key(key, draw):
    state = key
    for _ in range(draw + 1):
        state, value = splitmix(state)
    assert noise.uniform(key, draw) == (value >> 11) / 2**53


def test_one_flipped_bit_flips_half_of_the_others():
    rng = np.random.default_rng(1)
    values = rng.integers(0, 2**63, 400).tolist()
    for bit in range(64):
        flips = [(noise.mix(value) ^ noise.mix(value ^ (1 << bit))).bit_count() for value in values]
        assert abs(np.mean(flips) - 32) < 5 * 4 / np.sqrt(len(values))


# --- scalar and array forms


@settings(deadline=None)
@given(seeds, streams, st.lists(st.tuples(small, small), min_size=1, max_size=20), st.integers(0, 50))
def test_array_keys_and_draws_equal_the_scalar_ones(seed, stream, parts, draw):
    decisions, agents = (np.array(column, np.int64) for column in zip(*parts, strict=True))
    keys = noise.keys(seed, stream, decisions, agents)
    assert keys.tolist() == [noise.key(seed, stream, int(d), int(a)) for d, a in parts]
    assert noise.uniforms(keys, draw).tolist() == [noise.uniform(int(key), draw) for key in keys]


@settings(deadline=None)
@given(seeds, streams, small, st.lists(small, max_size=20))
def test_equal_decisions_may_be_one_number_or_an_array_of_it(seed, stream, decision, agents):
    rows = np.array(agents, np.int64)
    one = noise.keys(seed, stream, decision, rows)
    assert one.tolist() == noise.keys(seed, stream, np.full(len(rows), decision), rows).tolist()
    assert one.tolist() == [noise.key(seed, stream, decision, agent) for agent in agents]
    if agents:
        assert one.tolist() == noise.keys(seed, stream, np.int64(decision), rows).tolist()


@pytest.mark.parametrize("dtype", [np.int8, np.int32, np.int64, np.uint32, np.intp])
def test_the_type_of_the_rows_does_not_matter(dtype):
    rows = np.array([0, 5, 100], dtype)
    expected = [noise.key(3, "x", 2, row) for row in (0, 5, 100)]
    assert noise.keys(3, "x", 2, rows).tolist() == expected
    assert noise.keys(3, "x", rows, rows).tolist() == [noise.key(3, "x", row, row) for row in (0, 5, 100)]
    wide = np.arange(40, dtype=dtype)
    assert noise.keys(3, "x", 2, wide[::3]).tolist() == noise.keys(3, "x", 2, wide[::3].copy()).tolist()


@pytest.mark.parametrize("order", ["C", "F"])
def test_the_layout_of_a_table_of_rows_does_not_matter(order):
    rows = np.asarray(np.arange(12).reshape(3, 4), order=order)
    assert noise.keys(1, "x", 0, rows).tolist() == [[noise.key(1, "x", 0, int(row)) for row in line] for line in rows]


@settings(deadline=None, max_examples=60)
@given(keyed, st.lists(st.sampled_from(["one", "several", "below", "normal", "exponential"]), max_size=6))
def test_luck_and_chance_draw_the_same_numbers_in_the_same_order(parts, calls):
    seed, stream, decision, agent = parts
    luck = Luck(seed, stream, decision, np.array([agent, agent ^ 1]))
    chance = Chance(seed, stream, decision, agent)
    for call in calls:
        match call:
            case "one":
                assert luck()[0] == chance()
            case "several":
                assert luck(3)[0].tolist() == chance(3)
            case "below":
                assert luck.below(7)[0] == chance.below(7)
            case "normal":
                assert luck.normal()[0] == chance.normal()
            case "exponential":
                assert luck.exponential()[0] == pytest.approx(chance.exponential(), rel=1e-15)


@settings(deadline=None)
@given(keyed, st.integers(0, 9))
def test_scalar_orders_and_choices_follow_the_draws(parts, size):
    drawn = Chance(*parts)(size)
    assert Chance(*parts).order(size) == tuple(np.argsort(drawn, kind="stable").tolist())
    if size:
        options = "abcdefghi"[:size]
        assert Chance(*parts).choice(options) == options[int(Chance(*parts)() * size)]


# --- the same key, the same number, in any batch


@pytest.mark.parametrize("size", [0, 1, 2, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 2 * BLOCK + 3])
@pytest.mark.parametrize("decisions", ["equal", "unequal"])
def test_blocks_leave_no_seam(size, decisions):
    rows = np.arange(size)
    numbers = 4 if decisions == "equal" else rows % 5
    keys = noise.keys(9, "x", numbers, rows)
    at = [row for row in (0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK - 1, 2 * BLOCK, size - 1) if 0 <= row < size]
    assert keys[at].tolist() == [noise.key(9, "x", 4 if decisions == "equal" else row % 5, row) for row in at]
    assert noise.uniforms(keys, 2)[at].tolist() == [noise.uniform(int(keys[row]), 2) for row in at]


@settings(deadline=None)
@given(seeds, st.lists(st.integers(0, 2**40), min_size=1, max_size=30, unique=True), st.data())
def test_a_row_draws_the_same_in_any_batch(seed, rows, data):
    everyone, some = np.array(rows), np.array(data.draw(st.permutations(rows)))[: data.draw(st.integers(1, len(rows)))]
    whole = dict(zip(rows, Luck(seed, "decide", 3, everyone)(2).tolist(), strict=True))
    part = dict(zip(some.tolist(), Luck(seed, "decide", 3, some)(2).tolist(), strict=True))
    assert part == {row: whole[row] for row in part}


@settings(deadline=None)
@given(keyed, st.lists(st.integers(1, 4), min_size=1, max_size=5))
def test_draws_may_be_asked_for_in_any_portions(parts, portions):
    seed, stream, decision, agent = parts
    rows = np.array([agent, agent ^ 3])
    luck = Luck(seed, stream, decision, rows)
    together = np.concatenate([luck(portion) for portion in portions], axis=1)
    assert together.tolist() == Luck(seed, stream, decision, rows)(sum(portions)).tolist()


def test_luck_is_the_same_in_every_process():
    # str hashes differ between processes; ours must not.
    program = "from agentmicro import noise; print(noise.key(7, 'decide', 3, 11))"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert int(found.stdout) == noise.key(7, "decide", 3, 11)


# --- uniformity


@pytest.mark.parametrize("vary", ["agent", "decision", "draw", "seed", "stream"])
def test_draws_are_uniform_along_every_part_of_the_key(vary):
    size = 20_000
    steps = np.arange(size)
    drawn = {
        "agent": lambda: noise.uniforms(noise.keys(1, "decide", 0, steps), 0),
        "decision": lambda: noise.uniforms(noise.keys(1, "decide", steps, np.zeros(size, int)), 0),
        "draw": lambda: noise.uniforms(noise.keys(1, "decide", 0, np.array([5])), 0, size)[0],
        "seed": lambda: np.array([noise.uniform(noise.key(seed, "decide", 0, 0), 0) for seed in range(size)]),
        "stream": lambda: np.array([noise.uniform(noise.key(1, f"s{name}", 0, 0), 0) for name in range(size)]),
    }[vary]()
    assert stats.kstest(drawn, "uniform").pvalue > 1e-3
    assert stats.chisquare(np.bincount((drawn * 256).astype(int), minlength=256)).pvalue > 1e-3
    low_bits = (drawn * 2.0**53).astype(np.uint64) & np.uint64(255)
    assert stats.chisquare(np.bincount(low_bits.astype(int), minlength=256)).pvalue > 1e-3


def test_numbers_stay_in_the_half_open_unit_interval():
    assert noise.UNIT * (MASK >> 11) < 1
    drawn = noise.uniforms(noise.keys(2, "x", 0, np.arange(100_000)), 0)
    assert drawn.min() >= 0
    assert drawn.max() < 1


# --- independence


def correlations(table):
    """The largest absolute correlation between different columns, in standard errors."""
    found = np.corrcoef(table, rowvar=False)
    np.fill_diagonal(found, 0)
    return np.abs(found).max() * np.sqrt(len(table))


def test_agents_decisions_streams_seeds_and_draws_are_pairwise_uncorrelated():
    rows = np.arange(8_000)
    by_draw = noise.uniforms(noise.keys(1, "decide", 0, rows), 0, 12)
    by_decision = np.column_stack([noise.uniforms(noise.keys(1, "decide", turn, rows), 0) for turn in range(12)])
    by_stream = np.column_stack([noise.uniforms(noise.keys(1, name, 0, rows), 0) for name in "abcdefgh"])
    by_seed = np.column_stack([noise.uniforms(noise.keys(seed, "decide", 0, rows), 0) for seed in range(-4, 8)])
    for table in (by_draw, by_decision, by_stream, by_seed):
        assert correlations(table) < 4.5


@pytest.mark.parametrize("lag", [1, 2, 3, 64, 1000])
def test_neighbouring_agents_and_turns_do_not_follow_one_another(lag):
    rows = noise.uniforms(noise.keys(1, "decide", 0, np.arange(20_000)), 0)
    turns = noise.uniforms(noise.keys(1, "decide", np.arange(20_000), np.zeros(20_000, int)), 0)
    for series in (rows, turns):
        assert abs(np.corrcoef(series[:-lag], series[lag:])[0, 1]) < 4.5 / np.sqrt(series.size - lag)


def test_pairs_of_draws_fill_the_square_evenly():
    drawn = noise.uniforms(noise.keys(4, "decide", 0, np.arange(50_000)), 0, 2)
    cells = (drawn * 16).astype(int)
    assert stats.chisquare(np.bincount(cells[:, 0] * 16 + cells[:, 1], minlength=256)).pvalue > 1e-3


def test_agent_and_decision_do_not_stand_in_for_one_another():
    # Keys that add the parts up would collide on the diagonal.
    grid = {(d, a): noise.key(1, "decide", d, a) for d in range(60) for a in range(60)}
    assert len(set(grid.values())) == len(grid)
    draws = {(noise.bits(np.array([key], np.uint64), k)[0]) for key in list(grid.values())[:400] for k in range(5)}
    assert len(draws) == 2000


def test_pairs_with_another_agent_are_uniform_and_not_symmetric():
    keys = noise.keys(1, "shown", 0, np.arange(200))
    table = noise.crossed(np.repeat(keys, 200), np.tile(np.arange(200), 200)).reshape(200, 200)
    assert stats.kstest(table.ravel(), "uniform").pvalue > 1e-3
    upper = np.triu_indices(200, 1)
    assert abs(np.corrcoef(table[upper], table.T[upper])[0, 1]) < 4.5 / np.sqrt(upper[0].size)
    assert correlations(table[:, :12]) < 4.5


# --- distributions


def test_derived_distributions_are_what_they_are_called():
    luck = Luck(5, "decide", 0, np.arange(20_000))
    assert stats.kstest(luck.normal(), "norm").pvalue > 1e-3
    assert stats.kstest(luck.exponential(), "expon").pvalue > 1e-3
    assert stats.kstest(luck.gumbel(), "gumbel_r").pvalue > 1e-3
    assert stats.kstest(luck.normal(3).ravel(), "norm").pvalue > 1e-3
    assert stats.chisquare(np.bincount(luck.below(7), minlength=7)).pvalue > 1e-3


def test_the_largest_of_logits_with_gumbel_noise_is_drawn_from_the_softmax():
    logits = np.array([0.0, 1.0, -0.5, 2.0])
    drawn = (logits + Luck(6, "decide", 0, np.arange(40_000)).gumbel(4)).argmax(axis=1)
    softmax = np.exp(logits) / np.exp(logits).sum()
    assert stats.chisquare(np.bincount(drawn, minlength=4), softmax * 40_000).pvalue > 1e-3


@settings(deadline=None)
@given(st.lists(st.integers(0, 2**40), min_size=1, max_size=20), seeds)
def test_whole_numbers_stay_below_their_bound_and_are_0_where_there_is_none(high, seed):
    drawn = Luck(seed, "x", 0, np.arange(len(high))).below(np.array(high))
    assert all(0 <= value < max(bound, 1) for value, bound in zip(drawn.tolist(), high, strict=True))


# --- orders


@settings(deadline=None)
@given(seeds, streams, st.integers(0, 50), st.integers(0, 2**40))
def test_a_permutation_is_one(seed, stream, size, decision):
    order = noise.permutation(seed, stream, size, decision)
    assert sorted(order.tolist()) == list(range(size))
    assert order.tolist() == noise.permutation(seed, stream, size, decision).tolist()


def test_permutations_are_uniform():
    runs = 24_000
    codes = [noise.permutation(3, "order", 4, turn) @ [64, 16, 4, 1] for turn in range(runs)]
    _, counts = np.unique(codes, return_counts=True)
    assert counts.size == 24
    assert stats.chisquare(counts).pvalue > 1e-3


def test_seeds_for_other_generators_differ_and_fit_32_bits():
    found = [noise.seed_for(seed, stream) for seed in range(200) for stream in ("topology", "traits")]
    assert len(set(found)) == len(found)
    assert all(0 <= value < 2**32 for value in found)
