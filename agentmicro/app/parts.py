"""The parts of a page that are drawn in the browser: the stage with its agents, keyboard shortcuts, texts to copy."""

from collections.abc import Callable
from typing import Any

import solara

from agentmicro.app.snapshot import Frame


@solara.component_vue("stage.vue")
def _Stage(ground=None, codes=(), legend=(), what="", flights=(), selected=-1, tree=(), event_select=None): ...


@solara.component_vue("keys.vue")
def Keys(event_press=None):
    """Keyboard shortcuts: space plays and pauses, the right arrow steps, End runs to the end, r resets."""


@solara.component_vue("copy.vue")
def Copy(title="", text="", file=""):
    """A text that can be taken along."""


@solara.component
def Stage(
    frame: Frame,
    selected: int = -1,
    tree: list[tuple[int, int, float]] | None = None,
    on_select: Callable[[Any], None] | None = None,
):
    """The agents of a frame: colour is the act, size is how far an agent reaches, dots are messages on their way."""
    ground = frame.ground
    sent = solara.use_memo(
        lambda: {
            "names": ground.names,
            "points": ground.points,
            "links": ground.links,
            "sizes": ground.sizes,
            "hidden": ground.hidden,
        },
        [id(ground)],
    )
    _Stage(
        ground=sent,
        codes=frame.acts.codes,
        legend=frame.acts.legend,
        what=frame.acts.what,
        flights=frame.flights,
        selected=selected,
        tree=tree or [],
        event_select=on_select,
    )
