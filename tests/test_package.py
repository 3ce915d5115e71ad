"""The package as a whole: its public names, what importing it costs, and its floors."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import agentmicro

ROOT = Path(agentmicro.__file__).parent.parent
HEAVY = ("mesa", "pandas", "matplotlib", "solara", "litellm", "scipy", "networkx", "numpy", "rich", "typer")


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_every_public_name_loads_from_where_it_is_defined():
    for name in agentmicro.__all__:
        assert getattr(agentmicro, name) is not None
    assert set(agentmicro.__all__) == set(agentmicro._HOME)


def test_public_names_are_sorted_and_listed_once():
    constants = [name for name in agentmicro.__all__ if name.isupper()]
    classes = [name for name in agentmicro.__all__ if name[0].isupper() and not name.isupper()]
    functions = [name for name in agentmicro.__all__ if name[0].islower()]
    assert agentmicro.__all__ == sorted(constants) + sorted(classes) + sorted(functions)


def test_a_name_that_is_not_public_says_which_are():
    with pytest.raises(AttributeError, match="public names: TOPOLOGIES"):
        _ = agentmicro.Nonsense


def test_importing_the_package_imports_nothing_heavy():
    loaded = run("import sys, agentmicro; print(*sys.modules)").split()
    assert not set(HEAVY) & set(loaded)


def test_a_run_touches_no_drawing_no_language_model_library_and_no_browser():
    code = (
        "import sys; from agentmicro.phenomena.herding import Herding; m = Herding(agents=10, rng=1); m.step();"
        "print(*sys.modules)"
    )
    loaded = set(run(code).split())
    assert not {"matplotlib", "litellm", "solara", "pandas.plotting._matplotlib", "openai", "httpx"} & loaded


def test_the_version_is_stated_once_and_the_changelog_knows_it():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == agentmicro.__version__
    assert f"## {agentmicro.__version__}" in (ROOT / "CHANGELOG.md").read_text()


def test_nothing_inside_the_package_imports_its_own_front_door():
    modules = {
        path.stem if path.stem != "__init__" else path.parent.name for path in (ROOT / "agentmicro").rglob("*.py")
    }
    for path in (ROOT / "agentmicro").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module == "agentmicro" and path.parent.name != "agentmicro":
                assert {alias.name for alias in node.names} <= modules, path
