"""Who is exposed to whom: links, named topologies, and graphs from files.

`build("small_world(k=6, p=0.1)", agents=100, seed=1)` is the whole of it: the text names a topology or a file, the
seed fixes its luck, and the answer is a `Links`, which the kernel reads as compressed rows and a user as `links.graph`.
"""

from agentmicro.graphs.drawing import layout
from agentmicro.graphs.families import TOPOLOGIES
from agentmicro.graphs.links import Links
from agentmicro.graphs.spec import GraphSpec, build, parse
from agentmicro.graphs.topology import LARGE, Parameter, Topology

__all__ = ["LARGE", "TOPOLOGIES", "GraphSpec", "Links", "Parameter", "Topology", "build", "layout", "parse"]
