"""Everything that can go wrong has a name here.

    AgentmicroError
    ├── SpecError              what the caller wrote is wrong (also a ValueError)
    │   ├── KnobError          a knob's name, type, range or choice
    │   ├── GraphError         a topology's name or shape, or a graph file
    │   ├── MindError          the text that says who decides
    │   ├── ScenarioError      a scenario file: which file, table and key
    │   └── Changed            a folder holds a study of something else
    ├── RuleError              a rule raised, or returned what is no act
    ├── ReplyError             a reply could not be read as an act (data, counted; never behaviour)
    ├── Lost                   the workers of a study are gone; what was made is kept
    └── of language models, in `completion`
        ├── CallError          one call gave no reply (data, counted; never behaviour)
        │   ├── Rejected       the server does not take an option, which is then left out
        │   └── Filtered       the provider's filter refused the question or the answer
        ├── ProviderError      a provider answers nobody: the run stops, what was answered is recorded
        ├── BudgetReached      a ceiling is reached: the run stops between turns and can go on
        ├── RecordError        the record cannot be opened, read or written
        ├── Cancelled          calls were dropped because whoever waited for them was told to
        ├── ReplayMiss         a replay asks for what was never recorded
        └── BoardError         the traffic that processes share cannot be read

Each message is one sentence that names what is wrong, where, and what was expected. `listed` and `nearest` build the
last part the same way everywhere.
"""

from collections.abc import Iterable
from difflib import get_close_matches


class AgentmicroError(Exception):
    """The root: catch this to catch everything that agentmicro raises on purpose."""


class SpecError(AgentmicroError, ValueError):
    """What the caller wrote is wrong; nothing has run."""


class KnobError(SpecError):
    """A knob has no such name, type, range or choice."""


class GraphError(SpecError):
    """A topology has no such name or shape, or a graph file cannot be read."""


class MindError(SpecError):
    """The text that says who decides names nobody."""


class ScenarioError(SpecError):
    """A scenario file is not what a scenario is."""


class RuleError(AgentmicroError):
    """A rule raised or returned what is no act: the run stops, because its author must know."""


class ReplyError(AgentmicroError):
    """A reply cannot be read as an act; `str(error)` is what a re-ask tells the model."""


def listed(choices: Iterable[object]) -> str:
    """The choices as a reader wants them: `a, b, c`."""
    return ", ".join(str(choice) for choice in choices)


def nearest(word: str, choices: Iterable[object]) -> str:
    """`; did you mean 'x'?` when one of the choices is close to the word, else nothing."""
    spelt = {str(choice).lower(): str(choice) for choice in choices}
    found = get_close_matches(str(word).lower(), spelt, n=1, cutoff=0.6)
    return f"; did you mean {spelt[found[0]]!r}?" if found else ""
