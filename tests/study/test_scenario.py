"""Scenario files: every table is read, and everything that is wrong in one is a sentence that says where."""

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentmicro.errors import ScenarioError
from agentmicro.study import files
from agentmicro.study.claims import arms, check
from agentmicro.study.scenario import load

FULL = """
phenomenon = "herding"

[risk]
name = "herding"
level = "macro"
outcome = "mean_position"
claim = "Rank steers."
worse = "low"
margin = 0.5
references = ["arXiv:2604.15236"]

[micro]
agents = 20
mind = "two-stage(gate=4)"

[grow]
seeds = 5
turns = 7
vary = { order = ["shuffled", "fixed"], agents = [10, 20] }
design = "grid"

[intervene]
hide = { signal = "hidden" }
shuffle = { order = "shuffled", likes_latency = 2 }
later = { order = "fixed", at = 3 }
mine = { mind = "uniform" }

[validate]
data = "field.csv"
columns = { gini = "share" }
values = { gini = 0.4, overlap = { low = 0.1, high = 0.3, source = "arXiv:1", grade = "measured" } }
distances = ["ks"]
where = { agents = 30 }

[identify]
vary = { order = ["shuffled", "fixed"] }
measures = ["mean_position", "gini"]
margins = { gini = 0.05 }
where = { agents = 15 }

[[threshold]]
says = "Large groups settle."
of = "agents"
that = "gini"
reaches = 0.4
where = { order = "fixed" }

[attack]
node = "items"
rows = [3, 5]
knobs = { order = "attack" }

[[claim]]
says = "High places win."
that = "mean_position"
where = { order = "fixed" }
below = 6

[[claim]]
says = "Order matters."
that = "gini"
where = { order = "fixed" }
against = { order = "shuffled" }
between = [0.1, 1]
at = 3
seeds = 8
"""


@pytest.fixture
def write(tmp_path):
    def file(text, name="case.toml"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(path)

    return file


def test_an_arm_is_one_change_or_several_each_with_a_later_time(write):
    text = 'phenomenon = "herding"\n[intervene]\n'
    two = '"as changed" = [{ order = "fixed", at = 2 }, { likes_latency = 3, order = "shuffled", at = 4.0 }]'
    arm = load(write(text + two)).intervene["as changed"]
    assert (arm.at, arm.knobs) == (2, {"order": "fixed"})
    assert arm.steps == ((2, {"order": "fixed"}), (4, {"likes_latency": 3, "order": "shuffled"}))
    assert load(write(text + 'one = [{ order = "fixed", at = 2 }]')).intervene["one"].steps == (
        (2, {"order": "fixed"}),
    )
    for wrong in (
        "one = []",
        'one = [{ order = "fixed" }]',
        'one = [{ order = "fixed", at = 4 }, { signal = "hidden", at = 4 }]',
        "one = 3",
        'one = [{ order = "fixed", at = 2 }, { agents = 9, at = 4 }]',
        "one = [{ at = 2 }]",
    ):
        with pytest.raises(ScenarioError, match=r"case\.toml"):
            load(write(text + wrong))


def test_every_table_is_read(write, tmp_path):
    (tmp_path / "field.csv").write_text("share\n0.3\n")
    found = load(write(FULL))
    assert found.name == "case"
    assert found.cls.__name__ == "Herding"
    assert found.digest == hashlib.sha256(FULL.encode()).hexdigest()
    assert found.micro == {"agents": 20, "mind": "two-stage(gate=4)"}
    assert (found.risk.level, found.risk.outcome) == ("macro", "mean_position")
    assert (found.grow.seeds, found.turns, found.grow.design) == (5, 7, "grid")
    assert found.grow.vary == {"order": ("shuffled", "fixed"), "agents": (10, 20)}
    assert (found.risk.worse, found.risk.margin) == ("low", 0.5)
    hide, shuffle, later, mine = found.intervene.values()
    assert (hide.name, hide.knobs, hide.at, hide.level) == ("hide", {"signal": "hidden"}, None, "protocol")
    assert shuffle.knobs == {"order": "shuffled", "likes_latency": 2}
    assert (later.knobs, later.at, mine.level) == ({"order": "fixed"}, 3, "model")
    assert found.identify.vary == {"order": ("fixed",)}  # the base is shuffled, and a change to itself is none
    assert found.identify.measures == ("mean_position", "gini")
    assert found.identify.margins == {"mean_position": 0.5, "gini": 0.05}
    (threshold,) = found.thresholds
    assert (threshold.of, threshold.that, threshold.reaches) == ("agents", "gini", 0.4)
    assert threshold.where == {"order": "fixed"}
    assert (found.attack.kind, found.attack.name, found.attack.rows) == ("node", "items", (3, 5))
    assert found.attack.knobs == {"order": "attack"}
    assert found.validate.values["gini"].value == 0.4
    assert (found.validate.values["overlap"].low, found.validate.values["overlap"].grade) == (0.1, "measured")
    assert (found.validate.columns, found.validate.where) == ({"gini": "share"}, {"agents": 30})
    assert found.validate.data == str((tmp_path / "field.csv").resolve())
    first, second = found.claims
    assert (first.low, first.high, first.seeds, first.at, first.against) == (float("-inf"), 6, 5, None, None)
    assert (second.low, second.high, second.seeds, second.at) == (0.1, 1, 8, 3)
    assert second.against == {"order": "shuffled"}


def test_what_is_not_written_is_the_phenomenons_own(write):
    found = load(write('phenomenon = "voter"'))
    assert found.turns == found.cls.length
    assert (found.micro, found.claims, found.intervene) == ({}, (), {})


@pytest.mark.parametrize("name", ["herding-attack", "herding_attack", " Herding-Attack "])
def test_a_name_is_found_from_any_folder(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load(name).name == "herding-attack"


def test_a_path_is_read_from_the_current_folder(write, tmp_path, monkeypatch):
    write('phenomenon = "voter"\n[micro]\nagents = 7\n', "herding.toml")
    monkeypatch.chdir(tmp_path)
    assert load("herding.toml").micro == load("./herding.toml").micro == {"agents": 7}
    assert load("herding").cls.__name__ == "Herding"


def test_byte_order_marks_and_windows_lines_are_read(write):
    assert load(write(b'\xef\xbb\xbfphenomenon = "voter"\r\n[micro]\r\nagents = 7\r\n')).micro == {"agents": 7}


@pytest.mark.parametrize("name", files.names())
def test_every_scenario_that_is_shipped_says_what_it_is_about(name):
    found = load(name)
    assert found.claims
    assert found.risk.claim
    assert found.risk.outcome
    assert files.summary(name)["risk"] == found.risk.claim


RISK = 'phenomenon = "voter"\n[risk]\n'
GROW = 'phenomenon = "voter"\n[grow]\n'
LATIN = GROW + 'design = "latin"\n'
ATTACK = 'phenomenon = "voter"\n[attack]\n'
HELD = 'phenomenon = "voter"\n[validate]\n'
THRESHOLD = (
    'phenomenon = "voter"\n[grow.vary]\nagents = [5, 10]\nturns = ["random"]\n'
    '[[threshold]]\nsays = "a"\nthat = "share"\n'
)
CLAIM = 'phenomenon = "herding"\n[[claim]]\nsays = "a"\nthat = "gini"\n'


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "phenomenon is missing"),
        ("phenomenon = 3", "phenomenon = 3: expected a text"),
        (
            'phenomenon = "hreding"',
            "phenomenon = 'hreding': expected one of .*channels, .*herding.*did you mean 'herding'",
        ),
        ('phenomenon = "voter"\n[mirco]', "no table or key 'mirco'; did you mean 'micro'"),
        ('phenomenon = "voter"\nmicro = 3', "micro = 3: expected a table"),
        ('phenomenon = "voter"\n[micro]\nagent = 3', r"\[micro\] agent: Voter has no such knob; did you mean 'agents'"),
        (
            'phenomenon = "voter"\n[micro]\nagents = "many"',
            r"\[micro\] agents = 'many': expected a whole number from 1",
        ),
        ('phenomenon = "voter"\n[micro]\nagents = 0', r"\[micro\] agents = 0: expected a whole number from 1"),
        ('phenomenon = "voter"\n[micro]\nagents = true', r"\[micro\] agents = True: expected a whole number"),
        ('phenomenon = "voter"\n[micro]\nagents = [1]', r"\[micro\] agents = \[1\]: expected a whole number"),
        ('phenomenon = "voter"\n[micro]\nshare = nan', r"\[micro\] share = nan: expected a number from 0 to 1"),
        ('phenomenon = "voter"\n[micro]\nturns = "randon"', "expected one of .*; did you mean 'random'"),
        ('phenomenon = "voter"\n[micro]\nmind = "votre"', "no mind 'votre'; did you mean 'voter'"),
        ('phenomenon = "voter"\n[micro]\ngraph = "rnig"', "no topology 'rnig'.*did you mean 'ring'"),
        (
            'phenomenon = "voter"\n[risk]\nlevel = "makro"',
            r"\[risk\] level = 'makro': expected one of micro, meso, macro",
        ),
        (
            'phenomenon = "voter"\n[risk]\noutcome = "shares"',
            r"\[risk\] outcome = 'shares': expected a measure of Voter",
        ),
        ('phenomenon = "voter"\n[risk]\nnaem = "x"', r"\[risk\] no key 'naem'; did you mean 'name'"),
        ('phenomenon = "voter"\n[risk]\nreferences = [1]', r"\[risk\] references = \[1\]: expected a list of texts"),
        ('phenomenon = "voter"\n[grow]\nseeds = 1', r"\[grow\] seeds = 1: expected a whole number from 2"),
        ('phenomenon = "voter"\n[grow]\nturns = 1.5', r"\[grow\] turns = 1.5: expected a whole number"),
        ('phenomenon = "voter"\n[grow]\ndesign = "gird"', "did you mean 'grid'"),
        (
            'phenomenon = "voter"\n[grow]\nvary = { agents = [] }',
            r"\[grow.vary\] agents = \[\]: expected a list of values",
        ),
        ('phenomenon = "voter"\n[grow]\nvary = { agents = 3 }', r"\[grow.vary\] agents = 3: expected a list of values"),
        ('phenomenon = "voter"\n[grow]\nvary = { agents = [3, 3] }', "expected different values"),
        ('phenomenon = "voter"\n[grow]\nvary = { agents = [3, -1] }', "agents = -1: expected a whole number from 1"),
        (
            'phenomenon = "voter"\n[intervene]\nmore = { agentz = 2 }',
            r"\[intervene.more\] agentz: Voter has no such knob",
        ),
        ('phenomenon = "voter"\n[intervene]\nmore = 2', r"\[intervene\] more = 2: expected a table"),
        (
            'phenomenon = "voter"\n[validate]\nvalues = { x = 1 }',
            r"\[validate.values\] no measure 'x'; Voter has share",
        ),
        ('phenomenon = "voter"\n[validate]\nvalues = { share = "x" }', "share = 'x': expected a number"),
        ('phenomenon = "voter"\nclaim = 3', r"claim = 3: expected tables, each headed \[\[claim\]\]"),
        (RISK + 'worse = "bad"', r"\[risk\] worse = 'bad': expected one of high, low"),
        (RISK + "margin = 0", r"\[risk\] margin = 0: expected a number above 0"),
        (RISK + 'margin = "x"', r"\[risk\] margin = 'x': expected a number above 0"),
        (
            GROW + "vary = { agents = { low = 3, high = 9 } }",
            r"agents = .*: expected a list of values for the design",
        ),
        (LATIN + "vary = { agents = { low = 9, high = 3 } }", "whose low end is below its high end"),
        (LATIN + "vary = { agents = { low = 9 } }", r"\[grow.vary.agents\] high is missing"),
        (LATIN + "vary = { agents = { low = 0, high = 3 } }", "agents = 0: expected a whole number from 1"),
        (LATIN + "vary = { turns = { low = 0, high = 3 } }", "turns = 0: expected one of"),
        (GROW + "samples = 3", r"\[grow\] samples: the design grid takes none; it is for latin, sobol, morris"),
        (GROW + 'design = "adaptive"', "expected exactly one knob in vary"),
        (
            'phenomenon = "voter"\n[identify]\nmeasures = ["x"]',
            r"\[identify\] measures = .*: expected a measure of Voter",
        ),
        ('phenomenon = "voter"\n[identify]\nmargins = { share = -1 }', "share = -1: expected a number above 0"),
        (THRESHOLD + 'of = "agent"\nreaches = 1', r"\[threshold 1\] of = 'agent': .*did you mean 'agents'"),
        (THRESHOLD + 'of = "turns"\nreaches = 1', "a knob whose values are numbers"),
        (THRESHOLD + 'of = "agents"', r"\[threshold 1\] reaches is missing"),
        (THRESHOLD + 'of = "agents"\nreaches = 1\nwhere = { turns = "fixed" }', "a value that .grow. varies it over"),
        ('phenomenon = "voter"\n[intervene]\na = { at = 3 }', r"\[intervene.a\] expected at least one knob"),
        ('phenomenon = "voter"\n[intervene]\na = { agents = 3, at = 3 }', "agents: cannot change during a run"),
        ('phenomenon = "voter"\n[intervene]\na = { turns = "fixed", at = 0 }', "at = 0: expected a number above 0"),
        (ATTACK, r"\[attack\] expected exactly one of node, slot, mind, and it has none"),
        (
            ATTACK + 'node = "agent"',
            "node = 'agent': expected a knob .* whole number; did you mean 'agents'",
        ),
        (ATTACK + 'slot = "turns"', "slot = 'turns': expected a knob that takes a whole number"),
        (ATTACK + 'mind = "zealto"', r"\[attack\] no mind 'zealto'"),
        (ATTACK + 'node = "agents"\nrows = [1, 1]', "a list of different whole numbers from 0 up"),
        (ATTACK + 'node = "agents"\nrows = [-1]', "a list of different whole numbers from 0 up"),
        (HELD + 'data = "../x.csv"', "a path inside the folder of the scenario"),
        (HELD + 'data = "/etc/hostname"', "a path inside the folder of the scenario"),
        (HELD + 'data = "x.csv"', "a file beside the scenario, and there is none"),
        (HELD + 'distances = ["kss"]', "did you mean 'ks'"),
        (HELD + 'columns = { share = "x" }', "columns: expected data beside it"),
        (HELD + "values.share = { low = 1 }", "expected value, or low and high, or all three"),
        (HELD + "values.share = { low = 2, high = 1 }", "a number that is not above high"),
        (CLAIM, r"\[claim 1\]: expected exactly one of above, below, between, and it has none"),
        (CLAIM + "above = 1\nbelow = 2", "and it has above, below"),
        (CLAIM + 'above = "x"', r"\[claim 1\] above = 'x': expected a number"),
        (CLAIM + "above = inf", "above = inf: expected a number"),
        (CLAIM + "between = [2, 1]", r"between = \[2, 1\]: expected two numbers, the smaller first"),
        (CLAIM + "between = [1]", "expected two numbers"),
        (CLAIM + "above = 1\nat = 51", r"at = 51: expected a whole number from 0 to 50"),
        (CLAIM + 'above = 1\nwhere = { order = "atack" }', r"\[claim 1.where\] order = 'atack'.*did you mean 'attack'"),
        (CLAIM + 'above = 1\nwhere = "x"', "where = 'x': expected a table"),
        (CLAIM + 'above = 1\nagainst = { mind = "uniorm" }', r"\[claim 1.against\].*did you mean 'uniform'"),
        (CLAIM + 'above = 1\n[[claim]]\nsays = "a"\nthat = "gini"\nabove = 2', r"\[claim 2\] says the same as claim 1"),
        (CLAIM + 'above = 1\n[[claim]]\nsays = "b"\nthat = "gini"\nabove = 1', r"\[claim 2\] asks the same as claim 1"),
        (
            CLAIM.replace('"gini"', '"ginny"') + "above = 1",
            "that = 'ginny': expected a measure of Herding.*mean 'gini'",
        ),
        (CLAIM.replace("says", "#") + "above = 1", r"\[claim 1\] says is missing"),
        ('phenomenon = "voter"\n[micro\n', r"not TOML: .*line 2"),
        ("a = " + "[" * 5000, "not TOML"),
        ("a = " + "1" * 5000, "not TOML"),
        (b'phenomenon = "voter"\n# \xff', "line 2 is not UTF-8"),
        ("#" * 1_000_001, "1,000,001 bytes; a scenario has at most 1,000,000"),
    ],
)
def test_what_is_wrong_is_one_sentence_that_says_where(write, text, sentence):
    with pytest.raises(ScenarioError, match=sentence) as caught:
        load(write(text))
    assert "case.toml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_none_is_refused(tmp_path, write):
    write('phenomenon = "voter"', "mine.toml")
    with pytest.raises(ScenarioError, match="no such file; did you mean 'mine'"):
        load(str(tmp_path / "mne.toml"))
    with pytest.raises(ScenarioError, match="this is a folder"):
        load(str(tmp_path) + "/")
    with pytest.raises(ScenarioError, match="cannot be read"):
        load("x" * 5000 + ".toml")
    with pytest.raises(ScenarioError, match="no regular file"):
        load("/dev/null")
    with pytest.raises(ScenarioError, match="no scenario 'hreding'; did you mean 'herding'"):
        load("hreding")


def test_text_is_data_and_never_code(write):
    path = write('phenomenon = "voter"\n[micro]\nmind = "__import__(\'os\')"')
    with pytest.raises(ScenarioError, match="no mind"):
        load(path)


@settings(deadline=None, max_examples=60)
@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: f'phenomenon = "voter"\n{text}'.encode()))
def test_no_file_whatever_is_in_it_gives_anything_but_a_scenario_or_a_sentence(tmp_path_factory, raw):
    path = tmp_path_factory.mktemp("any") / "case.toml"
    path.write_bytes(raw)
    try:
        found = load(str(path)).cls.__name__
    except ScenarioError as error:
        found = str(error)
    assert found == "Voter" or "case.toml" in found


# --- minds of a scenario's own

MINDS = """
phenomenon = "herding"
[minds.reader]
model = "scripted:chance"
temperature = 0.5
system = "Be brief."
persona = ["You are Ada.", "You are Bob."]
recall = "last 3"
[micro]
agents = 6
mind = "reader:4, uniform"
[grow]
seeds = 2
turns = 2
vary = { mind = ["reader", "uniform"] }
[intervene]
all = { mind = "reader" }
[[claim]]
says = "Somebody reads."
that = "failure_rate"
where = { mind = "reader" }
against = { mind = "reader:1, uniform" }
between = [-1, 1]
"""


def test_a_minds_table_is_a_mind_wherever_knobs_are(write):
    found = load(write(MINDS))
    speaker = found.minds["reader"]
    assert (speaker.model, speaker.recall, speaker.options) == ("scripted:chance", "last 3", {"temperature": 0.5})
    assert speaker.system_for(1) == "Be brief.\n\nYou are Bob."
    assert found.micro["mind"] == "reader:4, uniform"
    assert found.intervene["all"].knobs == {"mind": "reader"}
    checked = check(found)
    assert checked.held
    assert (checked.ledger.spent.calls, checked.ledger.served) == (2 * 2 * (6 + 1), ("scripted:chance",))
    assert {(knobs["mind"], seeds) for knobs, seeds in arms(found)} == {
        ("reader", 2),
        ("reader:1, uniform", 2),
        ("uniform", 2),
    }


def test_the_minds_of_one_scenario_are_unknown_to_another(write):
    load(write(MINDS))
    with pytest.raises(ScenarioError, match="no mind 'reader'"):
        load(write('phenomenon = "herding"\n[micro]\nmind = "reader"'))


def test_personas_stand_beside_the_scenario_and_nowhere_else(write, tmp_path):
    text = 'phenomenon = "herding"\n[minds.a]\nmodel = "scripted:first"\npersona = "{}"\n'
    (tmp_path / "people.jsonl").write_text('{"persona": "You are Ada."}\n')
    assert load(write(text.format("people.jsonl"))).minds["a"].personas == ("You are Ada.",)
    outside = tmp_path / "inner"
    outside.mkdir()
    for name in ("../people.jsonl", str(tmp_path / "people.jsonl")):
        with pytest.raises(ScenarioError, match=r"\[minds.a\] persona = .*not outside its folder"):
            load(write(text.format(name), "inner/case.toml"))


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ("[minds.a]", r"\[minds.a\] model is missing"),
        ('[minds.a]\nmodle = "x/y"', r"\[minds.a\] no key 'modle'; did you mean 'model'"),
        ('[minds.a]\nmodel = "gpt4o-mini"', r"\[minds.a\] model = 'gpt4o-mini': .*did you mean 'gpt-4o-mini'"),
        ('[minds.a]\nmodel = "scripted:frist"', r"\[minds.a\] model = 'scripted:frist': .*did you mean 'first'"),
        ('[minds.a]\nmodel = "x/y"\ntemperature = "hot"', r"\[minds.a\] temperature = 'hot': expected int, float"),
        ('[minds.a]\nmodel = "x/y"\nrecall = "lats 5"', r"\[minds.a\] recall = 'lats 5'.*did you mean 'last'"),
        ('[minds.a]\nmodel = "x/y"\nreasks = 11', r"\[minds.a\] reasks = 11: expected a whole number from 0 to 10"),
        ('[minds.uniform]\nmodel = "x/y"', r"\[minds.uniform\] Herding has a mind of that name"),
        ('[minds."a b"]\nmodel = "x/y"', r"\[minds.a b\] expected a name of letters, digits, - and _"),
        ("[minds]\na = 3", r"\[minds\] a = 3: expected a table"),
    ],
)
def test_what_is_wrong_in_a_minds_table_is_a_sentence_that_says_where(write, table, sentence):
    with pytest.raises(ScenarioError, match=sentence) as caught:
        load(write(f'phenomenon = "herding"\n{table}'))
    assert str(caught.value).startswith("case.toml: ")
