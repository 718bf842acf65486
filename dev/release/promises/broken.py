"""A promise that did not hold."""

import dataclasses


@dataclasses.dataclass(frozen=True, slots=True)
class Broken:
    """One thing that the last release had or took, and this one has or takes no longer."""

    where: str
    """File, and the way to it within."""
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"
