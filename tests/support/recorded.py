"""The admin API's calls and answers as the first release that has them made them: what both sides must go on to understand.

The recording is never made anew, or it would follow a mistake; a later release adds one of its own.
"""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

_FIXTURES: Final = Path(__file__).resolve().parents[1] / "fixtures"


def _recorded(name: str) -> list[dict[str, Any]]:
    calls: list[dict[str, Any]] = json.loads((_FIXTURES / name).read_text(encoding="utf-8"))["calls"]
    return calls


CALLS: Final = _recorded("admin-api-v1.json")
WEBHOOK_CALLS: Final = _recorded("admin-api-webhooks-v1.json")
"""Of the first release that has webhooks at the admin API."""
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT[0-9:.]+Z")


def call(what: str) -> dict[str, Any]:
    """The recorded call of this name."""
    return next(item for item in (*CALLS, *WEBHOOK_CALLS) if item["what"] == what)


def recorded_at(calls: Sequence[Mapping[str, Any]]) -> datetime:
    """The database's clock at the first of these calls."""
    return datetime.fromisoformat(calls[0]["answer"]["now"])


def shifted(value: Any, by: timedelta) -> Any:
    """The same with every time moved."""
    match value:
        case str() if _TIME.fullmatch(value):
            return (datetime.fromisoformat(value) + by).isoformat().replace("+00:00", "Z")
        case dict():
            return {key: shifted(item, by) for key, item in value.items()}
        case list():
            return [shifted(item, by) for item in value]
        case _:
            return value


def missing(old: Any, new: Any, path: str = "") -> list[str]:
    """Where ``new`` lacks what ``old`` has, or has it in another form. Null stands for any form."""
    if old is None or new is None:
        return [] if old is None else [f"{path}: was {type(old).__name__}, is null"]
    if type(old) is not type(new):
        return [f"{path}: was {type(old).__name__}, is {type(new).__name__}"]
    if isinstance(old, dict):
        absent = [f"{path}.{key}: is gone" for key in old if key not in new]
        return absent + [
            found for key in old if key in new for found in missing(old[key], new[key], f"{path}.{key}")
        ]
    if isinstance(old, list):
        if len(old) != len(new):
            return [f"{path}: had {len(old)} entries, has {len(new)}"]
        return [
            found
            for index, (one, other) in enumerate(zip(old, new, strict=True))
            for found in missing(one, other, f"{path}[{index}]")
        ]
    return []


def with_news(value: Any) -> Any:
    """The same as a later release might send it: fields that nobody has heard of, at every level."""
    if isinstance(value, Mapping):
        return {**{key: with_news(item) for key, item in value.items()}, "ofALaterRelease": {"x": [1]}}
    return [with_news(item) for item in value] if isinstance(value, list) else value
