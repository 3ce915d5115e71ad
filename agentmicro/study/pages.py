"""A report before it is written: sections of prose, tables, figures and listings, as one HTML page or as Markdown.

Everything in a page is text that is escaped where it is written; only figures, which are drawn here, are markup.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from importlib.resources import files
from typing import Any, ClassVar

from agentmicro.study.answer import Sentence
from agentmicro.study.canvas import Plate
from agentmicro.study.text import marked, told

LISTED = 20_000  # letters of a listing
SIGNS = {
    "relevant": "●", "held": "●", "yes": "●", "matches": "●", "negligible": "■", "undecided": "◇",
    "broken": "✕", "no": "✕", "differs": "✕", "failed": "✕", "not tested": "–",
}  # fmt: skip


@dataclass(frozen=True)
class Prose:
    """A paragraph, with a lead word in bold if it has one."""

    text: str
    lead: str = ""
    kind: ClassVar = "prose"


@dataclass(frozen=True)
class Grid:
    """A table; headings that begin with `>` stand over numbers. A cell that is a verdict gets its sign."""

    caption: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    label: str = ""
    kind: ClassVar = "grid"

    @property
    def columns(self) -> list[tuple[str, bool]]:
        """Each heading, and whether numbers stand under it."""
        return [(heading.removeprefix(">"), heading.startswith(">")) for heading in self.headings]


@dataclass(frozen=True)
class Listing:
    """Text word by word, such as a command."""

    text: str
    kind: ClassVar = "listing"


type Block = Prose | Grid | Listing | Plate


@dataclass(frozen=True)
class Section:
    """A heading and what stands under it; without blocks it is left out."""

    key: str
    title: str
    blocks: tuple[Block, ...] = ()


@dataclass(frozen=True)
class Page:
    """A whole report: its title, its answer, a few facts, and its sections."""

    kicker: str
    title: str
    standfirst: str
    answer: tuple[Sentence, ...]
    facts: tuple[tuple[str, str], ...]
    sections: tuple[Section, ...] = field(default=())

    @property
    def plates(self) -> list[Plate]:
        """All figures, in their order."""
        return [block for section in self.sections for block in section.blocks if isinstance(block, Plate)]


def numbered(sections: Iterable[Section]) -> tuple[Section, ...]:
    """The sections that have something to say, their figures and tables counted through."""
    counts = {"plate": 0, "grid": 0}
    found = []
    for section in sections:
        blocks: list[Block] = []
        for block in section.blocks:
            if isinstance(block, Plate | Grid):
                counts[block.kind] += 1
                block = replace(block, label=f"{'Figure' if block.kind == 'plate' else 'Table'} {counts[block.kind]}")
            blocks.append(block)
        if blocks:
            found.append(replace(section, blocks=tuple(blocks)))
    return tuple(found)


def as_html(page: Page) -> str:
    """The page as one HTML file that needs no network and no script."""
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    def shown(value: Any) -> Any:
        return value if isinstance(value, Markup | int) else told(value)

    # Autoescape covers every expression; `finalize` runs before it on each, so no text escapes being cut and cleaned.
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, finalize=shown, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["whole"] = lambda text: Markup.escape(told(text, LISTED))
    environment.filters["drawing"] = lambda plate: Markup(plate.inline)
    template = environment.from_string(files(__package__).joinpath("page.html").read_text("utf-8"))
    return template.render(page=page, signs=SIGNS)


def as_markdown(page: Page, figures: str) -> str:
    """The page as Markdown, its figures as files in that folder."""
    lines = [f"# {marked(page.title)}", "", marked(page.kicker), ""]
    lines += [f"*{marked(page.standfirst)}*", ""] if page.standfirst else []
    lines += [text for lead, said in page.answer for text in (f"**{marked(lead)}:** {marked(said)}", "")]
    lines += [f"- {marked(name)}: {marked(value)}" for name, value in page.facts]
    for section in page.sections:
        lines += ["", f"## {marked(section.title)}"]
        for block in section.blocks:
            lines += ["", *_block(block, figures)]
    return "\n".join(lines) + "\n"


def _block(block: Block, figures: str) -> list[str]:
    if isinstance(block, Prose):
        return [(f"**{marked(block.lead)}:** " if block.lead else "") + marked(block.text)]
    if isinstance(block, Plate):
        return [
            f"![{marked(block.label)}]({figures}/{block.name}.svg)",
            "",
            f"**{block.label}.** {marked(block.caption)}",
        ]
    if isinstance(block, Listing):
        return _fenced(block.text)
    rules = ["--:" if right else ":--" for _, right in block.columns]
    rows = [[heading for heading, _ in block.columns], *block.rows]
    cells = [_row([marked(cell) for cell in row]) for row in rows]
    return [f"**{block.label}.** {marked(block.caption)}", "", cells[0], _row(rules), *cells[1:]]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _fenced(text: str) -> list[str]:
    """The text in a fence longer than any in it."""
    shown = told(text, LISTED)
    fence = "```"
    while fence in shown:
        fence += "`"
    return [fence, *shown.splitlines(), fence]
