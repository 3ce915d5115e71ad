"""Keyed luck: a draw depends on who decides and how often, never on the order of calls.

Every draw is a pure function of (run seed, stream, decision, agent, draw): the n-th draw of an agent's n-th decision in
a named stream. Nothing is consumed, so batches, threads, waves, workers and replays change nothing, and two arms of an
experiment with the same seed differ only by the intervention (common random numbers).

The hash is the finaliser of SplitMix64 (Steele, Lea and Flood 2014, doi:10.1145/2660193.2660195; Stafford's variant
13), applied once per part of the key; successive draws walk SplitMix64's own Weyl sequence from the decision's key.
The scalar form works in Python integers, the array form in uint64; both give the same bits.
"""

import functools
import hashlib
from collections.abc import Sequence
from typing import overload

import numpy as np
from numpy.typing import NDArray

type Integers = NDArray[np.integer]
type Keys = NDArray[np.uint64]
type Floats = NDArray[np.float64]

MASK = (1 << 64) - 1
GOLDEN = 0x9E3779B97F4A7C15
FIRST = 0xBF58476D1CE4E5B9
SECOND = 0x94D049BB133111EB
UNIT = 2.0**-53
BLOCK = 1 << 14  # rows whose keys stay in the processor's cache through all the passes of the hash


def mix(value: int) -> int:
    """Scrambles 64 bits: every output bit depends on every input bit."""
    value = ((value ^ (value >> 30)) * FIRST) & MASK
    value = ((value ^ (value >> 27)) * SECOND) & MASK
    return value ^ (value >> 31)


def _mix_block(values: Keys, spare: Keys) -> None:
    for shift, factor in ((30, FIRST), (27, SECOND)):
        np.right_shift(values, np.uint64(shift), out=spare)
        np.bitwise_xor(values, spare, out=values)
        np.multiply(values, np.uint64(factor), out=values)
    np.right_shift(values, np.uint64(31), out=spare)
    np.bitwise_xor(values, spare, out=values)


def _steps(numbers: Integers) -> Keys:
    """How far each number is along the Weyl sequence, in rows that lie one after another, as `_mixed` needs them."""
    return np.multiply(numbers, np.uint64(GOLDEN), dtype=np.uint64, casting="unsafe", order="C")


def _mixed(values: Keys) -> Keys:
    """`mix` of each element, in place; blocks keep the passes inside the cache."""
    flat = values.reshape(-1)
    spare = np.empty(min(flat.size, BLOCK), np.uint64)
    for start in range(0, flat.size, BLOCK):
        block = flat[start : start + BLOCK]
        _mix_block(block, spare[: block.size])
    return values


@functools.lru_cache(maxsize=4096)
def _stream(seed: int, stream: str) -> int:
    name = int.from_bytes(hashlib.blake2b(stream.encode(), digest_size=8).digest(), "little")
    low, high = seed & MASK, (seed >> 64) & MASK
    return mix(mix(mix(low + GOLDEN & MASK) ^ high) ^ name)


def key(seed: int, stream: str, decision: int, agent: int) -> int:
    """The 64-bit key of one decision: the scalar form of `keys`."""
    return mix((mix((_stream(seed, stream) + decision * GOLDEN) & MASK) + agent * GOLDEN) & MASK)


def keys(seed: int, stream: str, decisions: Integers | int, agents: Integers) -> Keys:
    """The 64-bit keys of a batch of decisions, row by row equal to `key`."""
    root = _stream(seed, stream)
    rows = _steps(agents)
    if isinstance(decisions, np.ndarray) and decisions.size and (decisions == decisions.flat[0]).all():
        decisions = int(decisions.flat[0])
    if not isinstance(decisions, np.ndarray):
        rows += np.uint64(mix((root + int(decisions) * GOLDEN) & MASK))
    else:
        turns = _steps(decisions)
        turns += np.uint64(root)
        rows += _mixed(turns)
    return _mixed(rows)


def uniform(key: int, draw: int) -> float:
    """The draw-th number in [0, 1) of one key: the scalar form of `uniforms`."""
    return (mix((key + (draw + 1) * GOLDEN) & MASK) >> 11) * UNIT


def bits(keys: Keys, draw: int, count: int | None = None) -> Keys:
    """Raw 64-bit draws: one per key, or `count` successive ones per key as columns."""
    steps = np.arange(draw + 1, draw + 1 + (1 if count is None else count), dtype=np.uint64) * np.uint64(GOLDEN)
    values = keys + steps[0] if count is None else keys[:, None] + steps
    return _mixed(values)


def uniforms(keys: Keys, draw: int, count: int | None = None) -> Floats:
    """Numbers in [0, 1): one per key, or `count` successive ones per key as columns."""
    values = bits(keys, draw, count)
    np.right_shift(values, np.uint64(11), out=values)
    return np.multiply(values, UNIT, dtype=np.float64)


def crossed(keys: Keys, others: Integers) -> Floats:
    """One number in [0, 1) for each pair of a key and something else, such as another agent."""
    values = _steps(others)
    values += keys
    values += np.uint64(GOLDEN)
    _mixed(values)
    np.right_shift(values, np.uint64(11), out=values)
    return np.multiply(values, UNIT, dtype=np.float64)


def seed_for(seed: int, stream: str, decision: int = 0) -> int:
    """A 32-bit seed for a generator that is not ours (networkx, SciPy), from the same key."""
    return key(seed, stream, decision, 0) >> 32


def permutation(seed: int, stream: str, size: int, decision: int = 0) -> NDArray[np.intp]:
    """A uniformly random order of 0 .. size-1 that depends on the key alone."""
    return np.argsort(keys(seed, stream, decision, np.arange(size)), kind="stable")


def _normal(uniform: Floats) -> Floats:
    from scipy.special import ndtri

    return np.asarray(ndtri(np.maximum(uniform, UNIT / 2)), np.float64)


class Luck:
    """The draws of a batch of decisions, in the order in which one decision would ask for them.

    The k-th draw of a row is the same number whether its neighbours in the batch are there or not, and equal to the
    k-th draw of `Chance` for that row.
    """

    def __init__(self, seed: int, stream: str, decisions: Integers | int, agents: Integers) -> None:
        self._origin = (seed, stream, decisions, agents)
        self._drawn = 0

    @functools.cached_property
    def keys(self) -> Keys:
        """The keys of the rows, made when first asked: many rules never draw."""
        return keys(*self._origin)

    def bits(self, count: int | None = None) -> Keys:
        """Raw 64-bit draws, for callers that only compare or sort."""
        values = bits(self.keys, self._drawn, count)
        self._drawn += 1 if count is None else count
        return values

    def __call__(self, count: int | None = None) -> Floats:
        """Uniform numbers in [0, 1): one per row, or `count` per row as columns."""
        values = uniforms(self.keys, self._drawn, count)
        self._drawn += 1 if count is None else count
        return values

    def below(self, high: Integers | int) -> NDArray[np.int64]:
        """Whole numbers from 0 to high - 1, one per row; 0 where high is 0."""
        return (self() * high).astype(np.int64)

    def normal(self, count: int | None = None) -> Floats:
        """Standard normal numbers, by the inverse of the distribution function."""
        return _normal(self(count))

    def exponential(self) -> Floats:
        """Exponential numbers with mean 1."""
        return -np.log1p(-self())

    def gumbel(self, count: int | None = None) -> Floats:
        """Standard Gumbel numbers: adding them to logits and taking the largest draws from the softmax."""
        return -np.log(-np.log(np.maximum(self(count), UNIT / 2)))


class Chance:
    """The draws of one decision: the scalar twin of `Luck`."""

    def __init__(self, seed: int, stream: str, decision: int, agent: int) -> None:
        self._key = key(seed, stream, decision, agent)
        self._drawn = 0

    @overload
    def __call__(self) -> float: ...
    @overload
    def __call__(self, count: int) -> list[float]: ...
    def __call__(self, count: int | None = None) -> float | list[float]:
        """One uniform number in [0, 1), or a list of them."""
        if count is not None:
            self._drawn += count
            return [uniform(self._key, draw) for draw in range(self._drawn - count, self._drawn)]
        self._drawn += 1
        return uniform(self._key, self._drawn - 1)

    def below(self, high: int) -> int:
        """A whole number from 0 to high - 1."""
        return int(self() * high)

    def choice[T](self, options: Sequence[T]) -> T:
        """One of the options, each as likely as the others."""
        return options[self.below(len(options))]

    def order(self, size: int) -> tuple[int, ...]:
        """A random order of 0 .. size-1."""
        drawn = self(size)
        return tuple(sorted(range(size), key=drawn.__getitem__))

    def normal(self) -> float:
        """A standard normal number."""
        return float(_normal(np.array(self())))

    def exponential(self) -> float:
        """An exponential number with mean 1."""
        return float(-np.log1p(-self()))
