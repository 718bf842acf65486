"""What the rules of each kind's CustomResourceDefinition are made of."""

import dataclasses
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from scim_operator.api.custom_object import GROUP, MANAGED_BY_LABEL, NAME_LIMIT
from scim_operator.api.durations import PATTERN, cel_seconds

Rule = dict[str, Any]


@dataclasses.dataclass(frozen=True, slots=True)
class KindRules:
    """All that one kind's schema has beside its models."""

    fields: Mapping[str, list[Rule]]
    """By the path of the field in ``spec``."""
    spec: list[Rule]
    root: list[Rule]
    pattern_messages: Mapping[str, str]
    """Each pattern of the models as people should read it: a bare ``should match '^[1-9]…'`` teaches nobody."""
    list_types: Mapping[str, dict[str, Any]]
    """What tells the items of a list apart, by its path in ``spec`` or ``status``."""


PATTERN_MESSAGES: Final[Mapping[str, str]] = {
    PATTERN: "write a number and s, m, h or d, such as 90d or 12h",
    r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$": (
        "write lower-case letters, digits, - and ., starting and ending with a letter or digit, such as contoso-eu"
    ),
    r"^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$": (
        "a label's value has letters, digits, -, _ and ., and starts and ends with a letter or digit"
    ),
}
"""Of the types that all kinds use."""


def map_by(key: str) -> dict[str, Any]:
    """A list whose items are told apart by a key: merged item by item by server-side apply."""
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [key]}


SET: Final[dict[str, Any]] = {"x-kubernetes-list-type": "set"}
"""A list that holds each value once."""


def is_duration(value: str) -> str:
    """CEL: the text is a duration at all; its own rule says so when it is not."""
    return f"{value}.matches('{PATTERN}')"


def within(shortest: timedelta, longest: timedelta, message: str) -> Rule:
    """A duration is neither shorter nor longer than this."""
    return {
        "rule": (
            f"!{is_duration('self')} || ({cel_seconds('self')} >= {int(shortest.total_seconds())}"
            f" && {cel_seconds('self')} <= {int(longest.total_seconds())})"
        ),
        "message": message,
    }


def name_fits_a_label(kind: str, remedy: str) -> Rule:
    """Of the root: asked when an object is created."""
    return {
        "rule": f"oldSelf.hasValue() || size(self.metadata.name) <= {NAME_LIMIT}",
        "optionalOldSelf": True,
        "message": f"the name of a {kind} has at most {NAME_LIMIT} characters, because it becomes a label; {remedy}",
    }


_DNS_LABEL: Final = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_QUALIFIED_NAME: Final = (
    f"^({_DNS_LABEL}([.]{_DNS_LABEL})*/)?[A-Za-z0-9]([-A-Za-z0-9_.]{{0,{NAME_LIMIT - 2}}}[A-Za-z0-9])?$"
)
"""As Kubernetes takes the key of a label, but for the length of the prefix. CEL's ``format.qualifiedName()`` does it
in one word, and is not there before Kubernetes 1.32."""
_PREFIX_LIMIT: Final = 253

LABEL_KEYS: Final[list[Rule]] = [
    {
        "rule": (
            f"self.all(key, key.matches('{_QUALIFIED_NAME}') && size(key.find('^[^/]*/')) <= {_PREFIX_LIMIT + 1})"
        ),
        "message": "a key is a name such as team or example.com/team, at most 63 characters after the slash",
    },
    {
        "rule": f"self.all(key, !key.startsWith('{GROUP}/') && key != '{MANAGED_BY_LABEL}')",
        "message": f"{GROUP}/… and {MANAGED_BY_LABEL} are the operator's own; leave them out",
    },
]
"""Of labels and annotations that a Secret is to have."""
