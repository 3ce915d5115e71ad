"""Columns of one table, given as separate arrays."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from agentmicro.errors import SpecError, listed


def columns(**given: ArrayLike) -> list[NDArray[Any]]:
    """The columns of a table have one entry per row; columns of different lengths are a SpecError that names them all.

    A column may have rows of its own (a design matrix); its entries are then these.
    """
    arrays = {name: np.atleast_1d(np.asarray(column)) for name, column in given.items()}
    if len({len(array) for array in arrays.values()}) > 1:
        lengths = listed(f"{name} has {len(array)}" for name, array in arrays.items())
        raise SpecError(f"columns of one table have as many entries as each other, but {lengths}")
    return list(arrays.values())
