"""The page of studies: those in the folder the app was started in, how far each is, and its report.

A visitor names a study from the list and nothing else: no path that a link carries is ever opened.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote

import solara

ROOT = "AGENTMICRO_STUDIES"  # the environment variable that says in which folder the studies are
DEPTH = 2  # folders below that one in which studies are looked for
MOST = 200  # studies that are listed
LARGEST = 30_000_000  # bytes of a report that a page can hold
EVERY = 1.0  # seconds between two looks at a study that is being made


@dataclass(frozen=True)
class Found:
    """A study in its folder: its manifest, how many runs are there, and whether anybody is at work on it."""

    name: str
    folder: Path
    about: Mapping[str, Any]
    runs: int
    report: bool

    @property
    def ended(self) -> str:
        """How it ended, or that it has not."""
        return str(self.about.get("ended") or "") if self.about.get("finished") else "being made"


def root() -> Path:
    """The folder in which studies are looked for."""
    return Path(os.environ.get(ROOT) or Path.cwd()).resolve()


def found() -> list[Found]:
    """The studies there are, the newest first."""
    here = root()
    manifests = [path for depth in range(DEPTH + 1) for path in here.glob("/".join(["*"] * depth + ["study.json"]))]
    read = [one for path in manifests[:MOST] if (one := _read(path.parent)) is not None]
    return sorted(read, key=lambda one: str(one.about.get("started", "")), reverse=True)


def _read(folder: Path) -> Found | None:
    """The study of a folder; None where what is there is none, or stands outside the folder of studies."""
    if not folder.resolve().is_relative_to(root()):
        return None
    try:
        about = json.loads((folder / "study.json").read_text("utf-8"))
        if not isinstance(about, dict) or "phenomenon" not in about:
            return None
        lines = sum(path.read_bytes().count(b"\n") for path in (folder / "parts").glob("*.jsonl"))
    except (OSError, ValueError):
        return None
    name = folder.relative_to(root()).as_posix()
    runs = int(about.get("runs", 0)) if about.get("finished") else lines
    return Found(name, folder, about, runs, (folder / "report.html").is_file())


@solara.component
def Studies():
    """All studies, or the one that the link names."""
    asked = parse_qs((solara.use_router().search or "").lstrip("?")).get("open", [""])[0]
    known: solara.Reactive[list[Found]] = solara.use_reactive(solara.use_memo(found, []))

    def watch(cancel: Any) -> None:
        while not cancel.wait(EVERY):
            if any(one.ended == "being made" for one in known.peek()) or not known.peek():
                known.set(found())

    solara.use_thread(watch, dependencies=[])
    chosen = next((one for one in known.value if one.name == asked), None)
    if asked and chosen is None:
        solara.Warning(f"There is no study {asked!r:.80} below {root()}.")
    if chosen is not None:
        One(chosen)
    else:
        Listed(known.value)


@solara.component
def Listed(studies: list[Found]):
    """The studies as a table, or how to make the first."""
    solara.v.Html(tag="h1", children=["Studies"])
    if not studies:
        solara.Text(f"There is none below {root()}. Make one with:")
        solara.v.Html(tag="pre", children=["agentmicro study herding --out herding-study"], class_="am-text")
        return
    solara.Text(f"Those below {root()}.", classes=["am-doc"])
    for one in studies:
        with solara.Link(f"/studies?open={quote(one.name)}", nofollow=True):
            line = f"<h3>{escape(one.name)}</h3><p>{escape(str(one.about.get('scenario', '')))}: {one.runs:,} runs, "
            line += f"{escape(one.ended)}, begun {escape(str(one.about.get('started', '')))}</p>"
            solara.HTML(tag="div", classes=["am-tile", "am-row"], unsafe_innerHTML=line)


@solara.component
def One(study: Found):
    """A study: what it is of, how far it is, and its report."""
    with solara.Row(justify="space-between"):
        solara.v.Html(tag="h1", children=[study.name])
        solara.Link("/studies", children=[solara.Text("all studies")])
    about = study.about
    solara.Text(
        f"{about.get('scenario', '')} ({about.get('phenomenon', '')}), {about.get('seeds', '?')} seeds, "
        f"{about.get('turns', '?')} turns; {study.runs:,} runs; {study.ended}",
        classes=["am-lead"],
    )
    if study.ended == "being made":
        solara.ProgressLinear(True)
        solara.Text("Its tables and its report come when the last run has been made.", classes=["am-doc"])
    elif not study.report:
        solara.Text("It has no report yet; the same command again writes it.")
    if study.report:
        Report(study).key(f"{study.name} {about.get('finished')}")


@solara.component
def Report(study: Found):
    """The report as it stands in the folder."""
    page = solara.use_memo(lambda: _report(study.folder), [])
    # Sandboxed without any right: whatever a report may hold, no script of it runs here.
    frame = f'<iframe title="report" sandbox="" srcdoc="{escape(page, quote=True)}" class="am-report"></iframe>'
    solara.HTML(tag="div", unsafe_innerHTML=frame)


def _report(folder: Path) -> str:
    path = folder / "report.html"
    if path.stat().st_size > LARGEST:
        return (
            f"<p>The report has {path.stat().st_size:,} bytes, more than a page can hold: open {escape(str(path))}.</p>"
        )
    return path.read_text("utf-8")
