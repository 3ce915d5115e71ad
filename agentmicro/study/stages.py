"""The stages after growing: what judges a study, by the names of the tables that come of it."""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from agentmicro.study.results import Study

if TYPE_CHECKING:
    from pandas import DataFrame

TABLES = "tables"
STAGES = {
    "dose": "thresholds.dose",
    "effects": "effects.identify",
    "thresholds": "thresholds.thresholds",
    "arms": "arms.intervene",
    "side_effects": "arms.side_effects",
    "attacks": "attacks.attacks",
    "sensitivity": "sensitivity.sensitivity",
    "variance": "variance.variance",
    "validation": "validation.validate",
    "claims": "claims.claims",
    "adequacy": "adequacy.adequacy",
}


def tables(study: Study) -> dict[str, "DataFrame"]:
    """Every table of a study by its name; a stage that the scenario asks nothing of has an empty one."""
    found = {}
    for name, place in STAGES.items():
        module, _, function = place.partition(".")
        found[name] = getattr(import_module(f"agentmicro.study.{module}"), function)(study)
    return found


def write(tables: Mapping[str, "DataFrame"], out: Path) -> None:
    """Writes the tables that have rows into the folder of their study, as CSV and as parquet; old ones go."""
    folder = out / TABLES
    folder.mkdir(exist_ok=True)
    files = {
        folder / f"{name}.{kind}": (frame, kind)
        for name, frame in tables.items()
        for kind in ("csv", "parquet")
        if len(frame)
    }
    for path, (frame, kind) in files.items():
        beside = path.with_name(f"{path.name}.new")
        if kind == "csv":
            frame.to_csv(beside, index=False, lineterminator="\n")
        else:
            frame.to_parquet(beside, index=False)
        beside.replace(path)
    for old in (*folder.glob("*.csv"), *folder.glob("*.parquet"), *folder.glob("*.new")):
        if old not in files:
            old.unlink()
