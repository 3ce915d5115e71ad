"""The adequacy card: what a scenario has shown of a mechanism, in three questions, each with the test that was run.

    descriptive    does it generate the pattern?              the claims of the scenario
    explanatory    does taking the mechanism away remove it?  the outcome under the null, on the same seeds
    observational  does it match what was observed?           the dimensions of stage 5

An answer is yes, no, undecided, or not tested; what was not tested is not passed over in silence.
"""

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from agentmicro.errors import listed
from agentmicro.study import claims, validation
from agentmicro.study.claims import Verdict
from agentmicro.study.results import Study

if TYPE_CHECKING:
    from pandas import DataFrame

YES, NO, UNDECIDED, UNTESTED = "yes", "no", "undecided", "not tested"


def adequacy(study: Study) -> "DataFrame":
    """The three questions with their answers, the tests behind them and what these found."""
    import pandas as pd

    rows = [_descriptive(study), _explanatory(study), _observational(study)]
    return pd.DataFrame(rows, columns=["adequacy", "question", "answer", "test", "found"])


def _descriptive(study: Study) -> tuple[str, ...]:
    question = "does it generate the pattern?"
    verdicts = [item.verdict for item in claims.of_study(study)]
    if not verdicts:
        return ("descriptive", question, UNTESTED, "the scenario makes no claims", "")
    answer = _answer(verdicts, Verdict.HELD, Verdict.BROKEN)
    return ("descriptive", question, answer, f"{len(verdicts)} claims with 95% intervals", _counted(verdicts))


def _explanatory(study: Study) -> tuple[str, ...]:
    question = "does taking the mechanism away remove it?"
    risk, outcome = study.scenario.risk, study.scenario.outcome
    base, null = study.reference("base"), int(study.stage("null")["cell"].iloc[0])
    if base == null:
        return ("explanatory", question, UNTESTED, "the base is its own null", "")
    changed = listed(f"{name}={value}" for name, value in study.scenario.cls.null.items())
    test = f"{outcome}, paired difference to the null ({changed})"
    pairs = study.paired(base, null, outcome)["difference"].to_numpy(float)
    if pairs.size < 2:
        return ("explanatory", question, UNDECIDED, test, f"defined in both arms for {pairs.size} seeds")
    mean, half = claims.interval(pairs if risk.worse == "high" else -pairs)
    low, high = mean - half, mean + half
    least = 0.0 if np.isnan(risk.margin) else risk.margin
    answer = YES if low > least else NO if high <= least else UNDECIDED
    said = f"the risk falls by {mean:.3g} (95% {low:.3g} to {high:.3g}, n = {pairs.size})"
    return ("explanatory", question, answer, test, said)


def _observational(study: Study) -> tuple[str, ...]:
    question = "does it match what was observed?"
    plan = study.scenario.validate
    if not plan.values and not plan.columns:
        return ("observational", question, UNTESTED, "the scenario names no field data and no published values", "")
    verdicts = list(validation.validate(study)["verdict"])
    answer = _answer(verdicts, validation.MATCHES, validation.DIFFERS)
    return ("observational", question, answer, f"{len(verdicts)} dimensions", _counted(verdicts))


def _answer(verdicts: Iterable[str], good: str, bad: str) -> str:
    """Yes if all are good, no if any is bad, else undecided."""
    found = set(verdicts)
    return YES if found == {good} else NO if bad in found else UNDECIDED


def _counted(verdicts: Iterable[str]) -> str:
    return listed(f"{count} {verdict}" for verdict, count in Counter(map(str, verdicts)).items())
