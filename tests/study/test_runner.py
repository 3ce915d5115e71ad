"""The runner: whoever makes the runs and whatever happens to them, the tables are the same."""

import json
import os
import subprocess
import sys
import time
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import pytest
from plots import BAD, Plots, scenario, tables

from agentmicro.errors import SpecError
from agentmicro.study import runner
from agentmicro.study.engines import Lost, engine
from agentmicro.study.growing import grow
from agentmicro.study.jobs import Context, Done, Order, code, failed, unpacked
from agentmicro.study.plan import Cell, Job
from agentmicro.study.runner import Progressed, Runner
from agentmicro.study.spec import Grow, Threshold

HERE = str(Path(__file__).parent)


def context(**changes):
    return replace(Context(Plots, 5, {}, code(Plots)), **changes)


@pytest.fixture(scope="module")
def quiet(tmp_path_factory):
    """A folder whose study was made here, one run after another."""
    folder = tmp_path_factory.mktemp("quiet")
    grow(scenario(), folder, executor="serial")
    return folder


# --- engines


@pytest.mark.parametrize("executor", ["threads", "processes", "auto"])
def test_every_engine_gives_the_same_tables(tmp_path, quiet, executor):
    grow(scenario(), tmp_path, executor=executor, workers=2)
    assert tables(tmp_path) == tables(quiet)


def test_any_executor_will_do(tmp_path, quiet):
    with ThreadPoolExecutor(3) as pool:
        grow(scenario(), tmp_path / "threads", executor=pool)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        grow(scenario(), tmp_path / "processes", executor=pool)
    assert tables(tmp_path / "threads") == tables(tmp_path / "processes") == tables(quiet)


def test_an_engine_that_is_none_is_named(tmp_path):
    with pytest.raises(SpecError, match=r"executor = 'treads': expected one of auto, .*; did you mean 'threads'\?"):
        grow(scenario(), tmp_path, executor="treads")


def test_auto_starts_processes_only_where_they_save_time(tmp_path, monkeypatch, quiet):
    started = []
    monkeypatch.setattr(runner, "engine", lambda choice, *rest: started.append(choice) or engine(choice, *rest))
    grow(scenario(), tmp_path / "short", workers=2)
    assert started == ["auto"]
    monkeypatch.setattr(runner, "PAYS", 0.0)
    monkeypatch.setattr(runner, "CHUNK", 0.0)
    grow(scenario(), tmp_path / "long", workers=2)
    assert started == ["auto", "auto", "processes"]
    assert tables(tmp_path / "short") == tables(tmp_path / "long") == tables(quiet)


def test_a_script_without_a_guard_is_told_what_it_lacks(tmp_path):
    (tmp_path / "script.py").write_text(
        f"import sys; sys.path.insert(0, {HERE!r})\n"
        "from plots import scenario\nfrom agentmicro.study.growing import grow\n"
        "grow(scenario(), 'out', executor='processes', workers=1)\n"
    )
    done = subprocess.run([sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "SpecError: worker processes cannot be started; in a script, the study must stand below" in done.stderr


def test_a_worker_with_other_code_refuses_to_work():
    with pytest.raises(SpecError, match=r"the worker \d+ on .* runs another agentmicro: its kernel differs; install"):
        unpacked(context(code={**code(Plots), "kernel": "another"}).packed())


# --- chunks


class Slow:
    """An engine that holds its futures until it is told, and keeps count."""

    width = 2

    def __init__(self, seconds):
        self.seconds = seconds
        self.sizes, self.most = [], 0
        self._open = []

    def submit(self, orders):
        future = Future()
        lines = tuple(failed(order.job, "x") for order in orders)
        self._open.append((future, Done(lines, 0, self.seconds * len(orders))))
        self.sizes.append(len(orders))
        self.most = max(self.most, len(self._open))
        if len(self._open) == self.width * runner.AHEAD or sum(self.sizes) == 1000:
            for each, done in self._open:
                each.set_result(done)
            self._open.clear()
        return future


def handed_out(monkeypatch, seconds):
    made = Slow(seconds)
    monkeypatch.setattr(runner, "engine", lambda *_: made)
    kept, told = [], []
    orders = (Order(Job("a", seed), Cell({})) for seed in range(1000))
    Runner(context(), "processes", 2, kept.extend, told.append).make(orders, 1000)
    assert len(kept) == sum(made.sizes) == 1000
    assert told[-1] == Progressed(1000, 1000, 0)
    return made


def test_chunks_grow_to_some_tenths_of_a_second_and_shrink_towards_the_end(monkeypatch):
    made = handed_out(monkeypatch, 0.003)
    assert made.sizes[:4] == [1, 1, 1, 1]
    assert 90 <= max(made.sizes) <= 100
    assert made.sizes[-1] < 10
    assert made.most == 4  # however many runs there are


def test_long_runs_are_handed_out_one_by_one(monkeypatch):
    assert set(handed_out(monkeypatch, 5.0).sizes) == {1}


# --- runs that fail


def bad(trouble, **grow):
    return scenario(vary={"trouble": (trouble,), "size": (5,)}, seeds=4, intervene={}, claims=(), **grow)


@pytest.mark.parametrize("executor", ["serial", "processes"])
def test_a_run_that_raises_is_recorded_and_takes_nobody_along(tmp_path, executor):
    study = grow(bad("raises"), tmp_path, executor=executor, workers=2)
    (wrong,) = study.runs[study.runs["status"] == "failed"].to_dict("records")
    assert wrong["error"] == "ArithmeticError: a plot of seed 3 in <object object at 0x…>"
    assert (wrong["seed"], wrong["knob_trouble"], wrong["valid"], wrong["n_decisions"]) == (BAD, "raises", False, 0)
    assert study.left_out(wrong["cell"]) == {"failed": 1, "invalid": 0}
    assert len(study.values(wrong["cell"], "level")) == 3
    assert len(study.turns([wrong["cell"]])) == 3 * 6
    (told,) = (json.loads(line) for line in (tmp_path / "errors.jsonl").read_text().splitlines())
    assert "raise ArithmeticError" in told["traceback"]
    again = grow(bad("raises"), tmp_path, executor="serial")
    assert len((tmp_path / "errors.jsonl").read_text().splitlines()) == 1  # what raises is not made again
    assert (again.runs["status"] == "failed").sum() == 1


def test_an_arm_that_cannot_be_built_fails_run_by_run(tmp_path):
    made = scenario(vary={"mind": ("stubborn:7, drift",)}, intervene={}, claims=())
    study = grow(made, tmp_path, executor="serial")
    wrong = study.runs[study.runs["status"] == "failed"]
    assert set(wrong["error"]) == {"MindError: stubborn:7 seat 7 agents, and there are 6"}
    assert len(wrong) == 4


def test_a_run_that_kills_its_worker_is_found_and_recorded(tmp_path, quiet):
    study = grow(bad("dies"), tmp_path, executor="processes", workers=2)
    (wrong,) = study.runs[study.runs["status"] == "failed"].to_dict("records")
    assert (wrong["error"], wrong["seed"], wrong["knob_trouble"]) == ("worker died", BAD, "dies")
    assert study.runs["status"].value_counts().to_dict() == {"succeeded": len(study.runs) - 1, "failed": 1}


def test_a_worker_that_died_once_costs_no_run(tmp_path, monkeypatch):
    monkeypatch.setenv("PLOTS_FLAG", str(tmp_path / "flag"))
    grow(bad("dies once"), tmp_path / "one", executor="processes", workers=2)
    assert (tmp_path / "flag").exists()
    grow(bad("dies once"), tmp_path / "two", executor="serial")
    assert tables(tmp_path / "one") == tables(tmp_path / "two")


def test_an_executor_that_was_given_and_broke_stops_the_study_and_keeps_what_was_made(tmp_path):
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool, pytest.raises(Lost, match="give the study a"):
        grow(bad("dies"), tmp_path, executor=pool)
    study = grow(replace(bad("dies"), grow=Grow(seeds=2, turns=5)), tmp_path, executor="serial")
    assert (study.runs["status"] == "succeeded").all()


# --- stops


def test_an_interrupted_study_goes_on_from_where_it_was(tmp_path, quiet, monkeypatch):
    monkeypatch.setattr(runner, "CHUNK", 0.0)
    made = []

    def stop(found):
        made.append(found.made)
        if found.made == 11:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        grow(scenario(), tmp_path, executor="serial", progress=stop)
    assert json.loads((tmp_path / "study.json").read_text())["ended"] == "KeyboardInterrupt"
    told = []
    grow(scenario(), tmp_path, executor="serial", progress=told.append)
    assert told[-1] == Progressed(29, 29, 0)
    assert tables(tmp_path) == tables(quiet)


def test_stopping_threads_ends_runs_at_their_next_turn():
    order = Order(Job("a", 1), Cell(Plots.checked({"trouble": "slow"})))
    begin = time.monotonic()
    pool = engine("threads", context(turns=2_000), 2)
    futures = [pool.submit([order]) for _ in range(4)]
    time.sleep(0.1)
    pool.close(now=True)
    assert time.monotonic() - begin < 8  # the turns of one run alone take ten seconds
    assert [future.cancelled() or future.result().lines == () for future in futures] == [True] * 4


# --- kills

# The study is a fork of a process that has imported everything already, so that a session costs no start.
MURDER = f"""
import json, os, random, signal, sys, time
from pathlib import Path
sys.path.insert(0, {HERE!r})
import pandas, psutil, pyarrow.csv, pyarrow.parquet
from plots import scenario
from agentmicro.study.growing import grow

FOLDER, LUCK = Path(sys.argv[1]), random.Random(4)
asked = scenario(micro={{"trouble": "slow"}}, seeds=36)

def kept():
    return sum(path.stat().st_size for path in (FOLDER / "parts").glob("*.jsonl"))

def child(executor):
    made = os.fork()
    if not made:
        grow(asked, FOLDER, executor=executor, workers=2)
        os._exit(0)
    return made

def workers(pid):
    return [each for each in psutil.Process(pid).children() if "spawn_main" in " ".join(each.cmdline())]

def goes_on(pid):
    before = kept()
    while kept() == before:
        if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return False
        time.sleep(0.002)
    return True

kills, codes, orphans = {{"study": 0, "worker": 0}}, [], []
while not codes or codes[-1]:
    pid = child("processes" if len(codes) % 3 == 1 else "serial")
    while sum(kills.values()) < 20 and goes_on(pid):
        time.sleep(LUCK.uniform(0, 0.2))
        here = workers(pid)
        if here and LUCK.random() < 0.7:
            LUCK.choice(here).kill()
            kills["worker"] += 1
        else:
            orphans += here
            os.kill(pid, signal.SIGKILL)
            kills["study"] += 1
            break
    codes.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    assert codes[-1] in (0, -signal.SIGKILL), codes
print(json.dumps([kills, len(psutil.wait_procs(orphans, timeout=10)[1])]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")
def test_twenty_kills_of_the_study_and_its_workers_change_no_table(tmp_path):
    command = [sys.executable, "-c", MURDER, str(tmp_path / "killed")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stderr
    kills, orphans = json.loads(done.stdout)
    assert kills["study"] >= 5
    assert kills["worker"] >= 5
    assert sum(kills.values()) == 20
    assert orphans == 0  # workers do not outlive the study
    quiet = grow(scenario(micro={"trouble": "slow"}, seeds=36), tmp_path / "quiet", executor="threads")
    assert (quiet.runs["status"] == "succeeded").all()
    assert tables(tmp_path / "killed") == tables(tmp_path / "quiet")


# --- adaptive designs


def walking(**changes):
    """The threshold of size at which the level, 0.5 + 0.02 size, reaches 1.23: 36.5."""
    made = scenario(
        vary={}, ranges={"size": (0, 100)}, design="adaptive", seeds=5, intervene={}, claims=(),
        thresholds=(Threshold("Where it is.", "size", "level", 1.23),),
    )  # fmt: skip
    return replace(made, **changes)


def test_an_adaptive_design_walks_to_the_threshold_and_stops(tmp_path):
    study = grow(walking(), tmp_path, executor="serial")
    sizes = [json.loads(changes).get("size", 0) for changes in study.stage("grow")["changes"]]
    assert sizes == sorted(sizes)
    assert any(abs(size - 36.5) <= 3 for size in sizes)
    assert sum(30 <= size <= 43 for size in sizes) >= 3
    assert len(sizes) < 20


def test_an_adaptive_design_goes_the_same_way_on_every_engine_and_after_a_stop(tmp_path, monkeypatch):
    grow(walking(), tmp_path / "one", executor="serial")
    grow(walking(), tmp_path / "two", executor="threads", workers=3)
    assert tables(tmp_path / "one") == tables(tmp_path / "two")
    monkeypatch.setattr(runner, "CHUNK", 0.0)

    def stop(found):
        if found.made == 40:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        grow(walking(), tmp_path / "three", executor="serial", progress=stop)
    grow(walking(), tmp_path / "three", executor="serial")
    assert tables(tmp_path / "three") == tables(tmp_path / "one")


def test_without_a_threshold_the_seeds_go_where_least_is_known_and_the_budget_is_kept(tmp_path):
    """Where nobody moves there is nothing to know."""
    made = scenario(
        vary={"mind": ("drift", "stubborn")}, design="adaptive", seeds=4, budget=30, intervene={}, claims=()
    )
    study = grow(made, tmp_path, executor="serial")
    seeds = dict(zip(study.stage("grow")["label"], study.stage("grow")["seeds"], strict=True))
    assert seeds == {"mind=drift": 26, "mind=stubborn": 4}
    assert study.runs.groupby("knob_mind").size()["drift"] >= 26


def test_a_measure_that_is_never_defined_ends_an_adaptive_design(tmp_path):
    study = grow(walking(micro={"trouble": "absurd"}), tmp_path, executor="serial")
    assert len(study.stage("grow")) == 5
    assert list(study.stage("grow")["seeds"]) == [5] * 5


# --- memory

# One run of 200 turns stands for all of them: what is measured is what becomes of runs, not the runs themselves.
PEAK = f"""
import json, sys
from dataclasses import replace
from pathlib import Path
sys.path.insert(0, {HERE!r})
from plots import scenario
from agentmicro.study import engines
from agentmicro.study.growing import grow
from agentmicro.study.jobs import Done, live
from agentmicro.study.spec import Identify

def work(context, orders, known={{}}):
    line = known.setdefault("line", json.loads(live(context, orders[0])))
    lines = tuple(json.dumps({{**line, "cell": order.job.cell, "seed": order.job.seed}}) for order in orders)
    return Done(lines, 0, 0.001 * len(lines))

engines.work = work
made = scenario(vary={{"size": (5, 10)}}, identify=Identify(), intervene={{}}, claims=())
made = replace(made, grow=replace(made.grow, turns=200))
peaks = []
for seeds in (250, 1000):
    runs = grow(made, sys.argv[1], seeds=seeds, executor="serial").runs
    status = Path("/proc/self/status").read_text()
    peaks.append([len(runs), int(status.partition("VmHWM:")[2].split()[0]) / 1024])
print(json.dumps(peaks))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
def test_memory_does_not_grow_with_the_number_of_runs(tmp_path):
    done = subprocess.run([sys.executable, "-c", PEAK, str(tmp_path)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    (few, low), (many, high) = json.loads(done.stdout)
    assert (few, many) == (1_000, 4_000)
    assert high - low < 25  # MB; the series of 3,000 runs are 3,000 x 201 x 12 x 8 bytes, 58 MB
