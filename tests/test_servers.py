"""The loopback server as a program of its own."""

import json
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from servers import apart, counted


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
