"""Growing: a scenario and a folder go in, a study with all of its runs comes out, however often that was interrupted.

    study = grow("herding", "runs/herding")
    study.runs  # a DataFrame, one row per run

The same call again makes only what is missing; more seeds or values amend the study; another microspecification is
refused. `load` gives back what a folder holds and makes nothing.
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentmicro.errors import SpecError
from agentmicro.knobs import Scalar
from agentmicro.minds.speaker import Speaker, defined
from agentmicro.phenomena import name_of
from agentmicro.study import store as folders
from agentmicro.study.engines import THREADS, known
from agentmicro.study.jobs import Context, Order, code
from agentmicro.study.kept import RUNS, USES
from agentmicro.study.output import PACKAGES, RECORD, commit, versions
from agentmicro.study.plan import Plan, asked, digest, plan, speaking
from agentmicro.study.results import FAILED, Study
from agentmicro.study.rounds import arms, finish, points
from agentmicro.study.runner import Runner, Tell
from agentmicro.study.scenario import load as scenario_at
from agentmicro.study.spec import Scenario
from agentmicro.study.store import Store

if TYPE_CHECKING:
    from agentmicro.completion.session import Session

LIBRARIES = (*PACKAGES, "pandas", "pyarrow", "statsmodels", "SALib", "distributed")
MICRO = ("phenomenon", "micro", "turns", "minds", "code")


def grow(
    scenario: Scenario | str,
    out: Path | str,
    *,
    overrides: Mapping[str, Scalar] | None = None,
    seeds: int | None = None,
    executor: str | Executor = "auto",
    workers: int | None = None,
    progress: Tell | None = None,
    command: Sequence[str] = (),
) -> Study:
    """Makes the runs that a scenario asks for and its folder lacks, and gives the study of all of them.

    scenario: its name, its file, or itself. out: the folder. overrides: other values for knobs of [micro]. seeds: how
    many, before the scenario's number. executor: `auto`, `serial`, `threads`, `processes`, `local-dask`,
    `dask://HOST:PORT`, or any `concurrent.futures.Executor`; workers: how many, where it is made here. progress: hears
    how far it is. command: what was typed, for the manifest. A study that is stopped keeps all that was made.
    """
    known(executor)
    source = scenario_at(scenario) if isinstance(scenario, str) else scenario
    made = asked(source, overrides, seeds)
    folder = Path(out)
    about = manifest(source, made, overrides or {}, command)
    plan(made, points(made))  # what cannot be planned is refused before anything is written
    folders.refuse(folder, about)
    folder.mkdir(parents=True, exist_ok=True)
    with Store(folder) as store:
        folders.refuse(folder, about)
        folders.begin(folder, about)
        try:
            with _asking(made, folder) as session:
                _make(made, store, session, executor, workers, progress)
        except BaseException as error:
            folders.end(folder, ended=f"{type(error).__name__}: {' '.join(str(error).split())}".rstrip(": "))
            raise
        study = _study(made, folder)
        folders.end(folder, ended="complete", **_counts(study))
    return study


def load(folder: Path | str, scenario: Scenario | None = None) -> Study:
    """The study that a folder holds, with all runs that were made until now; makes none.

    scenario: the one that was grown, where it was made by hand and is in no file.
    """
    here = Path(folder)
    about = folders.look(here)
    if about is None:
        raise SpecError(f"{here}: there is no study; `agentmicro study SCENARIO --out {here}` makes one")
    made = asked(scenario or _scenario(here, about), about["overrides"], about["seeds"])
    if (here / folders.JOURNAL).exists() or any((here / folders.PARTS).glob("*.jsonl")) or not (here / RUNS).exists():
        folders.refuse(here, manifest(made, made, {}, ()))
        with Store(here) as store:
            finish(made, store)
    return _study(made, here)


def manifest(
    source: Scenario, made: Scenario, overrides: Mapping[str, Scalar], command: Sequence[str]
) -> dict[str, Any]:
    """What a study is of, with the source of every knob, and what it takes to make it again."""
    with defined(made.minds):
        micro = made.cls.checked(made.micro)
    sources = {**dict.fromkeys(source.micro, "file"), **dict.fromkeys(overrides, "override")}
    found: dict[str, Any] = {
        "scenario": made.name,
        "phenomenon": name_of(made.cls),
        "micro": micro,
        "sources": {name: sources.get(name, "default") for name in micro},
        "turns": made.turns,
        "minds": {name: _told(speaker) for name, speaker in made.minds.items()},
        "code": code(made.cls),
    }
    found["micro_sha256"] = digest({name: found[name] for name in MICRO})
    text = source.path.read_text("utf-8-sig") if source.digest and source.path.is_file() else ""
    found |= {"seeds": made.grow.seeds, "overrides": dict(overrides), "command": list(command)}
    found |= {"versions": versions(LIBRARIES), "commit": commit(), "scenario_sha256": source.digest}
    return {**found, "scenario_file": str(source.path.absolute()), "scenario_text": text}


def _told(speaker: Speaker) -> dict[str, Any]:
    """What a language mind is asked as, without what it costs or how it is reached."""
    apart = ("price_in", "price_out", "transport")
    found = {name: value for name, value in asdict(speaker).items() if name not in apart}
    return {**found, "personas": digest(found["personas"]) if speaker.personas else ""}


def _scenario(folder: Path, about: Mapping[str, Any]) -> Scenario:
    """The scenario of a folder: from its own file where that is as it was, else from the copy in the folder."""
    if not about["scenario_text"]:
        raise SpecError(f"{folder}: its scenario was made by hand and is in no file; expected load(folder, scenario)")
    path = Path(about["scenario_file"])
    if path.is_file():
        found = scenario_at(str(path))
        if found.digest == about["scenario_sha256"]:
            return found
    return replace(scenario_at(str(folder / folders.SCENARIO)), name=about["scenario"])


@contextmanager
def _asking(scenario: Scenario, folder: Path) -> "Iterator[Session | None]":
    """The session under which language minds ask: the one that is begun, else one on the folder's own record."""
    with defined(scenario.minds):
        asks = speaking(scenario.cls, arms(scenario))
    if not asks:
        yield None
        return
    from agentmicro.completion.session import Session, Settings, begun

    own = begun()
    if own is not None:
        yield own
        return
    with Session(Settings(path=folder / RECORD)) as session:
        yield session


def _make(
    scenario: Scenario,
    store: Store,
    session: "Session | None",
    executor: str | Executor,
    workers: int | None,
    progress: Tell | None,
) -> None:
    """All rounds of a study, on one set of workers."""
    context = Context(scenario.cls, scenario.turns, scenario.minds, code(scenario.cls), _elsewhere(session))
    runner = Runner(context, executor, workers, store.keep, progress, waits=session is not None)
    try:
        finish(scenario, store, partial(_fill, store, runner, 1 if session is None else workers or THREADS))
    except BaseException:
        runner.close(now=True)
        raise
    runner.close()


def _elsewhere(session: "Session | None") -> "Session | None":
    """The session as workers in other folders can open it."""
    if session is None or session.settings.path is None:
        return session
    from agentmicro.completion.session import Session

    return Session(replace(session.settings, path=session.settings.path.absolute()))


def _fill(store: Store, runner: Runner, block: int, made: Plan) -> None:
    """Makes those runs of a plan that are not there.

    block: seeds of one arm that follow one another. Arms that differ only later share their first replies, which are
    paid for once if the arms are not at work on the same seed at the same time.
    """
    missing = [job for job in made.jobs(block) if job not in store]
    runner.make((Order(job, made.cells[job.cell]) for job in missing), len(missing))


def _study(scenario: Scenario, folder: Path) -> Study:
    import pandas as pd

    texts = dict.fromkeys(("stage", "label", "role", "changes"), str)
    uses = pd.read_csv(folder / USES, dtype={**texts, "at": float}, keep_default_na=False, na_values={"at": [""]})
    return Study(scenario, uses, pd.read_parquet(folder / RUNS), folder)


def _counts(study: Study) -> dict[str, Any]:
    runs = study.runs
    failed = int((runs["status"] == FAILED).sum())
    served = sorted({name for names in runs["served_models"].unique() for name in names.split(", ") if name})
    return {"runs": len(runs), "failed": failed, "invalid": int((~runs["valid"]).sum()) - failed, "served": served}
