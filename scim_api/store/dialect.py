"""The two dialects of SQL that are spoken here."""

from typing import Literal

Dialect = Literal["sqlite", "postgresql"]
