"""What a ScimWebhook's CustomResourceDefinition asks for beyond the types of its fields."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from scim_api.contract.webhooks import TIMEOUT_BOUNDS
from scim_operator.api import crd_rules
from scim_operator.api.crd_rules import (
    LABEL_KEYS,
    SET,
    KindRules,
    Rule,
    is_duration,
    map_by,
    name_fits_a_label,
    within,
)
from scim_operator.api.durations import LONGEST, SHORTEST, cel_seconds
from scim_operator.api.scimwebhook import KIND, NAME_SUFFIX, NEVER, ROTATE_AFTER_PATTERN, URL_PATTERN

_PATTERN_MESSAGES: Final[Mapping[str, str]] = {
    **crd_rules.PATTERN_MESSAGES,
    ROTATE_AFTER_PATTERN: f"write a number and s, m, h or d, such as 90d or 12h, or {NEVER}",
    URL_PATTERN: (
        "write https://, a host and a path, such as https://app.example.com/scim-events; without a user (…@), a"
        " fragment (#…), spaces and letters beyond ASCII"
    ),
}

_SHORTEST_TIMEOUT, _LONGEST_TIMEOUT = (timedelta(seconds=bound) for bound in TIMEOUT_BOUNDS)

_FIELD_RULES: Final[Mapping[str, list[Rule]]] = {
    "tenant": [
        {
            "rule": "self == oldSelf",
            "message": "tenant cannot be changed: the receiver would get the changes of other people; create another"
            f" {KIND} instead",
            "reason": "FieldValueForbidden",
        }
    ],
    "timeout": [
        within(_SHORTEST_TIMEOUT, _LONGEST_TIMEOUT, "timeout goes from 1s to 60s; write for example 15s")
    ],
    "rotateAfter": [
        within(
            SHORTEST, LONGEST, f"rotateAfter goes from 60s to 3650d; write for example 90d or 12h, or {NEVER}"
        )
    ],
    "overlap": [within(SHORTEST, LONGEST, "overlap goes from 60s to rotateAfter; write for example 7d")],
    "secret.labels": LABEL_KEYS,
    "secret.annotations": LABEL_KEYS,
}

_SPEC_RULES: Final[list[Rule]] = [
    {
        "rule": (
            "!has(self.overlap) || !has(self.rotateAfter)"
            f" || !{is_duration('self.overlap')} || !{is_duration('self.rotateAfter')}"
            f" || {cel_seconds('self.overlap')} <= {cel_seconds('self.rotateAfter')}"
        ),
        "message": "overlap may be at most rotateAfter; write a shorter overlap",
        "messageExpression": (
            "'overlap (' + self.overlap + ') may be at most rotateAfter (' + self.rotateAfter + '); write overlap: '"
            " + self.rotateAfter + ', or a shorter one'"
        ),
        "fieldPath": ".overlap",
    }
]


def _effective_secret_name(root: str) -> str:
    named = f"has({root}.spec.secret) && has({root}.spec.secret.name)"
    return f"({named} ? {root}.spec.secret.name : {root}.metadata.name + '{NAME_SUFFIX}')"


_ROOT_RULES: Final[list[Rule]] = [
    {
        "rule": f"{_effective_secret_name('self')} == {_effective_secret_name('oldSelf')}",
        "message": f"secret.name cannot be changed (left out, it is metadata.name and {NAME_SUFFIX}), because the receiver"
        f" reads that Secret; create another {KIND} instead",
        "fieldPath": ".spec.secret.name",
        "reason": "FieldValueForbidden",
    },
    name_fits_a_label(KIND, "choose a shorter one"),
]

RULES: Final = KindRules(
    fields=_FIELD_RULES,
    spec=_SPEC_RULES,
    root=_ROOT_RULES,
    pattern_messages=_PATTERN_MESSAGES,
    list_types={"types": SET, "conditions": map_by("type")},
)
