import numpy as np
import pytest

from agentmicro.errors import SpecError
from agentmicro.measures.columns import columns


def test_columns_come_back_as_arrays_in_order():
    a, b, c = columns(a=[1, 2], b=(True, False), c=np.eye(2))
    assert a.tolist() == [1, 2]
    assert b.dtype == bool
    assert c.shape == (2, 2)


def test_the_error_names_every_column_and_its_length():
    with pytest.raises(SpecError) as caught:
        columns(turn=[1, 2], reader=[1], seen=[])
    assert str(caught.value) == (
        "columns of one table have as many entries as each other, but turn has 2, reader has 1, seen has 0"
    )
