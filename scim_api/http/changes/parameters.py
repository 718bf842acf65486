"""Query parameters of the feed and of the history: what is read, and what is answered to a wrong one."""

from collections.abc import Collection, Mapping
from typing import Final, get_args

from scim_api.contract.change_types import ChangeType
from scim_api.core.errors import invalid_value, quoted

_TYPES: Final = get_args(ChangeType)


def check_names(parameters: Collection[str], names: Collection[str]) -> None:
    """Raises ``ScimError`` 400 for a parameter that there is not."""
    for name in parameters:
        if name not in names:
            raise invalid_value(f"{quoted(name)} is no parameter here; these are: {', '.join(names)}.")


def types_of(parameters: Mapping[str, str]) -> frozenset[str]:
    """The types of changes that are wanted; none: all. Raises ``ScimError`` 400."""
    types = frozenset(filter(None, parameters.get("types", "").split(",")))
    for name in sorted(types.difference(_TYPES)):
        raise invalid_value(f"types has {quoted(name)}; there are: {', '.join(_TYPES)}.")
    return types


def integer_of(parameters: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    """A whole number; the default for one that is left out. Raises ``ScimError`` 400."""
    text = parameters.get(name, "")
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and least <= int(text) <= most):
        raise invalid_value(f"{name} is {quoted(text)}; send a whole number from {least} to {most}.")
    return int(text)
