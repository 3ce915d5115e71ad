import importlib
import inspect
import pickle
import pkgutil

import pytest

import agentmicro
from agentmicro import errors
from agentmicro.errors import AgentmicroError, listed, nearest

TREE = [found for _, found in inspect.getmembers(errors, inspect.isclass) if issubclass(found, AgentmicroError)]


def depth(error):
    """How far an error stands below the root."""
    return error.__mro__.index(AgentmicroError)


@pytest.mark.parametrize("error", TREE)
def test_the_docstring_draws_the_tree_as_it_is(error):
    line = next(line for line in errors.__doc__.splitlines() if error.__name__ in line.split())
    assert line.index(error.__name__) // 4 - 1 == depth(error)
    assert error.__doc__


@pytest.mark.parametrize("error", TREE)
def test_everything_raised_on_purpose_is_caught_at_the_root_and_survives_a_process_border(error):
    with pytest.raises(AgentmicroError, match="a sentence"):
        raise error("a sentence")
    again = pickle.loads(pickle.dumps(error("a sentence")))
    assert (type(again), str(again)) == (error, "a sentence")


def test_what_the_caller_wrote_wrong_is_a_value_error_and_nothing_else_is():
    assert {error.__name__ for error in TREE if issubclass(error, ValueError)} == {
        "SpecError",
        "KnobError",
        "GraphError",
        "MindError",
        "ScenarioError",
    }


def test_listed_writes_choices_as_a_reader_wants_them():
    assert listed(["a", 2, None]) == "a, 2, None"
    assert listed([]) == ""
    assert listed(letter for letter in "xy") == "x, y"


@pytest.mark.parametrize(
    ("word", "choices", "hint"),
    [
        ("simultanous", ["simultaneous", "random"], "; did you mean 'simultaneous'?"),
        ("RING", ["ring", "star"], "; did you mean 'ring'?"),
        ("two-stge", ["Two-Stage", "uniform"], "; did you mean 'Two-Stage'?"),
        ("a", ["A", "B"], "; did you mean 'A'?"),
        ("zebra", ["ring", "star"], ""),
        ("x", [], ""),
        (3, [30, 4], "; did you mean '30'?"),
    ],
)
def test_nearest_names_the_closest_spelling_whatever_its_case(word, choices, hint):
    assert nearest(word, choices) == hint


def below(error):
    """Every class that descends from an error."""
    return {error}.union(*(below(child) for child in error.__subclasses__()))


def test_the_docstring_draws_every_error_of_the_package():
    for found in pkgutil.walk_packages(agentmicro.__path__, "agentmicro."):
        if "templates" not in found.name and "__main__" not in found.name:
            importlib.import_module(found.name)
    ours = {error.__name__ for error in below(AgentmicroError) if error.__module__.startswith("agentmicro.")}
    assert {name for name in ours if name not in errors.__doc__} == set()
