"""Mesa's own browser page works on a society: rendered here without a browser."""

import warnings

import pytest

from agentmicro.phenomena.channels import Channels

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what solara and its dependencies warn of at import is not ours
    ipyvuetify = pytest.importorskip("ipyvuetify")
    solara = pytest.importorskip("solara")
    visualization = pytest.importorskip("mesa.visualization")


@pytest.fixture
def page():
    model = Channels(agents=12, turns="random", rng=1)
    controls = {
        "agents": {"type": "SliderInt", "value": 12, "label": "agents", "min": 4, "max": 30, "step": 1},
        "turns": {"type": "Select", "value": "random", "label": "turns", "values": ["random", "simultaneous"]},
        "rng": {"type": "InputText", "value": "1", "label": "seed"},
    }
    plot = visualization.make_plot_component("conflicts")
    shown = visualization.SolaraViz(model, components=[plot], model_params=controls, name="Channels")
    _, rendered = solara.render(solara.AppLayout(children=[shown]), handle_error=False)
    yield model, rendered
    rendered.close()


def button(rendered, name):
    return next(found for found in rendered.find(ipyvuetify.Btn).widgets if name in str(found.children))


def test_the_page_of_mesa_steps_a_society(page):
    model, rendered = page
    button(rendered, "Step").click()
    assert model.time == 1
    assert model.n_decisions == 12
