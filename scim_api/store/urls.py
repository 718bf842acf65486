"""Database URLs as they may be shown."""

import re


def redact_url(url: str) -> str:
    """A database URL as it may be shown: without password and parameters."""
    return re.sub(r"^(\w+://[^:/@]*):.*@", r"\1@", url, flags=re.DOTALL).split("?", 1)[0]
