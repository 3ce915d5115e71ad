"""`agentmicro new`: what it writes runs, passes the contract and has claims that are held."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import agentmicro
from agentmicro import templates
from agentmicro.contract import LAWS
from agentmicro.errors import SpecError
from agentmicro.templates.template import Template

ROOT = Path(agentmicro.__file__).parent.parent


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
def test_the_template_passes_the_contract(law):
    law(Template)


def test_the_template_is_short():
    assert len((templates.HERE / "template.py").read_text().splitlines()) <= 70


@pytest.fixture
def checkout(tmp_path):
    """A copy of the parts of a checkout that a new phenomenon lives among."""
    here = tmp_path / "copy"
    shutil.copytree(ROOT / "agentmicro", here / "agentmicro", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "scenarios", here / "scenarios")
    shutil.copy(ROOT / "pyproject.toml", here)
    return here


def command(checkout, *words, cwd=None):
    more = {"PYTHONPATH": str(checkout), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, "-m", "agentmicro", *words],
        cwd=cwd or checkout,
        env={**os.environ, **more},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_in_a_checkout_it_is_found_runs_and_holds(checkout):
    made = command(checkout, "new", "false-alarm", cwd=checkout / "scenarios")
    assert made.returncode == 0, made.stderr
    assert "next: agentmicro run false_alarm" in made.stdout
    text = (checkout / "agentmicro" / "phenomena" / "false_alarm.py").read_text()
    assert "class FalseAlarm(Society)" in text
    assert "emplate" not in text + (checkout / "scenarios" / "false-alarm.toml").read_text()
    ran = command(checkout, "run", "false_alarm", "--json")
    assert json.loads(ran.stdout)["measures"]["reach"] > 0.9
    checked = command(checkout, "check", "false-alarm")
    assert (checked.returncode, checked.stderr) == (0, ""), checked.stdout
    again = command(checkout, "new", "false-alarm")
    assert again.returncode == 1
    assert "there is a phenomenon or a scenario of that name" in again.stderr


def test_elsewhere_it_goes_into_the_folder_and_says_how_to_register(tmp_path):
    lines = templates.write("false-alarm", tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"false_alarm.py", "false-alarm.toml"}
    assert 'false_alarm = "false_alarm:FalseAlarm"' in lines[-1]
    compile((tmp_path / "false_alarm.py").read_text(), "false_alarm.py", "exec")


def test_nothing_is_written_over(tmp_path):
    (tmp_path / "false-alarm.toml").write_text("mine")
    with pytest.raises(SpecError, match=r"false-alarm\.toml: is there already"):
        templates.write("false-alarm", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["false-alarm.toml"]


@pytest.mark.parametrize(
    "name", ["", "1st", "Alarm", "a b", "a/b", "../x", "a.b", "-a", "a--b", "é", "x" * 51, "class", "json"]
)
def test_names_that_are_none_are_refused(tmp_path, name):
    with pytest.raises(SpecError, match="name "):
        templates.write(name, tmp_path)
    assert list(tmp_path.iterdir()) == []
