import asyncio
import contextlib
import itertools
import json
import os
import resource
import sqlite3
import subprocess
import sys
import threading
from dataclasses import replace

import pytest
from fakes import reply, request
from hypothesis import given, settings
from hypothesis import strategies as st

from agentmicro.completion.archive import export, load, prune, show
from agentmicro.completion.record import Item, Record, RecordError, ReplayMiss, identity
from agentmicro.completion.seam import Reply, Status
from agentmicro.errors import SpecError


def item(one=None, said=None):
    one = one or request()
    return Item(*identity(one), one, said or reply())


def key(one):
    return identity(one)[0]


def kept(record, *items):
    return asyncio.run(record.keep(items))


@contextlib.contextmanager
def at(path, **more):
    record = Record(path, **more)
    try:
        yield record
    finally:
        record.close()


texts = st.text(max_size=40)
numbers = st.none() | st.integers(0, 10**9)
replies = st.builds(
    Reply, texts, st.sampled_from(Status), st.booleans(), texts, numbers, numbers, numbers,
    st.none() | st.floats(0, 100), st.none() | texts, st.floats(0, 100), st.integers(1, 9),
    dropped=st.lists(texts, max_size=2).map(tuple),
)  # fmt: skip
requests = st.builds(
    request, st.integers(0, 99), st.integers(0, 99), prompt=texts, system=texts, seed=st.integers(0, 2**70),
    attempt=st.integers(0, 3), base_url=st.none() | st.just("http://127.0.0.1:1/v1"),
    options=st.dictionaries(st.sampled_from(["temperature", "top_p"]), st.floats(0, 2)),
    again=st.lists(st.tuples(texts, texts), max_size=2).map(tuple),
)  # fmt: skip


@settings(deadline=None, max_examples=40)
@given(pairs=st.lists(st.tuples(requests, replies), min_size=1, max_size=8))
def test_what_is_kept_is_found_again_in_every_way_out(tmp_path_factory, pairs):
    folder = tmp_path_factory.mktemp("record")
    wanted = {}
    for one, said in pairs:
        wanted.setdefault(key(one), (one, said))
    with at(folder / "a") as record:
        kept(record, *(item(one, said) for one, said in wanted.values()))
        found = record.find([*wanted, "nothing"])
    assert export(folder / "a", folder / "a.jsonl") == len(wanted)
    assert load(folder / "b", folder / "a.jsonl") == len(wanted)
    assert load(folder / "b", folder / "a.jsonl") == 0
    with at(folder / "b", read_only=True) as record:
        again = record.find(list(wanted))
    export(folder / "b", folder / "b.jsonl")
    assert (folder / "a.jsonl").read_text() == (folder / "b.jsonl").read_text()
    for place, (_, said) in wanted.items():
        assert found[place] == replace(said, replayed=True)
        assert found[place] == again[place]
    assert len(found) == len(wanted)


def test_the_key_depends_on_everything_that_is_answered_and_on_the_decision():
    changes = [
        {}, {"model": "other"}, {"prompt": "?"}, {"system": "be"}, {"seed": 2}, {"agent": 1}, {"decision": 1},
        {"attempt": 1}, {"again": (("a", "b"),)}, {"options": {"temperature": 1.0}}, {"options": {"temperature": 0.5}},
        {"base_url": "http://127.0.0.1:1/v1"}, {"schema": {"type": "number"}}, {"again": (("b", "a"),)},
    ]  # fmt: skip
    assert len({key(request(**change)) for change in changes}) == len(changes)


def test_the_key_does_not_depend_on_how_the_same_is_written():
    one = request(options={"temperature": 1.0, "top_p": 0.5}, schema={"type": "string", "minLength": 1})
    two = request(options={"top_p": 0.5, "temperature": 1}, schema={"minLength": 1, "type": "string"})
    assert key(one) == key(two)
    with_password = request(base_url="http://someone:hush@127.0.0.1:1/v1?key=hush")
    assert key(with_password) == key(request(base_url="http://127.0.0.1:1/v1"))


def test_the_first_reply_under_a_key_stays_and_the_second_is_given_it(tmp_path):
    with at(tmp_path / "r") as one, at(tmp_path / "r") as two:
        assert kept(one, item(said=reply("first", cost_usd=1.0)))[0].text == "first"
        second = kept(two, item(said=reply("second", cost_usd=2.0, structured=True)))[0]
        assert (second.text, second.structured, second.cost_usd) == ("first", False, 2.0)
        assert one.total().priced_usd == 3.0  # both were paid for
        assert two.find([key(request())])[key(request())].text == "first"


def test_prompts_and_what_requests_have_in_common_are_stored_once(tmp_path):
    with at(tmp_path / "r") as record:
        kept(record, *(item(request(agent, prompt="the same " * 500)) for agent in range(50)))
        assert len(record.rows("SELECT * FROM texts")) == 2


def test_replies_of_threads_and_processes_all_arrive(tmp_path):
    path = tmp_path / "r"
    code = """
import asyncio, sys
sys.path.insert(0, sys.argv[3])
from pathlib import Path
from fakes import reply, request
from agentmicro.completion.record import Item, Record, identity
record = Record(Path(sys.argv[1]))
async def one(agent):
    asked = request(agent)
    await record.keep([Item(*identity(asked), asked, reply(str(agent)))])
async def main():
    await asyncio.gather(*(one(agent) for agent in range(int(sys.argv[2]), int(sys.argv[2]) + 200)))
asyncio.run(main())
record.close()
"""
    here = os.path.dirname(__file__)  # noqa: PTH120
    made = [subprocess.Popen([sys.executable, "-c", code, str(path), str(start), here]) for start in (0, 100)]
    assert [child.wait(60) for child in made] == [0, 0]
    with at(path) as record:
        threads = [threading.Thread(target=kept, args=(record, item(request(agent)))) for agent in range(300, 310)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        found = record.find([key(request(agent)) for agent in range(310)])
        assert [found[key(request(agent))].text for agent in range(300)] == [str(agent) for agent in range(300)]
        assert len(found) == 310
        assert record.total().calls == 410
        assert record.total().seconds > 0


def test_a_reply_is_on_the_record_before_it_is_given_back_even_if_the_asker_is_cancelled(tmp_path):
    async def story(record, reader):
        for agent in range(20):
            await record.keep([item(request(agent))])
            assert reader.find([key(request(agent))])
        task = asyncio.ensure_future(record.keep([item(request(99))]))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    with at(tmp_path / "r") as record, at(tmp_path / "r", read_only=True) as reader:
        asyncio.run(story(record, reader))
        record.flush()
        assert reader.find([key(request(99))])


def test_odd_characters_and_a_very_long_reply_come_back_as_they_were(tmp_path):
    long = reply("ü€\N{GRINNING FACE}\x00\r\n" * 1_000_000)
    with at(tmp_path / "r") as record:
        kept(record, item(said=long), item(request(1, prompt="half \ud800 a pair")))
        assert record.find([key(request())])[key(request())].text == long.text


# Replays that miss -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        (
            {"agent": 4},
            "no reply of 'fake/model' to agent 4, decision 3 (seed 1, attempt 0), and none to that decision",
        ),
        ({"prompt": "What then?"}, "its prompt differs at character 5: recorded 'What now?', asked 'What then?'"),
        ({"model": "fake/other"}, "its model differs at character 5: recorded 'fake/model', asked 'fake/other'"),
        ({"options": {"temperature": 1.0}}, "its options differs at character 1: recorded '{}', asked '{\"temperature"),
        ({"system": "Be kind."}, "its system differs at character 0: recorded '', asked 'Be kind.'"),
        ({"attempt": 1}, "its attempt differs at character 0: recorded '0', asked '1'"),
        ({"again": (("B", "?"),)}, "its earlier replies differs at character 1: recorded '[]', asked '[[\"B\","),
    ],
)
def test_a_miss_names_the_decision_and_the_first_difference(tmp_path, asked, sentence):
    with at(tmp_path / "r") as record:
        kept(record, item(request(5, 3, prompt="What now?")))
        found = record.miss(request(**{"agent": 5, "decision": 3, "prompt": "What now?", **asked}))
    assert isinstance(found, ReplayMiss)
    assert sentence in str(found)


# Looking, shipping, forgetting -----------------------------------------------------------------------------------


def filled(path):
    failed = Reply("", Status.FAILED, error="no", calls=5)
    with at(path) as record:
        kept(
            record,
            *(item(request(agent, model="a/one")) for agent in range(3)),
            item(request(3, model="a/one", seed=2), reply(cost_usd=None)),
            item(request(4, model="b/two"), failed),
        )
        return record.total()


def test_show_counts_by_model_and_status(tmp_path):
    filled(tmp_path / "r")
    one, two = show(tmp_path / "r")
    assert (one.model, one.status, one.replies) == ("a/one", Status.OK, 4)
    assert (one.spent.tokens, one.spent.priced_usd, one.spent.cost_usd, one.spent.unpriced) == (48, 0.75, None, 1)
    assert (two.model, two.status, two.replies, two.spent.calls, two.spent.cost_usd) == (
        "b/two",
        Status.FAILED,
        1,
        5,
        0,
    )


@pytest.mark.parametrize(
    ("conditions", "gone"),
    [({"model": "a/one"}, 4), ({"seed": 2}, 1), ({"failed": True}, 1), ({"before": 0.0}, 0), ({"before": 1e12}, 5)],
)
def test_prune_forgets_what_is_asked_and_keeps_what_it_cost(tmp_path, conditions, gone):
    before = filled(tmp_path / "r")
    assert prune(tmp_path / "r", **conditions) == gone
    with at(tmp_path / "r") as record:
        assert record.total() == before
        assert len(record.rows("SELECT 1 FROM replies")) == 5 - gone
        texts = record.rows("SELECT count(*) FROM texts")[0][0]
    assert texts == 5 - gone + (gone < 5)
    with pytest.raises(SpecError, match="at least one of model, seed, before, failed"):
        prune(tmp_path / "r")


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("{", r"in.jsonl, line 2: expected a recorded reply as export writes it: "),
        ("[]", "line 2: expected a recorded reply"),
        ('{"format": 99}', "line 2: format 99; this agentmicro reads format 1"),
        ('{"format": 1, "request": {}, "reply": {}}', "line 2: expected a recorded reply"),
    ],
)
def test_a_broken_export_is_refused_whole_and_its_line_named(tmp_path, line, sentence):
    filled(tmp_path / "r")
    export(tmp_path / "r", tmp_path / "out.jsonl")
    good = (tmp_path / "out.jsonl").read_text().splitlines()[0]
    (tmp_path / "in.jsonl").write_text(f"{good}\n{line}\n")
    with pytest.raises(RecordError, match=sentence):
        load(tmp_path / "new", tmp_path / "in.jsonl")
    assert show(tmp_path / "new") == []


def test_what_others_paid_is_not_spent_here(tmp_path):
    filled(tmp_path / "r")
    export(tmp_path / "r", tmp_path / "out.jsonl")
    assert all(json.loads(line)["format"] == 1 for line in (tmp_path / "out.jsonl").read_text().splitlines())
    load(tmp_path / "new", tmp_path / "out.jsonl")
    with at(tmp_path / "new") as record:
        assert record.total().calls == 0


# Files that are none ---------------------------------------------------------------------------------------------


def test_a_file_that_is_no_record_is_one_sentence(tmp_path):
    (tmp_path / "text").write_text("hello " * 1000)
    other = sqlite3.connect(tmp_path / "other")
    other.execute("CREATE TABLE mine (x)")
    other.close()
    with at(tmp_path / "newer") as record:
        kept(record, item())
    newer = sqlite3.connect(tmp_path / "newer")
    newer.execute("PRAGMA user_version = 9")
    newer.close()
    (tmp_path / "file").write_text("")
    for read_only, (name, sentence) in itertools.product(
        (False, True),
        {
            "text": "text: this is no record, or it is damaged",
            "other": "other: this is a database of another program",
            "newer": "newer: it has format 9 and this agentmicro reads up to 1; update agentmicro",
        }.items(),
    ):
        with pytest.raises(RecordError, match=sentence):
            Record(tmp_path / name, read_only)
    with pytest.raises(RecordError, match="there is no such file to replay"):
        Record(tmp_path / "missing", read_only=True)
    with pytest.raises(RecordError, match=r"file/below: (File exists|Not a directory)"):
        Record(tmp_path / "file" / "below")


def test_a_damaged_record_is_one_sentence(tmp_path):
    with at(tmp_path / "r") as record:
        kept(record, *(item(request(agent)) for agent in range(200)))
    with (tmp_path / "r").open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 40960)
    with pytest.raises(RecordError, match="r: the record is damaged; move it away or restore it"):
        show(tmp_path / "r")


@pytest.mark.skipif(os.name == "nt", reason="limits of POSIX")
def test_a_disk_that_is_full_is_one_sentence_and_nothing_recorded_is_lost(tmp_path):
    with at(tmp_path / "r") as record:
        kept(record, item(request(0)))
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
        try:
            with pytest.raises(
                RecordError, match=r"the disk (is full; free some space|refuses to read or write; is it)"
            ):
                kept(record, item(request(1), reply("x" * 1_000_000)))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert kept(record, item(request(2)))[0].text == "yes"  # and with room again, it goes on
        assert set(record.find([key(request(agent)) for agent in range(3)])) == {key(request(0)), key(request(2))}
