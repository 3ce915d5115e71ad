"""The folder of a study: what it is a study of, every run that was made, and its tables.

    study.json      what it is: every knob with its source, minds, seeds, versions, commit, command, times
    scenario.toml   the scenario as it was
    parts/*.jsonl   runs as they came, one line each, appended to and never changed
    runs.parquet    one row per run; turns.parquet: one per run and turn; times.parquet: what depended on the day
    runs.csv  cells.csv  uses.csv   the same runs as text, the arms, and what each arm is for
    errors.jsonl    the tracebacks of runs that failed
    lock            held by whoever writes

A line that a kill has torn is no run and is made again. Tables replace those before them all at once: the new ones are
written beside the old, a journal says so, and whoever opens the folder next finishes what the journal says. Parts are
removed only then, so at every moment every run is in one or the other.
"""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from agentmicro.errors import SpecError
from agentmicro.study.kept import Kept
from agentmicro.study.output import RECORD
from agentmicro.study.plan import Job
from agentmicro.study.results import FAILED

try:
    import fcntl
except ImportError:  # Windows has no such locks: there nobody is kept out
    fcntl = None  # type: ignore[assignment]

MANIFEST, SCENARIO, PARTS, LOCK, ERRORS = "study.json", "scenario.toml", "parts", "lock", "errors.jsonl"
JOURNAL, NEW = "journal.json", ".new"
DIED = "worker died"
PLACE = 1 << 48  # a place is a part's number times this, and the offset of a line in it; part 0 are the tables

type Place = int


class Changed(SpecError):
    """A folder holds a study of something else; `differences` says what differs, a line each."""

    def __init__(self, folder: Path, differences: Sequence[str]) -> None:
        self.differences = tuple(differences)
        super().__init__(f"{folder}: holds a study of another microspecification; give it a folder of its own")


class Store:
    """The runs in a folder, by cell and seed; one process at a time may hold it open.

    kept: the tables. again: runs whose worker died, which may have been nobody's fault and are made again.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.again: set[Job] = set()
        self._places: dict[str, dict[int, Place]] = {}
        self._writing: IO[bytes] | None = None
        self._reading: dict[int, IO[bytes]] = {}
        self._part = 0
        self._lock = _locked(folder)
        try:
            self._settle()
            self.kept = Kept(folder)
            self._scan()
        except BaseException:
            self._lock.close()
            raise

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __contains__(self, job: Job) -> bool:
        """Whether a run is there and need not be made again."""
        return job.seed in self._places.get(job.cell, ()) and job not in self.again

    @property
    def parts(self) -> list[Path]:
        """The files of runs that no table has yet, oldest first."""
        return sorted((self.folder / PARTS).glob("*.jsonl"))

    def seeds(self, cell: str) -> list[int]:
        """The seeds of a cell that have ended, in order."""
        return sorted(self._places.get(cell, ()))

    def place(self, cell: str, seed: int) -> tuple[int, int]:
        """Where a run is: the number of its part and the offset of its line; part 0 and its row for the tables."""
        return divmod(self._places[cell][seed], PLACE)

    def keep(self, lines: Iterable[str]) -> None:
        """Appends runs; what is handed over here survives whatever becomes of this process."""
        if self._writing is None:
            (self.folder / PARTS).mkdir(exist_ok=True)
            self._part = 1 + max((int(path.stem) for path in self.parts), default=0)
            self._writing = (self.folder / PARTS / f"{self._part:06}.jsonl").open("xb")
        for line in lines:
            found = json.loads(line)
            if found["status"] == FAILED:
                self._complain(found)
                line = json.dumps({**found, "traceback": ""})
            self._note(found, self._part, self._writing.tell())
            self._writing.write(line.encode() + b"\n")
        self._writing.flush()

    def line(self, part: int, offset: int) -> dict[str, Any]:
        """The line of a run that is in a part."""
        file = self._reading.get(part)
        if file is None:
            file = self._reading[part] = (self.folder / PARTS / f"{part:06}.jsonl").open("rb")
        file.seek(offset)
        found: dict[str, Any] = json.loads(file.readline())
        return found

    def settled(self, tables: Sequence[str]) -> None:
        """Puts finished tables, written as `NAME.new`, in the place of the old ones, and lets the parts go."""
        self._close_files()
        for name in tables:
            with (self.folder / f"{name}{NEW}").open("rb") as file:
                os.fsync(file.fileno())
        replacing = {"replace": list(tables), "remove": [path.name for path in self.parts]}
        replace_text(self.folder / JOURNAL, json.dumps(replacing))
        self._settle()
        self._places.clear()
        self.kept = Kept(self.folder)
        self._scan()

    def close(self) -> None:
        """Lets others at the folder."""
        self._close_files()
        self._lock.close()

    def _complain(self, found: Mapping[str, Any]) -> None:
        told = {name: found[name] for name in ("cell", "seed", "error", "traceback")}
        with (self.folder / ERRORS).open("a", encoding="utf-8") as file:
            file.write(json.dumps(told) + "\n")

    def _note(self, found: Mapping[str, Any], part: int, offset: int) -> None:
        job = Job(found["cell"], found["seed"])
        self._places.setdefault(job.cell, {})[job.seed] = part * PLACE + offset
        if found["status"] == FAILED and found["error"] == DIED:
            self.again.add(job)
        else:
            self.again.discard(job)

    def _settle(self) -> None:
        """Finishes what the journal says, or forgets what was begun without one."""
        journal = self.folder / JOURNAL
        if journal.exists():
            found = json.loads(journal.read_text("utf-8"))
            for name in found["replace"]:
                with suppress(FileNotFoundError):
                    (self.folder / f"{name}{NEW}").replace(self.folder / name)
            for name in found["remove"]:
                (self.folder / PARTS / name).unlink(missing_ok=True)
            journal.unlink()
        for path in self.folder.glob(f"*{NEW}"):
            path.unlink()

    def _scan(self) -> None:
        """Finds out which runs are there: those in the tables, then those in parts, of which the last line counts."""
        for row, (cell, seed, status, error) in enumerate(self.kept.rows()):
            self._note({"cell": cell, "seed": seed, "status": status, "error": error}, 0, row)
        for path in self.parts:
            with path.open("rb") as file:
                offset = 0
                for line in file:
                    found = _whole(line)
                    if found is not None:
                        self._note(found, int(path.stem), offset)
                    offset += len(line)

    def _close_files(self) -> None:
        self.kept.close()
        if self._writing is not None:
            self._writing.close()
            self._writing = None
        for file in self._reading.values():
            file.close()
        self._reading.clear()


def _whole(line: bytes) -> dict[str, Any] | None:
    """A run's line; None for one that a kill or a power cut has torn."""
    try:
        found = json.loads(line) if line.endswith(b"\n") else None
    except ValueError:
        return None
    return found if isinstance(found, dict) and "status" in found else None


def _locked(folder: Path) -> IO[str]:
    """The folder's lock, held; a SpecError if another process has it. It goes with the process that holds it."""
    file = (folder / LOCK).open("a+", encoding="utf-8")
    if fcntl is not None:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            holder = file.read().strip()
            file.close()
            who = f"process {holder}" if holder else "another process"
            raise SpecError(f"{folder}: {who} is at work on this study; wait for it, or give another folder") from None
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file


def look(folder: Path) -> dict[str, Any] | None:
    """What a folder is a study of; None where there is none yet, a SpecError where there is something else."""
    if not folder.exists():
        return None
    if not folder.is_dir():
        raise SpecError(f"{folder}: expected a folder, and this is a file")
    try:
        found = json.loads((folder / MANIFEST).read_text("utf-8"))
    except FileNotFoundError:
        ours = (LOCK, f"{MANIFEST}{NEW}")  # a kill may have left these behind before there was a manifest
        if all(path.name.startswith(RECORD) or path.name in ours for path in folder.iterdir()):
            return None
        raise SpecError(f"{folder}: not empty, and no study of agentmicro; expected a new or an empty folder") from None
    except (OSError, ValueError) as error:
        raise SpecError(f"{folder / MANIFEST}: cannot be read: {error}") from None
    if not isinstance(found, dict) or not found.keys() >= {"phenomenon", "micro", "turns", "minds", "code"}:
        raise SpecError(f"{folder / MANIFEST}: expected the manifest of a study, with its microspecification")
    return found


def begin(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Makes a folder the folder of a study, or says in it that work on it goes on."""
    started = (look(folder) or {}).get("started", _now())
    replace_text(folder / MANIFEST, _told({**manifest, "started": started, "finished": None}))
    replace_text(folder / SCENARIO, str(manifest["scenario_text"]))


def end(folder: Path, **found: object) -> None:
    """Writes into the manifest how it ended."""
    manifest = look(folder) or {}
    replace_text(folder / MANIFEST, _told({**manifest, **found, "finished": _now()}))


def refuse(folder: Path, now: Mapping[str, Any]) -> None:
    """Raises a SpecError unless a folder is new, empty, or holds a study of the same microspecification."""
    found = look(folder)
    if found is not None:
        differing = differences(found, now)
        if differing:
            raise Changed(folder, differing)


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What two microspecifications differ in, a line each: what the folder has, and what was asked for."""
    had, asked = dict(_flat(before)), dict(_flat(now))
    found = []
    for name in dict.fromkeys((*had, *asked)):
        if had.get(name) != asked.get(name):
            shown = [json.dumps(side[name]) if name in side else "not there" for side in (had, asked)]
            digests = name.startswith("code of ")
            found.append(f"{name} has changed" if digests else f"{name}: {shown[0]} in the folder, {shown[1]} now")
    return found


def _flat(spec: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    yield "phenomenon", spec["phenomenon"]
    for name, value in spec["micro"].items():
        yield f"[micro] {name}", value
    yield "[grow] turns", spec["turns"]
    for mind, speaker in spec["minds"].items():
        for name, value in speaker.items():
            yield f"[minds.{mind}] {name}", value
    for name, value in spec["code"].items():
        yield (name if name == "version" else f"code of the {name}"), value


def replace_text(path: Path, text: str) -> None:
    """Writes a file that is there as a whole or not at all."""
    beside = path.with_name(f"{path.name}{NEW}")
    with beside.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def _told(manifest: Mapping[str, Any]) -> str:
    return json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
