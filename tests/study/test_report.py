"""The report: one page that needs nothing else, in which every text is text and every number is that of its table."""

import json
import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from markdown_it import MarkdownIt

from agentmicro.study import pages, report, sections
from agentmicro.study.canvas import PALETTE
from agentmicro.study.spec import Arm
from tests.study import whole

LINKS = "[here](javascript:alert(2)) ![x](http://x/y.png)"
HOSTILE = f"<script>alert(1)</script> {LINKS} | `a` $\\frac{{1$ \x1b[31m \u202e\U0001f600"
VOID = ("meta", "br", "img", "link", "input", "hr", "path", "use", "rect")


class Reader(HTMLParser):
    """What a browser would see: tags with their attributes, and the text outside of styles and drawings."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.texts, self.style, self.inside = [], [], "", []
        self.tables, self.listings = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.inside.append(tag)
        if tag == "table":
            self.tables.append([])
        if tag == "tr":
            self.tables[-1].append([])
        if tag in ("td", "th"):
            self.tables[-1][-1].append("")
        if tag == "pre":
            self.listings.append("")

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        if tag in self.inside:
            while self.inside.pop() != tag:
                pass

    def handle_data(self, data):
        if "style" in self.inside:
            self.style += data
        elif "svg" not in self.inside:
            self.texts.append(data)
        if "td" in self.inside or "th" in self.inside:
            self.tables[-1][-1][-1] += data
        if "pre" in self.inside:
            self.listings[-1] += data

    @property
    def text(self):
        return "".join(self.texts)

    def table(self, *headings):
        """The rows of the table that has these headings, by heading."""
        for head, *rows in self.tables:
            if set(headings) <= set(head):
                return [dict(zip(head, row, strict=True)) for row in rows]
        raise AssertionError(f"no table with {headings}")


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return whole.study(tmp_path_factory.mktemp("whole"), tokens=500)


@pytest.fixture(scope="module")
def tables(study):
    return whole.tables(study)


@pytest.fixture(scope="module")
def written(study, tables, tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    return out, report.write(study, tables, out)


@pytest.fixture(scope="module")
def read(written):
    return Reader((written[0] / "report.html").read_text("utf-8"))


def told(study, tables):
    """A report without its figures, as it is read."""
    page = sections.page(study, tables, {})
    return Reader(pages.as_html(page)), pages.as_markdown(page, "figures")


def printed(value):
    """A number as the page prints it, found independently: four digits, a real minus sign."""
    if value != value or value is None:
        return "–"
    text = f"{int(value):,}" if float(value).is_integer() else f"{value:.4g}"
    return text.replace("-", "\u2212", 1) if value < 0 else text


def test_the_page_asks_nothing_of_anybody(read):
    for tag, attributes in read.tags:
        assert tag not in ("script", "link", "img", "iframe", "object", "base", "form")
        for name, value in attributes.items():
            assert not name.startswith("on")
            if name.endswith(("href", "src")):
                assert value.startswith("#")
            assert "url(" not in (value or "") or set(re.findall(r"url\((.)", value)) == {"#"}
    assert "http" not in read.style
    assert "@import" not in read.style
    assert "url(" not in read.style


def test_every_name_in_the_page_is_its_own_and_every_link_leads_somewhere(read):
    names = Counter(attributes["id"] for _, attributes in read.tags if "id" in attributes)
    assert max(names.values()) == 1
    links = {value[1:] for _, one in read.tags for name, value in one.items() if name.endswith("href")}
    assert links <= set(names)


def test_every_section_of_a_whole_study_is_there(read):
    found = [attributes["id"] for tag, attributes in read.tags if tag == "section"]
    assert found == [
        *("asked", "card", "growing", "thresholds", "identification", "sensitivity", "interventions", "attack"),
        *("validity", "cost", "adequacy", "validation", "claims", "reproduce", "numbers"),
    ]


def test_the_files_are_there_and_the_markdown_names_them(written):
    out, files = written
    assert all(path.stat().st_size for path in files)
    named = set(re.findall(r"\]\((figures/[^)]+)\)", (out / "report.md").read_text("utf-8")))
    assert named == {f"figures/{path.name}" for path in files if path.suffix == ".svg"}
    assert {path.stem for path in files if path.suffix == ".png"} == {name[8:-4] for name in named}
    assert {"trajectories", "dose-conflicts", "threshold-1-loss", "effects-conflicts", "interventions", "attack"} <= {
        path.stem for path in files
    }


def test_the_same_study_gives_the_same_bytes(study, tables, written, tmp_path):
    again = report.write(study, whole.tables(study), tmp_path)
    assert [path.relative_to(tmp_path) for path in again] == [path.relative_to(written[0]) for path in written[1]]
    for one, other in zip(written[1], again, strict=True):
        assert one.read_bytes() == other.read_bytes()


def test_figures_of_an_earlier_report_go(study, tmp_path):
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "effects-old.svg").write_text("<svg/>")
    files = report.write(replace(study, folder=None), {}, tmp_path)
    assert list((tmp_path / "figures").iterdir()) == []
    assert [path.name for path in files] == ["report.html", "report.md"]


def test_effects_are_those_of_the_table(read, tables):
    rows = read.table("knob", "effect", "verdict")
    assert len(rows) == len(tables["effects"])
    for row, found in zip(rows, tables["effects"].to_dict("records"), strict=True):
        assert row["effect"] == printed(found["effect"])
        assert row["95% interval"] == f"{printed(found['low'])} to {printed(found['high'])}"
        assert row["verdict"].split()[-1] == found["verdict"]
        assert row["change"] == f"{found['base']} → {found['value']}"
        assert row["more seeds"] == printed(found["more"])


def test_arms_thresholds_and_doses_are_those_of_their_tables(read, tables):
    for row, found in zip(read.table("arm", "reduction"), tables["arms"].to_dict("records"), strict=True):
        assert (row["arm"], row["reduction"]) == (found["arm"], printed(found["reduction"]))
        assert (row["tokens a run"], row["Pareto"]) == (printed(found["tokens"]), "yes" if found["pareto"] else "no")
    for row, found in zip(read.table("threshold", "estimate"), tables["thresholds"].to_dict("records"), strict=True):
        assert (row["estimate"], row["not stated because"]) == (printed(found["estimate"]), found["refused"] or "–")
    doses = read.table("loss", "channels", "mean")
    assert [row["mean"] for row in doses] == [printed(value) for value in tables["dose"]["mean"].head(60)]


def test_runs_cost_and_claims_are_counted(read, study):
    stages = {row["stage"]: row for row in read.table("stage", "runs")}
    assert stages["identify"]["runs"] == str(12 * 8)
    assert stages["base"]["failed decisions (share)"] == "0.01"
    sums = {row["of all runs"]: row["sum"] for row in read.table("of all runs")}
    assert sums["tokens in"] == printed(study.runs["tokens_in"].sum())
    assert "Served by:demo-1." in read.text
    assert "2 of 3" in read.text
    verdicts = [row["verdict"].split()[-1] for row in read.table("claim", "wanted")]
    assert verdicts == ["held", "held", "broken"]


def test_a_long_table_says_where_its_rest_is(study, tables):
    long = pd.concat([tables["effects"]] * 6, ignore_index=True)
    read, _ = told(study, {"effects": long})
    assert len(read.table("knob", "effect")) == 60
    assert f"The first 60 of {len(long)} rows; all are in tables/effects.csv." in read.text


def test_a_table_that_nobody_knows_is_shown_too(study):
    frame = pd.DataFrame({"factor": ["a", "b"], "share": [0.25, np.nan], "low": [0.2, 0.1], "high": [0.3, 0.4]})
    read, markdown = told(study, {"variance": frame, "mystery": frame})
    assert read.table("factor", "share", "95% interval")[1] == {
        "factor": "b",
        "share": "–",
        "95% interval": "0.1 to 0.4",
    }
    assert "Mystery" in markdown


def test_what_was_not_asked_is_left_out_and_said(study, tmp_path):
    bare = replace(study, folder=None)
    read, _ = told(bare, {name: pd.DataFrame() for name in ("effects", "arms", "thresholds", "attacks", "dose")})
    found = [attributes["id"] for tag, attributes in read.tags if tag == "section"]
    assert found == ["asked", "card", "validity", "cost", "reproduce"]
    assert "no threshold was asked for." in read.text
    assert "no intervention was tried." in read.text
    assert "which knobs matter was not tested." in read.text


def test_a_study_of_which_every_run_failed_is_reported(tmp_path):
    failed = whole.study(tmp_path / "failed", failed=12)
    found = {name: frame for name, frame in whole.tables(failed).items() if name != "sensitivity"}
    files = report.write(failed, found, tmp_path / "out")
    read = Reader((tmp_path / "out" / "report.html").read_text("utf-8"))
    assert f"nothing can be said, since all {len(failed.runs)} runs failed." in read.text
    assert read.table("error", "runs") == [{"error": "RuleError: it broke", "runs": str(len(failed.runs))}]
    assert [path.name for path in files] == ["report.html", "report.md"]


def test_a_study_without_any_run_is_reported(study):
    read, _ = told(replace(study, runs=study.runs.head(0), folder=None), {})
    assert "nothing has run yet." in read.text


def test_a_manifest_is_shown_with_its_command(study, tmp_path):
    about = {
        "command": ["agentmicro", "study", "a b", "--out", "x"],
        "sources": {"agents": "override"},
        "micro_sha256": "ab" * 32,
        "versions": {"mesa": "3.5.1"},
        "served": ["demo-1", "demo-2"],
        "finished": None,
        "scenario_text": "# <b>mine</b>\nphenomenon = 'channels'",
    }
    (tmp_path / "study.json").write_text(json.dumps(about))
    read, markdown = told(replace(study, folder=tmp_path), {})
    assert read.listings == ["agentmicro study 'a b' --out x", about["scenario_text"]]
    assert "# <b>mine</b>" in markdown.split("```")[3]
    rows = {row["what"]: row["value"] for row in read.table("what", "value")}
    assert (rows["versions.mesa"], rows["served"], rows["finished"]) == ("3.5.1", "demo-1, demo-2", "–")
    card = {row["knob"]: row["from"] for row in read.table("knob", "from")}
    assert (card["agents"], card["graph"]) == ("override", "file")
    assert "ab" * 32 in read.text


def hostile(study, tables):
    """The study with hostile text wherever a user or a model can put some."""
    arms = {HOSTILE + name: Arm(HOSTILE + name, arm.knobs, arm.at) for name, arm in study.scenario.intervene.items()}
    risk = replace(study.scenario.risk, name=HOSTILE, claim=HOSTILE, references=(HOSTILE,))
    runs = study.runs.copy()
    runs.loc[runs["seed"] == 1, ["status", "valid", "error"]] = ["failed", False, HOSTILE + "x" * 1_000_000]
    uses = study.uses.copy()
    mine = (uses["stage"] == "intervene") & (uses["role"] == "arm")
    uses.loc[mine, "label"] = HOSTILE + uses["label"]
    changed = {name: frame.copy() for name, frame in tables.items()}
    changed["claims"]["says"] = HOSTILE
    changed["arms"]["arm"] = HOSTILE + changed["arms"]["arm"]
    changed["side_effects"]["arm"] = HOSTILE + changed["side_effects"]["arm"]
    changed["thresholds"]["says"] = "x" * 1_000_000 + HOSTILE
    changed["effects"]["value"] = HOSTILE
    changed["<script>"] = pd.DataFrame({"<b>": [HOSTILE]})
    return replace(whole.other(study, risk=risk, intervene=arms), runs=runs, uses=uses), changed


def test_hostile_text_stays_text(study, tables, tmp_path):
    files = report.write(*hostile(study, tables), tmp_path)
    page = (tmp_path / "report.html").read_text("utf-8")
    read = Reader(page)
    assert {tag for tag, _ in read.tags}.isdisjoint({"script", "img", "iframe", "object"})
    assert "<script" not in page
    assert "<script>alert(1)</script> [here](javascript:alert(2))" in read.text
    assert not set("\x1b\u202e") & set(page)
    assert "letters)" in read.text
    for _, attributes in read.tags:
        assert all(value is None or "javascript" not in value for name, value in attributes.items() if name == "href")
    assert sum(path.stat().st_size for path in files) < 6_000_000


def test_hostile_text_stays_text_in_markdown_too(study, tables):
    _, markdown = told(*hostile(study, tables))
    assert len(markdown) < 500_000
    kinds = Counter()
    for token in MarkdownIt("commonmark", {"html": True}).enable("table").parse(markdown):
        kinds.update([token.type, *(child.type for child in token.children or ())])
    assert not kinds.keys() & {"html_block", "html_inline", "link_open", "image", "code_inline"}
    assert kinds["table_open"] == markdown.count("**Table ")
    assert kinds["heading_open"] == 1 + markdown.count("\n## ")


def test_every_colour_of_a_figure_has_one_for_the_dark(read, written):
    dark = set(re.findall(r"--k([0-9A-F]{6}):", read.style))
    assert dark == {colour.removeprefix("#").upper() for colour in PALETTE}
    drawn = " ".join(value or "" for tag, one in read.tags for name, value in one.items() if name == "style")
    assert set(re.findall(r"var\(--k([0-9A-F]{6})", drawn)) <= dark
    assert "prefers-color-scheme: dark" in read.style
    assert "@media print" in read.style


def test_a_missing_library_is_one_sentence(study, monkeypatch):
    import builtins

    real = builtins.__import__

    def without(name, *more):
        if name == "jinja2":
            raise ImportError("no", name="jinja2")
        return real(name, *more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ValueError, match=r"a report needs jinja2, which comes with the extra agentmicro\[study\]"):
        report.write(replace(study, folder=None), {}, study.folder)
