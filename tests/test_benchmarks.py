"""The benchmarks run, small and quick; what they measure is no test, because times depend on the machine."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_the_quick_benchmarks_print_one_json_line_per_measurement_and_a_table():
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.bench", "--quick", "--repeats", "1"],
        cwd=ROOT,
        env={**os.environ, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert {"herding", "imitation", "waves", "luck", "recording", "building", "growth", "age", "start"} == {
        line["name"] for line in lines
    }
    for line in lines:
        assert line["n"] >= 1
        assert line["repeats"] >= 1
        assert line["ours"] is not None
        assert line["ratio"] is None or line["ratio"] > 0
        assert line["low"] is None or line["low"] <= line["ratio"] <= line["high"]
        assert line["against"].split()[0] in done.stderr


def test_one_benchmark_alone_writes_to_a_file(tmp_path):
    out = tmp_path / "lines.jsonl"
    command = [sys.executable, "-m", "benchmarks.bench", "--quick", "--only", "luck", "--out", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert {json.loads(line)["name"] for line in out.read_text(encoding="utf-8").splitlines()} == {"luck"}


def test_the_quick_benchmarks_of_language_minds_print_every_measurement():
    command = [sys.executable, "-m", "benchmarks.llm", "--quick"]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "NO_COLOR": "1"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    names = [line["name"] for line in lines]
    societies = {"society, direct", "society, litellm", "society, all layers", "society, waves"}
    assert {"direct turn", "litellm turn", *societies, "replay, society", "replay, client"} <= set(names)
    assert [name for name in names if name.startswith("layer: ")] == [
        f"layer: {layer}" for layer in ("above the client", "client", "transport", "record")
    ]
    for line in lines:
        assert line["n"] >= 1
        assert line["low"] is None or line["low"] <= line["ratio"] <= line["high"]


def test_the_quick_benchmarks_of_studies_print_every_measurement():
    command = [sys.executable, "-m", "benchmarks.studies", "--quick"]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "NO_COLOR": "1"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["what"] for line in lines] == ["tiny runs, serial", "peak memory", "long runs, 2 processes"]
    assert all(line["ours"] > 0 and line["reference"] > 0 and line["ratio"] > 0 for line in lines)
