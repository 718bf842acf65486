"""Says which values of a ScimToken's spec this version does not know: a newer CRD took them.

Pure texts for people. Values are not repeated: who reads the text sees the object.
"""

from typing import Any

from pydantic import ValidationError

from scim_operator.api.durations import LONGEST, SHORTEST, format_duration, parse_duration


def fields(error: ValidationError) -> tuple[str, ...]:
    """Each field of spec that could not be read, with what this version takes there, in order of their names.

    Args:
        error: of reading ``spec``.
    """
    found = {_name(item["loc"]): _expected(item) for item in error.errors(include_input=False)}
    return tuple(f"{field} ({expected})" for field, expected in sorted(found.items()))


def impossible_durations(lifetime: str, rotate_before: str | None) -> tuple[str, ...]:
    """Durations of the right form that this version can't keep to; its own CRD refuses them.

    Args:
        lifetime: ``spec.lifetime``, of the form of a duration.
        rotate_before: ``spec.rotateBefore``, likewise, or None.
    """
    lasts, problems = parse_duration(lifetime), []
    if not SHORTEST <= lasts <= LONGEST:
        problems.append(
            f"spec.lifetime (should be from {format_duration(SHORTEST)} to {format_duration(LONGEST)})"
        )
    if rotate_before is not None and parse_duration(rotate_before) >= lasts:
        problems.append("spec.rotateBefore (should be at most half of lifetime)")
    return tuple(problems)


def _name(location: tuple[int | str, ...]) -> str:
    """``spec.customFields[0].type``."""
    return "spec" + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)


def _expected(item: Any) -> str:
    """What is taken there, in pydantic's words."""
    if item["type"] == "model_type":
        return "should be an object"
    message = str(item["msg"]).removeprefix("Input ")
    return message[:1].lower() + message[1:]
