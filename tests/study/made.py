"""A study made by hand: uses and runs without any run, for the tests of what judges them."""

import json
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from agentmicro.study.results import Study
from agentmicro.study.scenario import load


def study(tmp_path, text: str, cells: Sequence[Mapping[str, object]], uses: Sequence[tuple]) -> Study:
    """A study of a scenario's text; a cell is {measure: values by seed}, a use (stage, label, role, cell, changes)."""
    path = tmp_path / "made.toml"
    path.write_text(text)
    runs = [
        {"cell": number, "seed": seed, "status": "succeeded", "error": "", "valid": True}
        | {name: values[seed - 1] for name, values in cell.items()}
        for number, cell in enumerate(cells)
        for seed in range(1, 1 + max(len(np.atleast_1d(values)) for values in cell.values()))
    ]
    rows = [
        {
            "stage": stage,
            "label": label,
            "role": role,
            "cell": cell,
            "seeds": 0,
            "changes": json.dumps(changes),
            "at": np.nan,
        }
        for stage, label, role, cell, changes in uses
    ]
    return Study(load(str(path)), pd.DataFrame(rows), pd.DataFrame(runs))
