"""Controls: a slider is offered only where it shows the very value that it is given."""

from decimal import Decimal

import pytest

from agentmicro import phenomena
from agentmicro.app.controls import slid
from agentmicro.knobs import knobs


@pytest.mark.parametrize("name", phenomena.names())
def test_no_slider_would_move_a_value_by_itself(name):
    for knob in knobs(phenomena.find(name)).values():
        numbers = [knob.default, 0.1234567, 0.3, 1 / 3] if knob.kind is float else [knob.default]
        for value in numbers:
            step = slid(knob, value)
            if step is not None:
                steps = (Decimal(repr(float(value))) - Decimal(repr(float(knob.range.low)))) / Decimal(repr(step))
                assert steps == int(steps)


def test_shares_have_sliders_and_odd_numbers_have_fields():
    (loss,) = (knob for name, knob in knobs(phenomena.find("channels")).items() if name == "loss")
    assert (slid(loss, 0.25), slid(loss, 0.125), slid(loss, 1 / 3)) == (0.01, 0.001, None)
