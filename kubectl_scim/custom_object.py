"""What every object of the API server has, read for people. Pure.

A status of another release may lack fields or have more: what is missing is unknown, and never an error.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any


@dataclasses.dataclass(frozen=True, slots=True)
class CustomObject:
    """An object as the API server sends it."""

    body: Mapping[str, Any]

    @property
    def namespace(self) -> str:
        """Where it is."""
        return str(self.body["metadata"].get("namespace", "default"))

    @property
    def name(self) -> str:
        """``metadata.name``."""
        return str(self.body["metadata"]["name"])

    @property
    def spec(self) -> Mapping[str, Any]:
        """What its owner wants."""
        return mapping(self.body.get("spec"))

    @property
    def status(self) -> Mapping[str, Any]:
        """What the operator says."""
        return mapping(self.body.get("status"))


def mapping(value: object) -> Mapping[str, Any]:
    """A JSON object, or an empty one in the place of anything else."""
    return value if isinstance(value, Mapping) else {}


def items(value: object) -> Iterator[Mapping[str, Any]]:
    """The JSON objects of an array; none in the place of anything else."""
    yield from (item for item in value if isinstance(item, Mapping)) if isinstance(value, list) else ()
