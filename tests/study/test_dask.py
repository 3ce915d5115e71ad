"""A real Dask cluster on loopback, a scheduler and two workers in processes of their own, one of which is killed."""

import json
import os
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from plots import scenario, tables

from agentmicro.errors import SpecError
from agentmicro.study.growing import grow

HERE = Path(__file__).parent
SLOW = {"micro": {"trouble": "slow"}, "seeds": 16}


@contextmanager
def process(module, *arguments):
    path = os.pathsep.join([str(HERE), str(HERE.parent), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-m", f"distributed.cli.{module}", *arguments, "--no-dashboard"]
    made = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": path}
    )
    try:
        yield made
    finally:
        made.terminate()
        made.wait(20)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """The scheduler's address and the processes of its two workers."""
    file = tmp_path_factory.mktemp("dask") / "scheduler.json"
    with ExitStack() as stack:
        stack.enter_context(
            process("dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--scheduler-file", str(file))
        )
        until = time.monotonic() + 60
        while not file.exists():
            assert time.monotonic() < until
            time.sleep(0.05)
        address = json.loads(file.read_text())["address"].removeprefix("tcp://")
        workers = [
            stack.enter_context(process("dask_worker", address, "--nthreads", "1", "--no-nanny")) for _ in range(2)
        ]
        yield f"dask://{address}", workers


@pytest.fixture(scope="module")
def quiet(tmp_path_factory):
    folder = tmp_path_factory.mktemp("quiet")
    grow(scenario(**SLOW), folder, executor="threads")
    return tables(folder)


def test_a_cluster_that_loses_a_worker_in_the_middle_gives_the_same_tables(tmp_path, cluster, quiet):
    address, workers = cluster

    def kill(found):
        if found.made > 40 and workers[0].poll() is None:
            workers[0].kill()

    study = grow(scenario(**SLOW), tmp_path, executor=address, progress=kill)
    assert workers[0].poll() is not None
    assert (study.runs["status"] == "succeeded").all()
    assert tables(tmp_path) == quiet


def test_a_run_that_kills_its_workers_is_recorded_and_the_cluster_goes_on(tmp_path):
    made = scenario(vary={"trouble": ("dies",)}, seeds=4, intervene={}, claims=())
    study = grow(made, tmp_path, executor="local-dask", workers=1)
    wrong = study.runs[study.runs["status"] == "failed"]
    assert list(wrong["error"]) == ["worker died"]
    assert len(study.runs) == len(wrong) + 19


def test_a_local_cluster_that_has_lost_its_workers_for_good_is_made_anew(monkeypatch):
    from agentmicro.study.engines import Dask
    from agentmicro.study.jobs import Context

    monkeypatch.setattr("agentmicro.study.engines.PATIENCE", 8.0)
    made = scenario()
    engine = Dask(Context(made.cls, made.turns, {}, {}), "", 1)
    try:
        engine.client.retire_workers(close_workers=True, remove=True)
        engine.client.cluster.scale(0)
        engine.ready()
        assert engine.pool.submit(abs, -3).result(30) == 3
    finally:
        engine.close(now=True)


def test_where_no_scheduler_answers_it_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr("agentmicro.study.engines.PATIENCE", 1.0)
    with pytest.raises(SpecError, match=r"dask://127\.0\.0\.1:9: no scheduler with a worker answers there"):
        grow(scenario(), tmp_path, executor="dask://127.0.0.1:9")
