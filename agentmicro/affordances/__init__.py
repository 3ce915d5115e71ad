"""What an act may be, in three views of one object: a row of an array, a value, and text.

    Affordance                 Offer: the affordance as one agent is asked
    ├── Choice                 one of several options
    ├── Picks                  several of many options
    ├── Number                 a number in a range, on a step or not
    ├── Message                a text to all, or texts to some
    ├── Artifact               a document of named parts, some of them private
    └── Tools                  one of several named actions, with its arguments

Three pairs lead from one view to the other and back, and each pair is exact: `decode(encode(x)) == x` (arrays),
`read(write(x)).value == x` (JSON) and `parse(describe(x)).value == x` (text) for every valid x. Whatever `read` and
`parse` return is valid; whatever they cannot read is a `ReplyError` with one sentence to show to the model.
"""

from agentmicro.affordances.artifact import Artifact
from agentmicro.affordances.base import Affordance, Offer
from agentmicro.affordances.choice import Choice
from agentmicro.affordances.message import Message
from agentmicro.affordances.number import Number
from agentmicro.affordances.picks import Picks
from agentmicro.affordances.reading import Parsed
from agentmicro.affordances.tools import Tools

__all__ = ["Affordance", "Artifact", "Choice", "Message", "Number", "Offer", "Parsed", "Picks", "Tools"]
