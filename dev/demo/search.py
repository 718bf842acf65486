"""Looks for a token's plaintext in everything that was written and may not hold one."""

import dataclasses
import json
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from scim_api.contract.tokens import PATTERN

Kubectl = Callable[..., str]
_BASE64_BEGIN: Final = "c2N[0zh]X"
"""``sct_``, ``scs_`` and ``sca_`` as a Secret's data holds them."""
_PLAINTEXT: Final = re.compile(
    rb"%s|%s[0-9A-Za-z+/]{60,}={0,2}" % (PATTERN.pattern.encode(), _BASE64_BEGIN.encode())
)


@dataclasses.dataclass(frozen=True, slots=True)
class Place:
    """Something written: what it is, its name, and all its bytes."""

    kind: str
    name: str
    content: bytes


@dataclasses.dataclass(frozen=True, slots=True)
class Result:
    """What a search read and found; it keeps no token.

    Attributes:
        places: how many of each kind were read.
        size: of all of them, in bytes.
        found: name of each place that holds a token -> how many.
    """

    places: dict[str, int]
    size: int
    found: dict[str, int]

    def describe(self) -> str:
        """For a person: ``3 log files, 12 events, ...``."""
        return ", ".join(f"{count} {kind}" for kind, count in self.places.items())


def search(places: Iterable[Place]) -> Result:
    """Read all places; every token in them, plain or in base64, is counted."""
    counts: dict[str, int] = {}
    size, found = 0, {}
    for place in places:
        counts[place.kind] = counts.get(place.kind, 0) + 1
        size += len(place.content)
        if hits := len(_PLAINTEXT.findall(place.content)):
            found[place.name] = hits
    return Result(counts, size, found)


def files(directory: Path) -> Iterator[Place]:
    """The logs and SQLite files (with journal and shared memory) directly in ``directory``."""
    for path in sorted(directory.iterdir()):
        if path.suffix == ".log":
            yield Place("log files", path.name, path.read_bytes())
        elif ".db" in path.suffixes or path.suffix.startswith(".db-"):
            yield Place("database files", path.name, path.read_bytes())


def objects(kubectl: Kubectl) -> Iterator[Place]:
    """Every object of the API server with its status, events included; Secrets without their data."""
    for item in _all_objects(kubectl):
        kind = item["kind"]
        if kind == "Secret":
            item = {key: value for key, value in item.items() if key != "data"}
        yield Place("events" if kind == "Event" else "objects", _name(item), json.dumps(item).encode())


def secrets_data(kubectl: Kubectl) -> Iterator[Place]:
    """The data of all Secrets: where tokens do belong, so that a search that finds none there is broken."""
    for item in json.loads(kubectl("get", "secrets", "--all-namespaces", "--output", "json"))["items"]:
        yield Place("secrets", _name(item), json.dumps(item.get("data")).encode())


def _all_objects(kubectl: Kubectl) -> Iterator[dict[str, Any]]:
    kinds = kubectl("api-resources", "--verbs=list", "--output", "name").split()
    # Events are served by two groups; they are the same objects.
    kinds = [kind for kind in kinds if kind != "events.events.k8s.io"]
    answer = kubectl("get", ",".join(kinds), "--all-namespaces", "--show-managed-fields", "--output", "json")
    yield from json.loads(answer)["items"]


def _name(item: dict[str, Any]) -> str:
    metadata = item["metadata"]
    return f"{item.get('kind', 'Secret')} {metadata.get('namespace', '')}/{metadata['name']}"
