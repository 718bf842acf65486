"""The targets of the Makefile."""

import re
from pathlib import Path
from typing import Final

_MAKEFILE: Final = Path(__file__).resolve().parents[2] / "Makefile"


def targets() -> set[str]:
    """Their names."""
    return set(re.findall(r"^([a-z][a-z0-9-]*):", _MAKEFILE.read_text(encoding="utf-8"), re.MULTILINE))
