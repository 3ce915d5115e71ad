"""Scenario files: where they are found, and what stands in them, unchecked but for being TOML."""

import tomllib
from pathlib import Path
from typing import Any

from agentmicro.errors import ScenarioError, nearest

LARGEST = 1_000_000  # bytes; a scenario is some kilobytes, so more is a mistake


def folder() -> Path:
    """Where the scenarios of this installation are: inside the package, or beside it in a checkout."""
    package = Path(__file__).parent.parent
    inside = package / "scenarios"
    return inside if inside.is_dir() else package.parent / "scenarios"


def names() -> tuple[str, ...]:
    """The scenarios that can be asked for by name, from any folder."""
    return tuple(sorted(path.stem for path in folder().glob("*.toml")))


def is_path(text: str) -> bool:
    """Whether a text means a file from the current folder rather than a scenario's name."""
    return "/" in text or "\\" in text or text.endswith(".toml")


def locate(text: str) -> Path | None:
    """The file of a scenario given by name or path; None for a name that no scenario has."""
    if is_path(text):
        return Path(text)
    word = text.strip().lower().replace("_", "-")
    return next((folder() / f"{name}.toml" for name in names() if name.lower().replace("_", "-") == word), None)


def summary(name: str) -> dict[str, str]:
    """A scenario's name, phenomenon and risk, as its file says them, unchecked; imports no phenomenon."""
    path = folder() / f"{name}.toml"
    top = parse(path, contents(path))
    risk = top.get("risk")
    says = {key: str(risk.get(key, "")) for key in ("name", "claim")} if isinstance(risk, dict) else {}
    line = says.get("claim") or says.get("name", "")
    return {"name": name, "phenomenon": str(top.get("phenomenon", "")), "risk": line}


def contents(path: Path) -> bytes:
    """The bytes of a scenario file; a ScenarioError where there is no such file or it cannot be one."""
    try:
        if path.is_dir():
            raise ScenarioError(f"{path}: expected a scenario file, and this is a folder")
        if not path.exists():
            near = nearest(path.stem, (found.stem for found in path.parent.glob("*.toml")))
            raise ScenarioError(f"{path}: no such file{near}")
        if not path.is_file():
            raise ScenarioError(f"{path}: expected a scenario file, and this is no regular file")
        if path.stat().st_size > LARGEST:
            raise ScenarioError(f"{path}: {path.stat().st_size:,} bytes; a scenario has at most {LARGEST:,}")
        return path.read_bytes()
    except (OSError, ValueError) as error:
        if isinstance(error, ScenarioError):
            raise
        raise ScenarioError(f"{str(path)!r}: cannot be read: {getattr(error, 'strerror', None) or error}") from None


def parse(path: Path, raw: bytes) -> dict[str, Any]:
    """The tables of a scenario's text; a ScenarioError with the line where it is not TOML."""
    try:
        return tomllib.loads(raw.decode("utf-8-sig").replace("\r\n", "\n"))
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ScenarioError(f"{path}: line {line} is not UTF-8 text") from None
    except tomllib.TOMLDecodeError as error:
        raise ScenarioError(f"{path}: not TOML: {error}") from None
    except (RecursionError, ValueError):  # nested a thousand deep, or a number of thousands of digits
        raise ScenarioError(
            f"{path}: not TOML that a scenario needs: nested too deeply, or a number too long"
        ) from None
