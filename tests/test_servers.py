"""The loopback server as a program of its own, and the benchmark that needs it."""

import json
import subprocess
import sys
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from servers import apart, counted

ROOT = Path(__file__).resolve().parents[1]


def ask(url: str, **options: object) -> str:
    body = json.dumps({"messages": [{"role": "user", "content": "hello"}], **options}).encode()
    with urlopen(Request(f"{url}/chat/completions", body), timeout=10) as answer:
        return json.load(answer)["choices"][0]["message"]["content"]


def test_it_answers_fails_where_it_is_told_to_counts_and_dies():
    with apart("--fault", "2-3:503", "--reject", "seed", "--dies", "6") as url:
        assert ask(url) == "hello"
        for _ in range(2):
            with pytest.raises(HTTPError, match="503") as caught:
                ask(url)
            caught.value.close()
        with pytest.raises(HTTPError, match="400") as caught:
            ask(url, seed=1)
        caught.value.close()
        assert ask(url) == "hello"
        found = counted(url)
        assert (found["calls"], found["in_flight"], sorted(found["bodies"].values())) == (5, 0, [1, 4])
        with pytest.raises(OSError):
            ask(url)


def test_the_quick_benchmark_of_calls_prints_one_json_line_for_each_measurement():
    command = [sys.executable, "-m", "benchmarks.llm", "--quick"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert {"direct turn", "litellm turn", "direct wall", "litellm wall", "direct processor", "litellm processor"} == {
        line["name"] for line in lines
    }
    assert all(line["ours"] > 0 for line in lines)
