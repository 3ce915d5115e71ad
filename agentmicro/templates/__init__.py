"""The template from which `agentmicro new` writes a phenomenon and its scenario: small, real, passing the contract."""

import keyword
import re
import sys
from pathlib import Path

from agentmicro import phenomena
from agentmicro.errors import SpecError
from agentmicro.study import files

HERE = Path(__file__).parent
NAME = re.compile(r"[a-z][a-z0-9]*(?:[_-][a-z0-9]+)*")
LONGEST = 50


def write(name: str, here: Path) -> list[str]:
    """Writes a phenomenon and a scenario of that name and says what to do next; a SpecError, and no file, if it cannot.

    Inside a checkout they go where the registry finds them, elsewhere into the current folder.
    """
    module = check(name)
    checkout = next((folder for folder in (here, *here.parents) if _is_checkout(folder)), None)
    code = (checkout / "agentmicro" / "phenomena" if checkout else here) / f"{module}.py"
    data = (checkout / "scenarios" if checkout else here) / f"{module.replace('_', '-')}.toml"
    for path in (code, data):
        if path.exists():
            raise SpecError(f"{_short(path, here)}: is there already, and nothing is written over")
    made = []
    try:
        for path, source in ((code, "template.py"), (data, "template.toml")):
            path.parent.mkdir(exist_ok=True)
            with path.open("x", encoding="utf-8") as file:
                made.append(path)
                file.write(filled((HERE / source).read_text("utf-8"), module))
    except OSError:
        for path in made:
            path.unlink(missing_ok=True)
        raise
    lines = [f"wrote {_short(path, here)}" for path in (code, data)]
    if checkout:
        return [*lines, f"next: agentmicro run {module}, then agentmicro check {data.stem}"]
    register = f'{module} = "{module}:{_class(module)}"'
    return [
        *lines,
        f'to register it, name it in your pyproject.toml: [project.entry-points."{phenomena.GROUP}"] {register}',
    ]


def check(name: str) -> str:
    """The module name that a phenomenon's name means; a SpecError where it cannot be one or is taken."""
    module = phenomena.plain(name)
    if not NAME.fullmatch(name) or len(name) > LONGEST:
        raise SpecError(f"name {name!r}: expected lower-case letters, digits and hyphens, such as false-alarm")
    if keyword.iskeyword(module) or module in sys.stdlib_module_names:
        raise SpecError(f"name {name!r}: Python has a word or a module of that name; expected another")
    if module in phenomena.names() or files.locate(name) is not None:
        raise SpecError(f"name {name!r}: there is a phenomenon or a scenario of that name; expected another")
    return module


def filled(text: str, module: str) -> str:
    """The template under another name."""
    return text.replace("Template", _class(module)).replace("template", module)


def _class(module: str) -> str:
    return "".join(word.capitalize() for word in module.split("_"))


def _is_checkout(folder: Path) -> bool:
    return (folder / "pyproject.toml").is_file() and (folder / "agentmicro" / "phenomena").is_dir()


def _short(path: Path, here: Path) -> str:
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
