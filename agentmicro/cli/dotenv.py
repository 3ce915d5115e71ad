"""`.env`: keys and settings beside a project, read by the command line and the app and by nothing else."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

LINE = re.compile(
    r"""[ \t]*(?:export[ \t]+)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)[ \t]*=[ \t]*
    (?:"(?P<double>[^"\n]*)"|'(?P<single>[^'\n]*)'|(?P<bare>[^#\n]*?))[ \t]*(?:(?<=[ \t"'=])\#.*)?""",
    re.VERBOSE,
)


def load(folder: Path) -> Path | None:
    """Puts the variables of the nearest `.env`, in a folder or above it, into the environment; what is set there wins.

    Lines that are no `NAME=value` are left alone, because the file may be other programs' too; nothing is printed.
    """
    found = next((each / ".env" for each in (folder, *folder.parents) if (each / ".env").is_file()), None)
    if found is not None:
        for name, value in variables(found.read_text(encoding="utf-8-sig", errors="replace")):
            os.environ.setdefault(name, value)
    return found


def variables(text: str) -> Iterator[tuple[str, str]]:
    """The names and values in the text of a `.env`."""
    for line in text.splitlines():
        match = LINE.fullmatch(line)
        value = (
            next((match[kind] for kind in ("double", "single", "bare") if match[kind] is not None), "") if match else ""
        )
        if match and value and "\0" not in value:
            yield match["name"], value
