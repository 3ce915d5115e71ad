"""The registry: the folder and the entry points, nothing imported but what is asked for."""

import subprocess
import sys
from importlib.metadata import EntryPoint

import pytest

from agentmicro import phenomena
from agentmicro.errors import SpecError
from agentmicro.society import Society

OTHER = '''"""Elsewhere: a phenomenon of another package.

Risk: none.
References: none.
"""
from agentmicro.affordances import Choice
from agentmicro.society import Society


class Elsewhere(Society):
    def __init__(self, agents: int = 3, mind: str = "random", rng=None) -> None:
        super().__init__(Choice(("a", "b")), agents=agents, minds=mind, rng=rng)
        self.begin()
'''


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """Writes a module beside the package and names it by an entry point."""

    def add(name, text):
        (tmp_path / f"{name}.py").write_text(text)
        point = EntryPoint(name.replace("_", "-"), f"{name}:Whatever", phenomena.GROUP)
        monkeypatch.setattr(phenomena, "entry_points", lambda group: [point] if group == phenomena.GROUP else [])
        phenomena._elsewhere.cache_clear()

    monkeypatch.syspath_prepend(tmp_path)
    yield add
    phenomena._elsewhere.cache_clear()


def test_every_phenomenon_is_found_by_its_name_and_knows_it():
    found = phenomena.every()
    assert {"channels", "herding", "voter"} <= set(found)
    assert list(found) == sorted(found) == list(phenomena.names())
    for name, cls in found.items():
        assert issubclass(cls, Society)
        assert phenomena.name_of(cls) == name


@pytest.mark.parametrize("text", ["voter", "Voter", " VOTER "])
def test_names_are_read_without_regard_to_case(text):
    assert phenomena.find(text).__name__ == "Voter"


def test_finding_one_imports_no_other_and_names_import_no_mesa():
    code = (
        "import sys; from agentmicro import phenomena; phenomena.names(); phenomena.about('herding');"
        "print('mesa' in sys.modules); phenomena.find('voter');"
        "print(sorted(m for m in sys.modules if m.startswith('agentmicro.phenomena.')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["False", "['agentmicro.phenomena.voter']"]


def test_an_unknown_name_gives_the_choices_and_the_nearest():
    with pytest.raises(
        SpecError, match=r"no phenomenon 'hreding'; did you mean 'herding'\?; there is .*channels, .*herding"
    ):
        phenomena.find("hreding")


def test_the_docstring_is_read_in_sections():
    about = phenomena.about("voter")
    assert about.title.startswith("Voter: ")
    assert list(about.sections) == list(phenomena.SECTIONS)
    assert "\n" not in about.sections["References"]


def test_entry_points_add_phenomena_of_other_packages(elsewhere):
    elsewhere("far_away", OTHER)
    assert "far_away" in phenomena.names()
    assert phenomena.find("far-away")(rng=1).seed == 1
    assert phenomena.about("far_away").sections == {"Risk": "none.", "References": "none."}


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("far_none", '"""None."""\n', "expected one subclass of Society in the file, and it has none"),
        ("far_two", OTHER + "\n\nclass Second(Elsewhere):\n    pass\n", "it has Elsewhere, Second"),
        ("far_broken", "import nothing_of_that_name\n", "cannot be imported: ModuleNotFoundError"),
        ("far_slip", "def (:\n", "cannot be imported: SyntaxError"),
    ],
)
def test_a_module_that_is_no_phenomenon_is_one_sentence(elsewhere, name, text, sentence):
    elsewhere(name, text)
    with pytest.raises(SpecError, match=sentence):
        phenomena.find(name)
    assert phenomena.about(name).sections.keys() <= {"Risk", "References"}
