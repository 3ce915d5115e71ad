"""Five tasks that a network solves together: what may be answered, in how many rounds, and how well it is solved.

The tasks and scores are those of AgentsNet (Groetschla et al., arXiv:2507.08616): a colouring, a vertex cover, a
matching, one leader, one value. `met` says agent by agent whether its own part is done; a task is solved when
everybody's is. The scores are soft: they give credit for a part of the task and are high by chance; `chance` is how
high.

Answers are integer codes, one per agent, negative for an agent without an answer: the place among the `options` of the
task. Links are undirected, and every rule holds for disconnected networks and for a single agent.
"""

from math import ceil, log2

import networkx as nx
import numpy as np
from numpy.typing import ArrayLike, NDArray

from agentmicro.errors import SpecError, listed, nearest
from agentmicro.graphs import Links
from agentmicro.noise import keys, uniforms

type Codes = NDArray[np.int64]
type Flags = NDArray[np.bool_]

TASKS = ("coloring", "vertex_cover", "matching", "leader_election", "consensus")
FAR = ("leader_election", "consensus")  # the tasks that need news from everywhere
YES = 0
SMALL = 16  # agents up to which the other tasks have a few rounds only
ENUMERATED = 12  # agents up to which all covers are tried; beyond, so many are drawn
DRAWN = 4_000
CELLS = 4_000_000  # but never more draws times links than this


def options(task: str, links: Links) -> tuple[str, ...]:
    """What may be answered: a group, yes or no, an agent or none, a value."""
    if task == "coloring":
        return tuple(f"Group {number + 1}" for number in range(int(links.degrees.max()) + 1))
    if task == "matching":
        return *map(str, links.names), "None"
    return ("0", "1") if task == "consensus" else ("Yes", "No")


def published_rounds(task: str, links: Links) -> int:
    """The rounds that AgentsNet gives: twice the diameter and one; for local tasks 4, 5, 6 at 4, 8, 16 agents.

    Between those sizes it is log2 of the agents, rounded up, and two. Of a network in parts the widest part counts.
    """
    if task not in FAR and links.n <= SMALL:
        return ceil(log2(links.n)) + 2
    if links.complete:
        return 3 if links.n > 1 else 1
    graph = links.graph
    whole = links.is_connected()  # then there is nothing to copy
    parts = [graph] if whole else [graph.subgraph(part).copy() for part in nx.connected_components(graph)]
    return 2 * max(int(nx.diameter(part, usebounds=True)) for part in parts) + 1


def met(task: str, answers: ArrayLike, links: Links) -> Flags:
    """Which agents do their part: everybody does exactly where the task is solved.

    Colouring: no neighbour is in the same group. Cover: a member has a neighbour that is none, and who is none has
    members alone around it. Matching: the partner is a neighbour that names it back, or it names nobody and every
    neighbour names somebody. Election: it is not one of several leaders, and there is one. Consensus: it gives the
    most frequent answer. An agent without an answer does not do its part.
    """
    codes = _codes(task, answers, links)
    given = codes >= 0
    if task == "coloring":
        return np.asarray(given & (_near(links, _alike(codes, links)) == 0))
    if task == "vertex_cover":
        outside = links.pattern @ (codes != YES).astype(float) > 0
        return np.asarray(given & (outside == (codes == YES)))
    if task == "matching":
        return _paired(codes, links)
    if task == "leader_election":
        leaders = int((codes == YES).sum())
        return np.asarray(given & ((codes != YES) | (leaders == 1)) & (leaders > 0))
    return np.asarray(given & (codes == np.bincount(codes[given], minlength=1).argmax()))


def score(task: str, answers: ArrayLike, links: Links) -> float:
    """How far the answers solve the task, from 0 to 1, as AgentsNet grades them.

    Colouring: the share of links between different groups, 0 unless everybody answers. Matching: the share of agents
    that do their part. Cover: the share of links with a member at an end, times the share of members that cannot be
    left out, and where links are uncovered that is every member. Election and consensus: 1 or 0.
    Edges: a cover without members scores 0. Without links a colouring scores 1 and a cover without members too, once
    everybody has answered.
    """
    codes = _codes(task, answers, links)
    if task == "matching":
        return float(_paired(codes, links).mean())
    if task == "coloring":
        alike = _alike(codes, links)
        return float((codes >= 0).all()) * (1.0 - float(alike.mean()) if alike.size else 1.0)
    if task == "vertex_cover" and links.exposures:
        return float(_cover_scores((codes == YES)[None], links)[0])
    return float(met(task, codes, links).all())


def chance(task: str, links: Links, groups: int, seed: int = 0) -> float:
    """The score that answers by luck are to be expected to have: the floor under `score`.

    Everybody takes each of its answers with equal chance (groups, members or not, neighbours or nobody, two values);
    a leader is who draws one chance in n. Exact, but for covers of more than 12 agents: there the share of covered
    links is 3/4 exactly, and what full covers with spare members lose is drawn.
    Formulas: `1 - 1/groups`; `2^(1-n)`; `(1 - 1/n)^(n-1)`; for a matching the mean over agents i of
    `q_i (sum_j q_j + prod_j (1 - q_j))` over the neighbours j, with `q = 1 / (1 + degree)`.
    """
    _known(task)
    n = links.n
    if task == "coloring":
        return 1.0 - 1.0 / groups if links.exposures else 1.0
    if task == "consensus":
        return 2.0 ** (1 - n)
    if task == "leader_election":
        return (1.0 - 1.0 / n) ** (n - 1)
    if task == "vertex_cover":
        return _cover_chance(links, seed)
    named = 1.0 / (1.0 + links.degrees)
    unnamed = np.exp(links.pattern @ np.log1p(-np.minimum(named, 0.5)))  # alone, an agent has no neighbour to count
    return float((named * (links.pattern @ named + unnamed)).mean())


def _cover_chance(links: Links, seed: int) -> float:
    """Three quarters of the links are covered by luck; from that goes what full covers lose by their spare members."""
    n = links.n
    if not links.exposures:
        return 2.0**-n  # the empty cover alone
    if n <= ENUMERATED:
        return float(_cover_scores((np.arange(2**n)[:, None] >> np.arange(n)) % 2 == 0, links).mean())
    draws = max(1, min(DRAWN, CELLS // links.exposures))
    chosen = uniforms(keys(seed, "chance", 0, np.arange(draws)), 0, n) < 0.5
    ends = links.edges()
    full = (chosen[:, ends[:, 0]] | chosen[:, ends[:, 1]]).all(axis=1)
    return float(0.75 - (1.0 - _cover_scores(chosen[full], links)).sum() / draws)


def _cover_scores(chosen: Flags, links: Links) -> NDArray[np.float64]:
    """The score of each of several covers, one per row, on a network that has links."""
    members = chosen.sum(axis=1)
    ends = links.edges()
    covered = (chosen[:, ends[:, 0]] | chosen[:, ends[:, 1]]).mean(axis=1)
    needed = (chosen & ((links.pattern @ (~chosen).T.astype(float)).T > 0)).sum(axis=1)
    return np.asarray(covered * np.where(covered < 1, members, needed) / np.maximum(members, 1))


def _paired(partners: Codes, links: Links) -> Flags:
    """Who names a neighbour that names it back, or names nobody while no neighbour names nobody."""
    readers, authors = _ends(links)
    back = (partners[readers] == authors) & (partners[authors] == readers)
    nobody = partners == links.n
    idle = links.pattern @ nobody.astype(float) > 0
    return np.asarray((_near(links, back) > 0) | (nobody & ~idle))


def _alike(codes: Codes, links: Links) -> Flags:
    """Which links, reader by reader, have the same answer at both ends."""
    readers, authors = _ends(links)
    return np.asarray(codes[readers] == codes[authors])


def _near(links: Links, flags: Flags) -> NDArray[np.float64]:
    """How many of each agent's links carry a flag."""
    return np.bincount(_ends(links)[0], flags, minlength=links.n).astype(float)


def _ends(links: Links) -> tuple[Codes, NDArray[np.int32]]:
    return np.repeat(np.arange(links.n), links.degrees), links.authors


def _codes(task: str, answers: ArrayLike, links: Links) -> Codes:
    _known(task)
    codes = np.asarray(answers).astype(np.int64)
    if codes.shape != (links.n,):
        raise SpecError(f"there are answers of shape {codes.shape}, expected one for each of {links.n} agents")
    return codes


def _known(task: str) -> None:
    if task not in TASKS:
        raise SpecError(f"task = {task!r}: expected one of {listed(TASKS)}{nearest(task, TASKS)}")
