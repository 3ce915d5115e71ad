"""Calls in a society: their rows and roles, what others see of them, and minds that keep to their role."""

import json
import pickle
from collections import Counter
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pytest

from agentmicro.affordances import Artifact, Choice, Message, Number, Picks, Tools
from agentmicro.architecture import Architecture, Turns, Visibility
from agentmicro.completion import SCRIPTS, Reply, Request, Scripted
from agentmicro.errors import RuleError, SpecError
from agentmicro.minds import LanguageMind, Minds, Outcome, each
from agentmicro.noise import Chance
from agentmicro.society import Seed, Society
from agentmicro.trace import Trace, influence

FORUM = Tools(
    {
        "post": {"text": Message(limit=20)},
        "vote": {"post": Choice(("A", "B")), "up": Choice(("up", "down"))},
        "wait": {},
        "rate": {"stars": Number(1, 5, 1), "tags": Picks(("old", "new", "odd"), 2)},
    },
    roles={"reader": ("wait", "vote"), "editor": ("post", "vote", "wait", "rate")},
)
VOTE = {"vote": {"post": "A", "up": "up"}}
WAIT: dict[str, Any] = {"wait": {}}


# --- values, rows and roles


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("wait", "'wait' is no mapping of one action to its arguments"),
        ({}, "{} is no mapping of one action to its arguments"),
        ({"wait": {}, "post": {"text": ""}}, "is no mapping of one action to its arguments"),
        ({"wat": {}}, "there is no action 'wat', expected one of post, vote, wait, rate; did you mean 'wait'?"),
        ({"vote": "A"}, "the arguments of the action 'vote' are 'A', expected a mapping"),
        ({"vote": {"pots": "A"}}, "there is no argument 'pots' of the action 'vote', expected post, up; did you mean"),
        ({"wait": {"long": 1}}, "there is no argument 'long' of the action 'wait', expected none"),
        ({"vote": {"post": "A"}}, "the argument 'up' of the action 'vote' is missing"),
        ({"vote": {"post": "C", "up": "up"}}, "in the argument 'post' of the action 'vote', 'C' is no option"),
    ],
)
def test_a_value_that_is_no_call_is_refused(value: Any, sentence: str) -> None:
    with pytest.raises(SpecError) as caught:
        FORUM.encode(value)
    assert sentence in str(caught.value)


def test_rows_of_other_fields_or_codes_are_refused() -> None:
    with pytest.raises(SpecError, match=r"^Tools: the acts have the fields none, expected tool, post.text, vote.post"):
        FORUM.valid(np.zeros(3))
    row = FORUM.encode_many([VOTE])
    row["tool"] = 9
    assert not FORUM.valid(row).any()
    row["tool"] = 0
    with pytest.raises(SpecError, match="the argument 'text' of the action 'post' is missing"):
        FORUM.decode(row[0])


def test_parts_are_the_fields() -> None:
    assert FORUM.part("tool") == Choice(("post", "vote", "wait", "rate"))
    assert FORUM.part("vote.up") == Choice(("up", "down"))
    assert list(FORUM.dtype.names or ()) == list(FORUM.parts)
    assert FORUM.dtype["tool"] == np.int8
    assert FORUM.blank(2)["rate.tags"].shape == (2, 2)
    with pytest.raises(SpecError, match=r"there is no part 'vote.pst', expected .*; did you mean 'vote.post'\?$"):
        FORUM.part("vote.pst")


def test_calls_of_a_large_population_are_checked_by_columns() -> None:
    n = 100_000
    codes = np.arange(n) % 3
    acts = FORUM.blank(n)
    acts["tool"] = codes + 1
    acts["vote.post"], acts["vote.up"] = np.where(codes == 0, 1, -1), np.where(codes == 0, 0, -1)
    acts["rate.stars"] = np.where(codes == 2, 4.0, np.nan)
    acts["rate.tags"][codes == 2] = [2, -1]
    assert FORUM.valid(acts).all()
    acts["rate.stars"][:3] = 6
    assert FORUM.valid(acts)[:4].tolist() == [False, False, False, True]
    roles = np.where(np.arange(n) < n // 2, "reader", "editor")
    assert FORUM.oversteps(acts, roles).tolist() == ((codes == 2) & (np.arange(n) < n // 2)).tolist()


def test_a_role_may_use_its_own_actions_and_no_others() -> None:
    assert FORUM.may("reader") == (1, 2)
    assert FORUM.may("editor") == Tools(FORUM.actions).may("anyone") == (0, 1, 2, 3)
    with pytest.raises(SpecError, match=r"^Tools: there is no role 'redaer', expected one of reader, editor; did you"):
        FORUM.may("redaer")
    acts = FORUM.encode_many([VOTE, {"post": {"text": ""}}, None, {"post": {"text": ""}}])
    readers = np.array(["reader"] * 3 + ["editor"])
    assert FORUM.oversteps(acts, readers).tolist() == [False, True, False, False]
    assert not Tools(FORUM.actions).oversteps(acts, readers).any()
    for wrong in (np.array(["reader", "reader", "guest", "reader"]), np.zeros(4, int)):
        with pytest.raises(SpecError, match=r"there is no role '(guest|0)', expected one of reader, editor"):
            FORUM.oversteps(acts, wrong)


@pytest.mark.parametrize(
    ("actions", "roles", "sentence"),
    [
        ({}, None, "there are no actions, expected at least one"),
        (["post"], None, "the actions are ['post'], expected a mapping of their names"),
        ({"post": ["text"]}, None, "the post arguments are ['text'], expected a mapping of their names"),
        ({"a b": {}}, None, "the action cannot be named 'a b', expected a letter, then letters, digits, _ or -"),
        ({"a": {"b.c": Message()}}, None, "the a argument cannot be named 'b.c', expected a letter"),
        (
            {"tools": {}},
            None,
            "the action cannot be named 'tools', expected a letter, then letters, digits, _ or -, and",
        ),
        ({"a": {}, "A": {}}, None, "the actions a, A differ at most by letter case"),
        ({"a": {"x": "text"}}, None, "the a argument 'x' is 'text', expected an affordance that has no parts"),
        ({"a": {"x": Artifact({"y": Message()})}}, None, "expected an affordance that has no parts"),
        ({"a": {"x": Tools({"y": {}})}}, None, "expected an affordance that has no parts"),
        ({"a": {}}, {}, "the roles are {}, expected a mapping of roles to actions, or None"),
        ({"a": {}}, {"reader": ()}, "the role 'reader' may use (), expected words and a tuple of actions"),
        ({"a": {}}, {"reader": "a"}, "the role 'reader' may use 'a', expected words and a tuple of actions"),
        ({"a": {}}, {" ": ("a",)}, "the role ' ' may use ('a',), expected words and a tuple of actions"),
        (
            {"vote": {}},
            {"reader": ("vot",)},
            "the role 'reader' may use 'vot', which is no action, expected some of vote; did you mean 'vote'?",
        ),
    ],
)
def test_a_set_of_actions_that_makes_no_sense_is_refused(actions: Any, roles: Any, sentence: str) -> None:
    with pytest.raises(SpecError) as caught:
        Tools(actions, roles)
    assert str(caught.value).startswith("Tools: ")
    assert sentence in str(caught.value)


# --- in a society


def anything(request: Request) -> Reply:
    """One of the calls that the schema allows, each action as likely as the others, by keyed luck."""
    ways = request.schema["properties"]["tools"]["anyOf"]
    way = Chance(request.seed, "way", request.decision, request.agent).choice(ways)
    properties = {"tools": way}
    found: Reply = SCRIPTS["chance"](replace(request, schema={**request.schema, "properties": properties}))  # type: ignore[assignment]
    return found


@pytest.fixture(autouse=True)
def _scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SCRIPTS, "anything", anything)


@each
def oversteps(seen: Any) -> Any:
    return {"post": {"text": "hi"}} if seen.row == 4 else WAIT


@each
def keeps(seen: Any) -> Any:
    return {"post": {"text": f"by {seen.row}"}} if seen.trait("role") == "editor" else None if seen.row == 4 else VOTE


@each
def whispers(seen: Any) -> Any:
    return {"tell": {"whom": {0: "psst"}, "stars": 3}} if seen.row else {"wait": {}}


class Forum(Society):
    """Editors and readers, who may do less."""

    kind: ClassVar[Any] = FORUM
    roles: ClassVar[Any] = ("editor", "reader")
    communication: ClassVar[Any] = "network"
    rules: ClassVar[Any] = {"oversteps": oversteps, "keeps": keeps, "whispers": whispers}

    def __init__(
        self,
        agents: int = 6,
        minds: Minds = "scripted:anything",
        turns: Turns = "simultaneous",
        visibility: Visibility = "full",
        rng: Seed = 3,
    ) -> None:
        super().__init__(
            self.kind,
            agents=agents,
            graph="complete",
            architecture=Architecture(turns=turns, visibility=visibility, communication=self.communication),
            minds=minds,
            traits={"role": np.resize(np.array(self.roles), agents)} if self.roles else {},
            rng=rng,
        )
        self.trace = Trace()
        self.begin()


def forum(length: int = 1, made: type[Forum] = Forum, **knobs: Any) -> Any:
    society = made(**knobs)
    for _ in range(length):
        society.step()
    return society


def tools_of(entries: Any) -> set[str]:
    return {tool for entry in entries for tool in entry["act"]}


@pytest.mark.parametrize("turns", ["simultaneous", "random", "endogenous", "clocks"])
def test_a_language_mind_only_ever_uses_what_its_role_may(turns: Any) -> None:
    society = forum(25, turns=turns, agents=4)
    assert society.outcomes[Outcome.VALID] == society.n_decisions > 50
    assert FORUM.valid(society.acts.own).all()
    assert tools_of(entry for entry in society.trace if entry["agent"] % 2) == {"wait", "vote"}
    assert tools_of(entry for entry in society.trace if not entry["agent"] % 2) == {"post", "vote", "wait", "rate"}


def test_the_scripted_chance_calls_validly() -> None:
    society = forum(5, minds="scripted:chance")
    assert society.outcomes[Outcome.VALID] == society.n_decisions


def test_the_actions_of_a_role_are_offered_in_orders_that_keyed_luck_draws() -> None:
    society = forum(0, agents=3000)
    seen = society.expose(society.acts.rows)
    orders = [seen.one(row).offer.order for row in range(3000)]
    assert {tuple(sorted(order)) for order in orders[::2]} == {(0, 1, 2, 3)}
    by_order = Counter(orders[1::2])
    assert set(by_order) == {(1, 2), (2, 1)}
    assert abs(by_order[1, 2] - 750) < 5 * np.sqrt(1500 / 4)
    assert len(set(orders[::2])) == 24
    alone = society.expose(np.array([7])).one(0).offer
    assert alone.order == orders[7]
    assert ("post, with" in alone.text, "vote, with" in alone.text) == (False, True)


def test_a_reply_beyond_the_role_is_invalid_and_asked_for_again_with_what_is_on_offer() -> None:
    asked = []

    def script(request: Request) -> str:
        asked.append(request)
        return '{"post": {"text": "hi"}}' if request.attempt == 0 else "wait"

    society = forum(1, minds=LanguageMind("test", Scripted(script), Forum.prompt))
    outcomes = {entry["agent"] % 2: entry["outcome"] for entry in society.trace}
    assert outcomes == {0: "valid", 1: "reasked"}
    again = next(request for request in asked if request.attempt == 1)
    assert "the action 'post' is not on offer; the actions on offer are" in again.again[0][1]


def test_a_rule_that_oversteps_its_role_stops_the_run() -> None:
    made = type("Swapped", (Forum,), {"roles": ("reader", "editor")})
    with pytest.raises(RuleError) as caught:
        forum(made=made, minds="oversteps")
    said = str(caught.value)
    assert said.startswith("rule 'oversteps' of agent 4 at time 1, having seen own = None")
    assert said.endswith("called the action 'post', which the role 'reader' may not use: expected one of vote, wait")
    assert forum(minds="oversteps").members[4].own == {"post": {"text": "hi"}}
    everyone = type("Everyone", (Forum,), {"kind": Tools(FORUM.actions), "roles": None})
    assert forum(made=everyone, minds="oversteps").members[4].own == {"post": {"text": "hi"}}


def test_a_rule_keeps_its_role_and_may_be_silent() -> None:
    made = type("Readers", (Forum,), {"roles": ("editor", "reader", "reader")})
    society = forum(made=made, minds="keeps")
    assert [member.own for member in society.members][2:] == [VOTE, {"post": {"text": "by 3"}}, None, VOTE]
    assert society.outcomes[Outcome.FAILED] == 1
    assert forum(made=made, minds="stubborn(act=wait)").members[1].own == WAIT
    kind = Tools(FORUM.actions, {"reader": ("vote",), "editor": ("wait",)})
    with pytest.raises(RuleError, match=r"of agent 1 .* called the action 'wait', which the role 'reader' may not"):
        forum(made=type("Restless", (made,), {"kind": kind}), minds="stubborn(act=wait)")


@pytest.mark.parametrize("minds", ["keeps", "scripted:anything"])
def test_roles_need_a_trait_that_names_them(minds: str) -> None:
    with pytest.raises(SpecError, match=r"^the acts have roles and there is no trait 'role', expected one role name"):
        forum(made=type("Without", (Forum,), {"roles": None}), minds=minds.replace("keeps", "stubborn(act=wait)"))
    with pytest.raises(SpecError, match=r"there is no role 'redaer', expected one of reader, editor; did you mean"):
        forum(made=type("Misspelt", (Forum,), {"roles": ("redaer",)}), minds=minds)


# --- what others see of a call


def opened(*values: Any, made: type[Forum] = Forum, **knobs: Any) -> Any:
    society = made(agents=len(values), **knobs)
    society.acts.write(society.acts.rows, society.affordance.encode_many(values), 0.0)
    return society.expose(society.acts.rows)


RATE = {"rate": {"stars": 4, "tags": ("odd",)}}
POST = {"post": {"text": "hello"}}


def test_a_call_is_heard_as_the_call_and_counted_by_its_parts() -> None:
    seen = opened(RATE, VOTE, POST, None, WAIT)
    assert [item.content for item in seen.heard(3)] == [RATE, VOTE, POST, WAIT]
    assert seen.own["tool"].tolist() == [3, 1, 0, -1, 2]
    assert seen.counts("tool").tolist() == [[1, 1, 1, 0], [1, 0, 1, 1], [0, 1, 1, 1], [1, 1, 1, 1], [1, 1, 0, 1]]
    assert seen.counts("vote.up").sum(axis=1).tolist() == [1, 0, 1, 1, 1]
    assert seen.counts("rate.tags")[1].tolist() == [0, 0, 1]
    assert seen.mean("rate.stars")[1:].tolist() == [4, 4, 4, 4]
    assert np.isnan(seen.mean("rate.stars")[0])
    assert seen.total().tolist() == [3, 3, 3, 4, 3]
    assert FORUM.valid(seen.any()).all()
    with pytest.raises(RuleError, match="needs a Choice or Picks, and the act is a Tools"):
        seen.counts()
    with pytest.raises(SpecError, match="there is no part 'vote'"):
        seen.counts("vote")


def test_equal_calls_are_settled_although_their_blanks_are_no_numbers() -> None:
    assert opened(VOTE, VOTE, VOTE).unsettled().tolist() == [0, 0, 0]
    assert opened(RATE, RATE, VOTE).unsettled().tolist() == [0.5, 0.5, 1]
    assert opened(VOTE, {"vote": {"post": "A", "up": "down"}}).unsettled().tolist() == [1, 1]


def test_counts_of_a_large_population_are_those_of_its_neighbours() -> None:
    society = forum(0, agents=200)
    acts = FORUM.encode_many([VOTE, WAIT] * 100)
    society.acts.write(society.acts.rows, acts, 0.0)
    counted = society.expose(society.acts.rows).counts("tool")
    assert counted[0].tolist() == [0, 99, 100, 0]
    assert counted[1].tolist() == [0, 100, 99, 0]


@pytest.mark.parametrize("communication", ["network", "addressed"])
def test_a_message_to_some_is_read_by_them_alone(communication: str) -> None:
    kind = Tools({"tell": {"whom": Message(addressed=True), "stars": Number(1, 5, 1)}, "wait": {}})
    made = type("Telling", (Forum,), {"kind": kind, "roles": None, "communication": communication})
    society = forum(2, made=made, minds="whispers", agents=3)
    heard = [[item.content for item in society.expose(np.array([row])).heard(0)] for row in range(3)]
    told = {"tell": {"whom": "psst", "stars": 3}}
    others = {"network": [WAIT, {"tell": {"stars": 3}}], "addressed": []}[communication]
    assert heard == [[told, told], others, others]
    offer = society.expose(np.array([1])).one(0).offer
    assert "any of: 0, 2" in offer.text


# --- from end to end


def test_a_run_is_traced_and_can_be_repeated_pickled_and_followed() -> None:
    society, again = forum(4), forum(4)
    entries = list(society.trace)
    assert entries == list(again.trace)
    assert entries != list(forum(4, rng=4).trace)
    assert json.loads(json.dumps(entries)) == entries
    assert {entry["outcome"] for entry in entries} == {"valid"}
    assert {len(entry["order"]) for entry in entries} == {2, 4}
    for entry in entries[6:12]:
        before = [earlier["act"] for earlier in entries[:6] if earlier["agent"] != entry["agent"]]
        assert [item["content"] for item in entry["saw"]] == before
    graph = influence(entries)
    assert sum(count for _, _, count in graph.edges(data="exposures")) == 6 * 5 * 3
    copy = pickle.loads(pickle.dumps(society))
    for model in (society, copy):
        model.step()
    assert [member.own for member in copy.members] == [member.own for member in society.members]
    assert list(copy.trace) == list(society.trace)


@pytest.mark.parametrize("visibility", ["full", "anonymous", "counts", "hidden"])
def test_calls_are_shown_under_every_visibility(visibility: Any) -> None:
    society = forum(3, visibility=visibility)
    shown = [item for entry in society.trace for item in entry["saw"]]
    total = sum(item["count"] for item in shown)
    assert total == (0 if visibility == "hidden" else 6 * 5 * 2)
    assert all((item["author"] is None) == (visibility != "full") for item in shown)
