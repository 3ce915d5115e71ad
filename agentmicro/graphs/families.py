"""The table of named topologies; a new one is a row here and its makers in `orderly` or `chance`."""

from collections.abc import Mapping
from types import MappingProxyType

from agentmicro.graphs import chance, orderly
from agentmicro.graphs.topology import Parameter, Topology

_DIRECTED = Parameter("directed", 0, 0, 1, "1: each edge carries one way only")
_DEGREE = Parameter("degree", 4.0, 0, doc="neighbours each agent has on average", whole=False)


_ALL = (
    Topology("complete", "Everyone is exposed to everyone else."),
    Topology("empty", "Nobody is exposed to anybody.", edges=orderly.empty_edges),
    Topology(
        "ring",
        "Agents in a circle, each linked to its k nearest; directed, each speaks to the next k/2.",
        (Parameter("k", 2, 2, doc="neighbours of each agent; even"), _DIRECTED),
        edges=orderly.ring_edges,
        graph=orderly.ring_graph,
        fits=orderly.ring_fits,
    ),
    Topology(
        "chain",
        "Agents in a line, each linked to the next; directed, each speaks to the next.",
        (_DIRECTED,),
        edges=orderly.chain_edges,
        graph=orderly.chain_graph,
    ),
    Topology(
        "lattice",
        "An open grid, as square as possible, whose last row may be short; each is linked to its four neighbours.",
        edges=orderly.lattice_edges,
        graph=orderly.lattice_graph,
    ),
    Topology(
        "torus",
        "A grid without borders, as square as possible; everyone has four neighbours.",
        edges=orderly.torus_edges,
        graph=orderly.torus_graph,
        fits=orderly.torus_fits,
    ),
    Topology(
        "star",
        "Agent 0, the hub, is linked to everyone else; directed, the hub speaks and the others listen.",
        (_DIRECTED,),
        edges=orderly.star_edges,
        graph=orderly.star_graph,
    ),
    Topology(
        "wheel",
        "A star whose leaves form a ring.",
        least=4,
        edges=orderly.wheel_edges,
        graph=orderly.wheel_graph,
    ),
    Topology(
        "tree",
        "A hierarchy filled level by level; directed, parents speak to their children.",
        (Parameter("branching", 2, 1, doc="children of each parent"), _DIRECTED),
        edges=orderly.tree_edges,
        graph=orderly.tree_graph,
    ),
    Topology(
        "caveman",
        "Cliques in a ring, each with one link to the previous one; the last may be smaller.",
        (Parameter("clique", 5, 3, doc="members of each clique"),),
        edges=orderly.caveman_edges,
        fits=orderly.caveman_fits,
    ),
    Topology(
        "small_world",
        "A ring with some links rewired at random, everyone still connected (Watts and Strogatz, 1998).",
        (
            Parameter("k", 4, 2, doc="neighbours of each agent before rewiring; even"),
            Parameter("p", 0.1, 0, 1, "chance that a link is rewired", whole=False),
        ),
        random=True,
        edges=chance.small_world_edges,
        graph=chance.small_world_graph,
        fits=chance.small_world_fits,
    ),
    Topology(
        "scale_free",
        "Newcomers link to those who already have many links (Barabasi and Albert, 1999).",
        (Parameter("m", 2, 1, doc="links each newcomer brings"),),
        least=2,
        random=True,
        edges=chance.scale_free_edges,
        graph=chance.scale_free_graph,
        fits=chance.scale_free_fits,
    ),
    Topology(
        "random",
        "Each pair is linked with the same chance (Erdos and Renyi, 1959); directed, each direction by itself.",
        (
            _DEGREE,
            Parameter("p", None, 0, 1, "chance of each link, in place of degree", whole=False, replaces="degree"),
            _DIRECTED,
        ),
        random=True,
        edges=chance.random_edges,
        graph=chance.random_graph,
        fits=chance.random_fits,
    ),
    Topology(
        "random_regular",
        "Everyone has exactly k neighbours, drawn at random (Steger and Wormald, 1999).",
        (Parameter("k", 4, 1, doc="neighbours of each agent"),),
        random=True,
        edges=chance.random_regular_edges,
        graph=chance.random_regular_graph,
        fits=chance.random_regular_fits,
    ),
    Topology(
        "delaunay",
        "Agents at random places in a square, linked to those next to them (Delaunay triangulation).",
        least=3,
        random=True,
        edges=chance.delaunay_edges,
    ),
    Topology(
        "stochastic_blocks",
        "Equal communities with many links inside and few between them (Holland, Laskey and Leinhardt, 1983).",
        (
            Parameter("blocks", 2, 2, doc="number of communities"),
            Parameter("inside", 4.0, 0, doc="expected neighbours in the own community", whole=False),
            Parameter("between", 1.0, 0, doc="expected neighbours in the other communities", whole=False),
        ),
        least=2,
        random=True,
        edges=chance.stochastic_blocks_edges,
        graph=chance.stochastic_blocks_graph,
        fits=chance.stochastic_blocks_fits,
    ),
    Topology(
        "bipartite",
        "Two sides, linked at random across and never within.",
        (Parameter("left", 0.5, 0, 1, "share of the agents on the left side", whole=False), _DEGREE),
        least=2,
        random=True,
        edges=chance.bipartite_edges,
        graph=chance.bipartite_graph,
        fits=chance.bipartite_fits,
    ),
)

TOPOLOGIES: Mapping[str, Topology] = MappingProxyType({topology.name: topology for topology in _ALL})
