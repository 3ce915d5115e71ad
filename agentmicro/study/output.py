"""What a run leaves on disk: a manifest, tables, the trace and a figure, all of them or none.

    DIR/manifest.json     what ran: versions, command, seed, knobs, minds, scenario, commit, times
    DIR/run.csv           one row: knobs as `knob_NAME`, measures as NAME, the null's as `null_NAME`
    DIR/turns.csv         one row per turn: time, NAME, `null_NAME`
    DIR/decisions.jsonl   the trace, if asked for
    DIR/figure.png, .svg  the outcome over the turns, beside its null
    DIR/record.sqlite     the replies of language models, written as they come

Files are written into a sibling folder and moved when all is done, so that a run that stops leaves nothing behind but
the record, from which the same command goes on.
"""

import csv
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from agentmicro.errors import SpecError
from agentmicro.study.run import Run, plain

MANIFEST, RUN, TURNS, TRACE = "manifest.json", "run.csv", "turns.csv", "decisions.jsonl"
FIGURES = ("figure.png", "figure.svg")
RECORD = "record.sqlite"
FILES = (MANIFEST, RUN, TURNS, TRACE, *FIGURES)
PACKAGES = ("agentmicro", "mesa", "numpy", "networkx", "scipy")


@dataclass(frozen=True)
class Report:
    """A run beside its null arm on the same seed, and what was asked for."""

    run: Run
    null: Run
    finding: str
    command: Sequence[str] = ()
    scenario: str | None = None
    digest: str | None = None

    def __post_init__(self) -> None:
        if self.run.seed != self.null.seed or self.run.turns != self.null.turns:
            raise SpecError("a run and its null have the same seed and the same turns")

    def as_json(self) -> dict[str, Any]:
        """The one object that `--json` prints: what is no number is null."""
        found: dict[str, Any] = plain(
            {
                "phenomenon": self.run.phenomenon,
                "scenario": self.scenario,
                "seed": self.run.seed,
                "turns": self.run.turns,
                "knobs": self.run.knobs,
                "measures": self.run.measures,
                "null": self.null.measures,
                "finding": self.finding,
                "decisions": self.run.decisions,
                "minds": self.run.minds,
                "valid": self.run.valid,
                "ledger": self.run.ledger.as_json(),
                "null_ledger": self.null.ledger.as_json(),
                "seconds": self.run.seconds,
            }
        )
        return found


def refuse(out: Path) -> None:
    """Raises a SpecError unless a folder is new, empty, or holds an earlier run."""
    if out.exists() and not out.is_dir():
        raise SpecError(f"--out {out}: expected a folder, and this is a file")
    if out.is_dir() and not _earlier(out) and any(not path.name.startswith(RECORD) for path in out.iterdir()):
        raise SpecError(f"--out {out}: not empty, and no earlier run of agentmicro; expected a new or an empty folder")


@contextmanager
def folder(out: Path) -> Iterator[Path]:
    """A folder to write into, whose files become those of `out` when all went well and vanish when not."""
    refuse(out)
    near = next(parent for parent in out.absolute().parents if parent.is_dir())
    try:
        temporary = Path(tempfile.mkdtemp(prefix=f".{out.name or 'run'}-", dir=near))
    except OSError as error:
        raise SpecError(f"--out {out}: cannot be written: {error.strerror} in {near}") from None
    try:
        yield temporary
        out.mkdir(parents=True, exist_ok=True)
        # The manifest goes first and comes last: a folder is a run only while all of its files belong together.
        (out / MANIFEST).unlink(missing_ok=True)
        for name in FILES[1:]:
            (out / name).unlink(missing_ok=True)
        for name in reversed(FILES):
            if (temporary / name).exists():
                (temporary / name).replace(out / name)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write(into: Path, report: Report, started: datetime) -> None:
    """Writes the manifest and the tables of a run."""
    manifest = {**report.as_json(), **_provenance(report), "started": started.isoformat(timespec="seconds")}
    manifest["finished"] = datetime.now(UTC).isoformat(timespec="seconds")
    text = json.dumps(manifest, indent=2, ensure_ascii=False, allow_nan=False)
    (into / MANIFEST).write_text(text + "\n", encoding="utf-8")
    _table(into / RUN, [_row(report)])
    _table(into / TURNS, _turns(report))


def _row(report: Report) -> dict[str, Any]:
    run = report.run
    return {
        "phenomenon": run.phenomenon,
        "scenario": report.scenario,
        "seed": run.seed,
        "turns": run.turns,
        "valid": run.valid,
        **{f"knob_{name}": value for name, value in run.knobs.items()},
        **run.measures,
        **{f"null_{name}": value for name, value in report.null.measures.items()},
        **{f"n_{outcome}": count for outcome, count in run.decisions.items()},
        "failure_rate": run.failure_rate,
        **{"n_calls" if name == "calls" else name: value for name, value in run.ledger.as_json().items()},
        "seconds": run.seconds,
    }


def _turns(report: Report) -> list[dict[str, Any]]:
    run, null = report.run.series, report.null.series
    beside = {f"null_{name}": null[name] for name in report.null.measures}
    return [
        {"time": turn, **{name: values[turn] for name, values in {**run, **beside}.items()}}
        for turn in range(report.run.turns + 1)
    ]


def _table(path: Path, rows: list[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({name: None if value != value else value for name, value in row.items()})


def versions(packages: Sequence[str] = PACKAGES) -> dict[str, str]:
    """The versions of Python and of some packages."""
    found = {"python": sys.version.split()[0]}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def _provenance(report: Report) -> dict[str, Any]:
    return {
        "versions": versions(),
        "command": list(report.command),
        "scenario_sha256": report.digest,
        "commit": commit(),
        "failure_rate": report.run.failure_rate,
    }


def commit() -> str | None:
    """The commit of the checkout that is running, with `-dirty` where files differ from it; None outside of one."""
    checkout = Path(__file__).parent.parent.parent
    if not (checkout / ".git").exists():
        return None
    git = ["git", "-C", str(checkout), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        return subprocess.run(git, capture_output=True, text=True, timeout=10, check=True).stdout.strip() or None
    except (OSError, subprocess.SubprocessError):
        return None


def _earlier(out: Path) -> bool:
    try:
        found = json.loads((out / MANIFEST).read_text("utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(found, dict) and "phenomenon" in found and "versions" in found
