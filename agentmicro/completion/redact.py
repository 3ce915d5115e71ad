"""Keys live in the environment and go nowhere else: what is kept or shown passes through here."""

import functools
import os
import re
from collections.abc import Sequence
from urllib.parse import urlsplit, urlunsplit

SECRET_NAME = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL)S?$", re.IGNORECASE)
SECRET_SHAPE = re.compile(r"\b(?:sk|pk|rk|gsk|xai|hf)[-_][A-Za-z0-9_\-]{16,}|(?i:\bbearer\s+)[A-Za-z0-9._~+/\-]{8,}=*")
SHORTEST = 8  # a shorter value is a word that texts contain by chance
HIDDEN = "[hidden]"


def secrets() -> tuple[str, ...]:
    """The values of the environment that are named like keys, the longest first."""
    found = {value for name, value in os.environ.items() if len(value) >= SHORTEST and SECRET_NAME.search(name)}
    return tuple(sorted(found, key=len, reverse=True))


def unkeyed(text: str, keys: Sequence[str]) -> str:
    """The text without these keys: for a model's own words, which may look like a key and be none."""
    for key in keys:
        text = text.replace(key, HIDDEN)
    return text


def redacted(text: str, keys: Sequence[str] | None = None) -> str:
    """The text without any key of the environment, and without what has the shape of a key: for errors."""
    return SECRET_SHAPE.sub(HIDDEN, unkeyed(text, secrets() if keys is None else keys))


@functools.lru_cache(maxsize=256)
def bare_url(url: str | None) -> str | None:
    """The address of a server without user, password, query and fragment, which may hold a key."""
    if url is None:
        return None
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
