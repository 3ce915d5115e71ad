"""The command line: what it prints, what it refuses in one sentence, and how it ends."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from agentmicro.cli import main


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Every command runs in an empty folder of its own."""
    monkeypatch.chdir(tmp_path)


def call(capsys, *words):
    """The exit code, what went to stdout and what to stderr."""
    code = main(list(words))
    found = capsys.readouterr()
    return code, found.out, found.err


def shell(*words, **more):
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, timeout=120, **more)


# --- run


def test_a_run_is_shown_beside_its_null_with_the_finding_in_words(capsys):
    code, out, err = call(capsys, "run", "herding", "--turns", "3")
    assert (code, err) == (0, "")
    assert out.startswith("herding (scenario herding); two-stage: 200 agents; seed 1, 3 turns")
    assert "Endorsed items stood at place" in out
    assert "600 decisions, 0.0% failed" in out
    assert "\x1b" not in out


def test_json_is_one_object_that_says_everything(capsys):
    code, out, _ = call(capsys, "run", "voter", "--json", "--set", "agents=10", "--turns", "2", "--seed", "5")
    found = json.loads(out, parse_constant=pytest.fail)
    assert code == 0
    assert {"phenomenon", "seed", "turns", "knobs", "measures", "decisions", "minds", "seconds"} <= set(found)
    assert {"null", "valid", "finding", "scenario"} <= set(found)
    assert (found["seed"], found["turns"], found["knobs"]["agents"], found["minds"]) == (5, 2, 10, {"voter": 10})
    assert found["null"]["settled_at"] is None
    assert found["decisions"]["valid"] == 20


def test_a_seed_repeats_a_run(capsys):
    one, two, other = (
        json.loads(call(capsys, "run", "voter", "--json", "--seed", seed)[1])["measures"] for seed in "113"
    )
    assert one == two != other


def test_a_scenario_wins_over_a_phenomenon_and_a_path_over_both(capsys, tmp_path):
    assert json.loads(call(capsys, "run", "voter", "--json")[1])["scenario"] == "voter"
    (tmp_path / "voter.toml").write_text('phenomenon = "voter"\n[micro]\nagents = 5\n')
    assert json.loads(call(capsys, "run", "voter.toml", "--json")[1])["knobs"]["agents"] == 5


def test_out_writes_the_files_and_a_second_run_replaces_them(capsys, tmp_path):
    files = {"manifest.json", "run.csv", "turns.csv", "figure.png", "figure.svg"}
    words = ("run", "voter", "--set", "agents=10", "--turns", "2", "--out", "here")
    code, out, _ = call(capsys, *words, "--trace")
    assert (code, out.splitlines()[-1]) == (0, "Written to here.")
    assert {path.name for path in (tmp_path / "here").iterdir()} == files | {"decisions.jsonl"}
    lines = (tmp_path / "here" / "decisions.jsonl").read_text().splitlines()
    assert len(lines) == 20
    assert json.loads(lines[0])["outcome"] == "valid"
    assert call(capsys, *words)[0] == 0
    assert {path.name for path in (tmp_path / "here").iterdir()} == files
    assert json.loads((tmp_path / "here" / "manifest.json").read_text())["command"] == ["agentmicro", *words]
    assert [path.name for path in tmp_path.iterdir()] == ["here"]


def test_without_matplotlib_the_rest_is_written(capsys, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    code, _, err = call(capsys, "run", "voter", "--turns", "1", "--out", "here")
    assert code == 0
    assert err == "no figure: matplotlib is not installed; it comes with the extra agentmicro[figures]\n"
    assert {path.name for path in (tmp_path / "here").iterdir()} == {"manifest.json", "run.csv", "turns.csv"}


def test_failed_decisions_above_the_limit_exit_2_and_say_so(capsys):
    code, out, err = call(capsys, "run", "voter", "--set", "mind=silent", "--json")
    assert code == 2
    assert json.loads(out)["valid"] is False
    assert err == "not valid: 100.0% of the decisions failed, above 5%\n"


def test_a_run_touches_no_drawing_no_language_model_no_browser_and_no_network():
    code = (
        "import socket, sys\n"
        "def refuse(*_): raise AssertionError('network')\n"
        "socket.socket.connect = socket.create_connection = refuse\n"
        "from agentmicro.cli import main\n"
        "code = main(['run', 'herding', '--turns', '2', '--json'])\n"
        "print(code, sorted({'matplotlib', 'litellm', 'solara', 'httpx', 'rich'} & set(sys.modules)))"
    )
    done = shell("-W", "error", "-c", code)
    assert done.stderr == ""
    assert done.stdout.splitlines()[-1].startswith("0 [")
    assert not {"matplotlib", "litellm", "solara", "httpx"} & set(done.stdout.splitlines()[-1].split("'"))


# --- list, show, help


def test_help_and_list_import_nothing_heavy():
    for words in ("['--help']", "['list', '--json']"):
        done = shell("-c", f"import sys; from agentmicro.cli import main; main({words}); print('mesa' in sys.modules)")
        assert done.stdout.splitlines()[-1] == "False", done.stderr


def test_list_names_what_there_is(capsys):
    found = json.loads(call(capsys, "list", "--json")[1])
    assert {"herding", "channels", "voter"} <= {item["name"] for item in found["phenomena"]}
    assert {"herding", "herding-attack"} <= {item["name"] for item in found["scenarios"]}
    assert "herding-attack" in call(capsys, "list")[1]


def test_show_is_a_card_with_sources_ranges_minds_and_measures(capsys):
    code, out, _ = call(capsys, "show", "herding-attack", "--set", "items=20")
    assert code == 0
    lines: dict[str, list[str]] = {}
    for line in filter(None, map(str.split, out.splitlines())):
        lines.setdefault(line[0], line)
    assert lines["agents"][:3] == ["agents", "200", "file"]
    assert lines["order"][:3] == ["order", "attack", "file"]
    assert lines["items"][:3] == ["items", "20", "override"]
    assert lines["endorse"][:3] == ["endorse", "3", "default"]
    assert "1 to 10,000,000" in out
    assert {"Risk:", "Mechanism:", "Cures", "References:", "cascade-click", "stubborn", "proof_slope"} <= set(lines)


def test_no_words_is_help(capsys):
    code, out, _ = call(capsys)
    assert code == 0
    assert out.startswith("Usage: agentmicro")


# --- check


CLAIM = 'phenomenon = "voter"\n[grow]\nseeds = 3\nturns = 2\n[[claim]]\nsays = "x"\nthat = "agreement"\n'


@pytest.mark.parametrize(("bound", "code", "verdict"), [("above = 0.1", 0, "held"), ("below = 0.1", 1, "broken")])
def test_check_exits_0_only_if_all_is_held(capsys, tmp_path, bound, code, verdict):
    (tmp_path / "one.toml").write_text(CLAIM + bound)
    found, out, err = call(capsys, "check", "one.toml")
    assert (found, err) == (code, "")
    assert verdict in out
    data = json.loads(call(capsys, "check", "one.toml", "one.toml", "--json")[1])
    assert [item["claims"][0]["verdict"] for item in data["scenarios"]] == [verdict] * 2
    assert data["held"] is (code == 0)


def test_check_exits_2_when_the_runs_are_no_evidence(capsys, tmp_path):
    (tmp_path / "one.toml").write_text(CLAIM + "above = 0.1")
    code, _, err = call(capsys, "check", "one.toml", "--set", "mind=silent")
    assert (code, err) == (2, "not valid: in some runs too many decisions failed\n")


def test_every_file_is_read_before_any_is_run(capsys, tmp_path):
    (tmp_path / "one.toml").write_text(CLAIM + "above = 0.1")
    code, out, err = call(capsys, "check", "one.toml", "two.toml")
    assert (code, out, err) == (1, "", "error: two.toml: no such file\n")


def test_the_herding_claims_break_without_the_mechanism(capsys):
    code, out, _ = call(capsys, "check", "herding", "--set", "mind=uniform", "--json")
    verdicts = {item["that"]: item["verdict"] for item in json.loads(out)["scenarios"][0]["claims"]}
    assert code == 1
    assert {verdicts[name] for name in ("mean_position", "low_share", "gini")} == {"broken"}
    assert verdicts["proof_step"] != "held"


# --- what is wrong


WRONG = [
    (("run", "hreding"), "no scenario or phenomenon 'hreding'; did you mean 'herding'?; there is agreement, "),
    (("run", ""), "no scenario or phenomenon ''"),
    (("run", "nothing.toml"), "nothing.toml: no such file"),
    (("run", "./"), "expected a scenario file, and this is a folder"),
    (("run", "voter", "--set", "agents"), "--set agents: expected knob=value, such as agents=5"),
    (("run", "voter", "--set", "=3"), "--set =3: expected knob=value"),
    (
        ("run", "voter", "--set", "agentz=3"),
        "--set agentz: Voter has no such knob; did you mean 'agents'?; it has agents",
    ),
    (("run", "voter", "--set", "agents=many"), "--set agents = 'many': expected a whole number from 1 to 10,000,000"),
    (("run", "voter", "--set", "agents=0"), "--set agents = 0: expected a whole number from 1 to 10,000,000"),
    (("run", "voter", "--set", "agents=2.5"), "--set agents = 2.5: expected a whole number"),
    (("run", "voter", "--set", "share=1.1"), "--set share = 1.1: expected a number from 0 to 1"),
    (("run", "voter", "--set", "share=nan"), "--set share = nan: expected a number from 0 to 1"),
    (("run", "voter", "--set", "turns=randon"), "expected one of simultaneous, random, fixed"),
    (("run", "voter", "--set", "graph=rnig"), "did you mean 'ring'?"),
    (("run", "voter", "--set", "graph=none.graphml"), "none.graphml"),
    (("run", "voter", "--set", "graph=random_regular(k=3)", "--set", "agents=5"), "random_regular with 5 agents"),
    (("run", "voter", "--set", "mind=votre"), "no mind 'votre'; did you mean 'voter'?"),
    (("run", "voter", "--set", "mind=threshold(att=1)"), "threshold has no such knob; did you mean 'at'?"),
    (("run", "voter", "--set", "mind=voter:500, stubborn"), "voter:500 seat 500 agents"),
    (("run", "voter", "--set", "mind=scripted:frist"), "did you mean 'first'?"),
    (("run", "voter", "--seed", "x"), "--seed"),
    (("run", "voter", "--seed", "-1"), "--seed"),
    (("run", "voter", "--turns", "0"), "--turns"),
    (("run", "voter", "--trace"), "--trace: expected --out DIR beside it"),
    (("run", "voter", "--ot", "x"), "--ot"),
    (("run",), "SCENARIO|PHENOMENON"),
    (("rnu",), "rnu"),
    (("check", "herdin"), "no scenario 'herdin'; did you mean 'herding'?"),
    (("check",), "SCENARIO"),
    (("show", "votr"), "did you mean 'voter'?"),
    (("new", "class"), "Python has a word or a module of that name"),
    (("new", "Big Name"), "expected lower-case letters, digits and hyphens"),
    (("new", "voter"), "there is a phenomenon or a scenario of that name"),
    (("new", "herding-attack"), "there is a phenomenon or a scenario of that name"),
]


@pytest.mark.parametrize(("words", "sentence"), WRONG, ids=[" ".join(words) for words, _ in WRONG])
def test_what_is_wrong_is_one_sentence_and_nothing_is_written(capsys, tmp_path, words, sentence):
    out = ("--out", "made") if words[:2] == ("run", "voter") and "--trace" not in words else ()
    code, printed, err = call(capsys, *words, *out)
    assert code == 1
    assert printed == ""
    assert err.startswith("error: ")
    assert sentence in err
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_ours_is_refused_before_anything_runs(capsys, tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("mine")
    code, printed, err = call(capsys, "run", "voter", "--out", "thesis")
    assert (code, printed) == (1, "")
    assert (
        err == "error: --out thesis: not empty, and no earlier run of agentmicro; expected a new or an empty folder\n"
    )


def test_the_module_is_the_command_and_leaves_no_traceback():
    done = shell("-m", "agentmicro", "run", "hreding")
    assert (done.returncode, done.stdout) == (1, "")
    assert "Traceback" not in done.stderr


# --- ended from outside


@pytest.mark.skipif(os.name != "posix", reason="signals and pipes as POSIX has them")
def test_an_interrupt_is_one_line_exit_130_and_leaves_nothing(tmp_path):
    words = [sys.executable, "-m", "agentmicro", "run", "voter", "--turns", "10000000", "--out", "made"]
    started = subprocess.Popen(
        words,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    while started.poll() is None and not any(tmp_path.iterdir()):
        time.sleep(0.05)
    time.sleep(0.2)
    started.send_signal(signal.SIGINT)
    err = started.communicate(timeout=60)[1]
    assert (started.returncode, err) == (130, "interrupted\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name != "posix", reason="signals and pipes as POSIX has them")
@pytest.mark.parametrize("words", [["list"], ["list", "--json"]])
def test_a_reader_who_has_had_enough_gets_no_traceback(words):
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "agentmicro", *words], stdout=writing, stderr=subprocess.PIPE, text=True, timeout=60
    )
    os.close(writing)
    assert done.stderr == ""


def test_the_card_of_a_scenario_has_the_hash_that_its_study_will_have(capsys, tmp_path):
    from agentmicro.study.growing import grow

    (tmp_path / "few.toml").write_text('phenomenon = "voter"\n[micro]\nagents = 5\n[grow]\nseeds = 2\nturns = 1\n')
    code, out, _ = call(capsys, "show", str(tmp_path / "few.toml"))
    assert code == 0
    grow(str(tmp_path / "few.toml"), tmp_path / "study", executor="serial")
    digest = json.loads((tmp_path / "study" / "study.json").read_text())["micro_sha256"]
    assert digest in out
    _, other, _ = call(capsys, "show", str(tmp_path / "few.toml"), "--set", "agents=6")
    assert digest not in other
