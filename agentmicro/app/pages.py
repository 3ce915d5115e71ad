"""The pages and their frame: what `solara` serves."""

from pathlib import Path

import solara

from agentmicro.app.compare import Compare
from agentmicro.app.controller import sentence
from agentmicro.app.gallery import Gallery
from agentmicro.app.run import Run
from agentmicro.app.studies import Studies

STYLE = (Path(__file__).parent / "style.css").read_text("utf-8")
NAMES = {"/": "Gallery", "run": "Run", "compare": "Compare", "studies": "Studies"}


@solara.component
def Layout(children=[]):  # noqa: B006
    """The bar above every page."""
    solara.Title("agentmicro")
    solara.Style(STYLE)
    route, _ = solara.use_route(peek=True)
    error, forget = solara.use_exception()
    here = route.path if route is not None else "/"
    with solara.Div(classes=["am"]):
        with solara.Div(classes=["am-bar"]):
            with solara.Link("/"):
                solara.Text("agentmicro", classes=["am-name"])
            for path, name in NAMES.items():
                with solara.Link("/" if path == "/" else f"/{path}"):
                    solara.Text(name, classes=["am-tab", "am-here"] if path == here else ["am-tab"])
            solara.lab.ThemeToggle()
        with solara.Div(classes=["am-page"]):
            if error is not None:
                Trouble(error, forget)
            else:
                solara.Div(children=children)


@solara.component
def Trouble(error: Exception, forget):
    """What went wrong in a page, and what to do; the other pages are not touched by it."""
    solara.v.Html(tag="h1", children=["This page cannot be shown"])
    solara.Error(sentence(error))
    solara.Text("Try again, or open another page from the bar above; a link may ask for what cannot be.")
    solara.Button("Try again", on_click=forget, color="primary")


routes = [
    solara.Route("/", component=Gallery, label="Gallery", layout=Layout),
    solara.Route("run", component=Run, label="Run"),
    solara.Route("compare", component=Compare, label="Compare"),
    solara.Route("studies", component=Studies, label="Studies"),
]
