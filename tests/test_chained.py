import copy
import hashlib
import json
import math
import pickle

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from agentmicro.chained import START, Chained, Entry, canonical, first_broken, linked, read, written
from agentmicro.errors import SpecError

numbers = st.one_of(st.integers(-(10**18), 10**18), st.floats(allow_nan=False, allow_infinity=False))
values = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, st.text(max_size=6)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=4), inner, max_size=3)),
    max_leaves=6,
)
bodies = st.lists(values, min_size=1, max_size=8)


def log_of(found):
    log = Chained()
    for body in found:
        log.append(body)
    return log


def digests(found):
    """The digests by their definition, with nothing of the module."""
    before, out = "0" * 64, []
    for body in found:
        text = json.dumps(body, sort_keys=True, separators=(",", ":"))
        before = hashlib.sha256(before.encode() + text.encode()).hexdigest()
        out.append(before)
    return out


@given(bodies)
def test_a_log_is_whole_and_its_digests_are_those_of_the_definition(found):
    log = log_of(found)
    assert [entry.digest for entry in log] == digests(found)
    assert log.head == digests(found)[-1]
    assert first_broken(log, head=log.head) is None
    assert [entry.body for entry in log] == found


def test_the_digest_of_a_known_entry():
    # printf '%064d{"a":1}' 0 | sha256sum, by GNU coreutils
    assert Chained().append({"a": 1}).digest == "fc6cee09194dd2578bd7664604fcb72a539066fd34544cea0009c43eb6cdc289"


@given(bodies, values)
def test_appending_never_changes_what_was(found, more):
    log = log_of(found)
    before = list(log)
    kept = copy.deepcopy(before)
    log.append(more)
    assert list(log)[:-1] == before == kept
    assert log.since(len(found)) == list(log)[-1:]
    assert len(log) == len(found) + 1


def test_a_body_that_is_changed_after_it_was_logged_changes_no_entry():
    body = {"paid": [1]}
    log = log_of([body])
    body["paid"].append(2)
    assert [entry.body for entry in log] == [{"paid": [1]}]
    assert first_broken(log, head=log.head) is None


@given(bodies, values, st.data())
def test_any_change_of_a_body_is_found_where_it_is(found, other, data):
    place = data.draw(st.integers(0, len(found) - 1))
    assume(canonical(other) != canonical(found[place]))
    entries = list(log_of(found))
    entries[place] = Entry(canonical(other), entries[place].digest)
    assert first_broken(entries) == place


@given(bodies, values, st.data())
def test_a_change_with_its_digest_made_anew_is_found_at_the_next_entry(found, other, data):
    place = data.draw(st.integers(0, len(found) - 1))
    assume(canonical(other) != canonical(found[place]))
    log = log_of(found)
    entries = list(log)
    before = entries[place - 1].digest if place else START
    entries[place] = Entry(canonical(other), linked(before, canonical(other)))
    assert first_broken(entries, head=log.head) == place + 1


@given(bodies, values, st.data())
def test_a_log_rewritten_to_its_end_hangs_together_and_is_found_by_its_head_alone(found, other, data):
    place = data.draw(st.integers(0, len(found) - 1))
    assume(canonical(other) != canonical(found[place]))
    forged = log_of([*found[:place], other, *found[place + 1 :]])
    assert first_broken(forged) is None
    assert first_broken(forged, head=log_of(found).head) == len(found)


@given(bodies, st.data())
def test_what_is_taken_out_is_found(found, data):
    log = log_of(found)
    first = data.draw(st.integers(0, len(found) - 1))
    last = data.draw(st.integers(first + 1, len(found)))
    left = list(log)[:first] + list(log)[last:]
    assert first_broken(left, head=log.head) == first
    if last == len(found):
        assert first_broken(left) is None  # the end is vouched for by the head alone


@given(bodies, values, st.data())
def test_what_is_put_in_is_found(found, other, data):
    log = log_of(found)
    place = data.draw(st.integers(0, len(found)))
    entries = list(log)
    before = entries[place - 1].digest if place else START
    entries.insert(place, Entry(canonical(other), linked(before, canonical(other))))
    assert first_broken(entries, head=log.head) == place + 1


@given(bodies, st.data())
def test_any_other_order_is_found(found, data):
    log = log_of(found)
    order = data.draw(st.permutations(range(len(found))))
    assume(list(order) != sorted(order))
    first = next(place for place, index in enumerate(order) if place != index)
    assert first_broken([list(log)[index] for index in order], head=log.head) == first


@given(bodies, st.data())
def test_the_rest_of_a_log_is_checked_by_itself(found, data):
    log = log_of(found)
    place = data.draw(st.integers(0, len(found)))
    after = list(log)[place - 1].digest if place else START
    assert first_broken(log.since(place), after=after, head=log.head) is None
    if place < len(found):
        assert first_broken(log.since(place), after=linked(after, "null"), head=log.head) == 0


@settings(max_examples=50)
@given(bodies)
def test_json_lines_are_read_back_and_so_are_copies(found):
    log = log_of(found)
    assert read(written(log)) == list(log)
    assert [json.loads(line)["body"] for line in written(log).splitlines()] == found
    again = pickle.loads(pickle.dumps(log))
    again.append("more")
    assert len(log) == len(found)
    assert first_broken(again, head=again.head) is None


@given(bodies, st.data())
def test_any_other_character_in_a_file_is_found(found, data):
    log = log_of(found)
    text = written(log)
    place = data.draw(st.integers(0, len(text) - 1))
    letter = data.draw(st.sampled_from([*'0159aef"\\{}[]:,. -+E', "\n"]))
    changed = text[:place] + letter + text[place + 1 :]
    try:
        entries = read(changed)
    except SpecError:
        return
    if entries != list(log):
        assert first_broken(entries, head=log.head) is not None


def test_an_empty_log_is_whole_and_an_emptied_one_is_not():
    log = Chained()
    assert (log.head, len(log), first_broken(log, head=log.head), written(log)) == (START, 0, None, "")
    assert first_broken([], head=log_of([1]).head) == 0


@pytest.mark.parametrize("body", [math.nan, math.inf, {1, 2}, object(), {1: "a", "b": 2}, [b"bytes"]])
def test_what_json_cannot_hold_is_refused_and_leaves_the_log_as_it_was(body):
    log = log_of(["first"])
    with pytest.raises(SpecError, match=r"the log cannot hold .* expected what JSON holds"):
        log.append(body)
    assert len(log) == 1


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ('{"body":1', "line 2 of the log is no JSON"),
        ('{"body":1}', "line 2 of the log is no entry"),
        ('{"body":1,"digest":2}', "line 2 of the log is no entry"),
        ("[1]", "line 2 of the log is no entry"),
        ('{"body":{"a":1,"a":2},"digest":"0"}', "a key stands twice"),
    ],
)
def test_a_line_that_is_no_entry_says_so(line, why):
    with pytest.raises(SpecError, match=why):
        read(written(log_of(["first"])) + line + "\n")
