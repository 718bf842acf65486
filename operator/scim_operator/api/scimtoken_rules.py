"""What a ScimToken's CustomResourceDefinition asks for beyond the types of its fields."""

from collections.abc import Mapping
from typing import Final

from scim_operator.api import access_rules, crd_rules
from scim_operator.api.auth import CLAIM_PATTERN, LONGEST_ACCESS_TOKEN, SHORTEST_ACCESS_TOKEN
from scim_operator.api.crd_rules import (
    LABEL_KEYS,
    KindRules,
    Rule,
    is_duration,
    map_by,
    name_fits_a_label,
    within,
)
from scim_operator.api.durations import LONGEST, OVERLAP_PATTERN, SHORTEST, Until, cel_seconds
from scim_operator.api.entra import JOB_ID_PATTERN, OBJECT_ID_PATTERN, SECRET_KEY_PATTERN
from scim_operator.api.scimtoken import KIND

_PATTERN_MESSAGES: Final[Mapping[str, str]] = {
    **crd_rules.PATTERN_MESSAGES,
    OVERLAP_PATTERN: f"write {Until.EXPIRY}, {Until.IN_USE}, or a number and s, m, h or d, such as 24h; or 0s",
    r"^[A-Za-z][A-Za-z0-9_]*$": "write a letter, then letters, digits and _, such as postalCode",
    r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$": (
        "write the id of the Entra tenant, a GUID in lower case such as 3f2504e0-4f89-11d3-9a0c-0305e82c3301; "
        "entra.microsoft.com shows it under Overview"
    ),
    CLAIM_PATTERN: (
        "it is compared exactly: write it as Entra shows it, without spaces; * stands for nothing here, list each value"
    ),
    OBJECT_ID_PATTERN: (
        "write the id as the Entra admin center shows it, a GUID in lower case such as"
        " 3f2504e0-4f89-11d3-9a0c-0305e82c3301"
    ),
    JOB_ID_PATTERN: "write the id of the provisioning job, such as scim.4f2c0a1b, or leave it out for the only one",
    SECRET_KEY_PATTERN: "the key of a Secret has letters, digits, -, _ and .",
    r"^https?://[!-~]+$": "write a URL such as https://login.microsoftonline.com/<tenant id>/discovery/v2.0/keys",
}


def _effective_tenant(root: str) -> str:
    return f"(has({root}.spec.tenant) ? {root}.spec.tenant : {root}.metadata.name)"


def _is_type(name: str) -> str:
    """CEL: ``auth`` is of this type. The default of ``auth`` itself is checked without those inside of it."""
    return f"(has(self.type) && self.type == '{name}')"


_SIGN_IN_REFS: Final = ("serviceAccountRef", "clientSecretRef", "certificateRef")

_ACCESS_TOKEN_LIFETIME: Final = [
    within(
        SHORTEST_ACCESS_TOKEN,
        LONGEST_ACCESS_TOKEN,
        "accessTokenLifetime goes from 1h to 6h, which is what Entra takes; write for example 1h",
    )
]

_FIELD_RULES: Final[Mapping[str, list[Rule]]] = {
    "auth": [
        {
            "rule": f"!has(self.oauthClientCredentials) || {_is_type('OAuthClientCredentials')}",
            "message": "oauthClientCredentials goes with type: OAuthClientCredentials; set that type, or take the"
            " field out",
            "fieldPath": ".oauthClientCredentials",
        },
        {
            "rule": f"!has(self.workloadIdentity) || {_is_type('WorkloadIdentity')}",
            "message": "workloadIdentity goes with type: WorkloadIdentity; set that type, or take the field out",
            "fieldPath": ".workloadIdentity",
        },
        {
            "rule": f"has(self.workloadIdentity) || !{_is_type('WorkloadIdentity')}",
            "message": "type: WorkloadIdentity needs workloadIdentity with tenantID, subjects and audiences; Entra"
            " shows them under Provisioning, Workload Identity Federation",
            "reason": "FieldValueRequired",
        },
    ],
    "auth.oauthClientCredentials.accessTokenLifetime": _ACCESS_TOKEN_LIFETIME,
    "auth.workloadIdentity.accessTokenLifetime": _ACCESS_TOKEN_LIFETIME,
    "entra.signIn": [
        {
            "rule": " + ".join(f"(has(self.{name}) ? 1 : 0)" for name in _SIGN_IN_REFS) + " == 1",
            "message": "signIn needs exactly one of serviceAccountRef, clientSecretRef and certificateRef;"
            " serviceAccountRef needs no secret anywhere",
        }
    ],
    "access": access_rules.IMMUTABLE,
    "lifetime": [within(SHORTEST, LONGEST, "lifetime goes from 60s to 3650d; write for example 90d or 12h")],
    "matching": [
        {
            "rule": "self == oldSelf",
            "message": "matching cannot be changed: the tenant's users were told apart by it;"
            " create a ScimToken with another tenant instead",
            "reason": "FieldValueForbidden",
        }
    ],
    "secret.labels": LABEL_KEYS,
    "secret.annotations": LABEL_KEYS,
    "customFields": [
        {
            "rule": "self.all(a, self.exists_one(b, a.name.lowerAscii() == b.name.lowerAscii()))",
            "message": "two custom fields have the same name (SCIM does not tell upper from lower case);"
            " rename or remove one",
        }
    ],
    "customFields[].name": [
        {
            "rule": "!(self.lowerAscii() in ['id', 'externalid', 'meta', 'schemas'])",
            "message": "id, externalId, meta and schemas are SCIM's own names; choose another one",
        }
    ],
}

_SPEC_RULES: Final[list[Rule]] = [
    {
        "rule": (
            "!has(self.rotateBefore) || !has(self.lifetime)"
            f" || !{is_duration('self.rotateBefore')} || !{is_duration('self.lifetime')}"
            f" || 2 * ({cel_seconds('self.rotateBefore')}) <= {cel_seconds('self.lifetime')}"
        ),
        "message": "rotateBefore may be at most half of lifetime; leave it out for a third",
        "messageExpression": (
            "'rotateBefore (' + self.rotateBefore + ') may be at most half of lifetime ('"
            " + self.lifetime + '); leave it out for a third'"
        ),
        "fieldPath": ".rotateBefore",
    },
    {
        "rule": (
            "!has(self.overlap) || !has(self.lifetime)"
            f" || !{is_duration('self.overlap')} || !{is_duration('self.lifetime')}"
            f" || {cel_seconds('self.overlap')} <= {cel_seconds('self.lifetime')}"
        ),
        "message": "overlap may be at most lifetime",
        "messageExpression": (
            "'overlap (' + self.overlap + ') may be at most lifetime (' + self.lifetime + '); write "
            f"{Until.EXPIRY} to let a replaced token live to its own end'"
        ),
        "fieldPath": ".overlap",
    },
    *access_rules.LEFT_OUT_WITH_READ_ONLY,
]

_ROOT_RULES: Final[list[Rule]] = [
    {
        "rule": f"{_effective_tenant('self')} == {_effective_tenant('oldSelf')}",
        "message": "tenant cannot be changed (left out, it is metadata.name); create another ScimToken instead",
        "fieldPath": ".spec.tenant",
        "reason": "FieldValueForbidden",
    },
    name_fits_a_label(KIND, "use spec.tenant and spec.secret.name for longer ones"),
]

RULES: Final = KindRules(
    fields=_FIELD_RULES,
    spec=_SPEC_RULES,
    root=_ROOT_RULES,
    pattern_messages=_PATTERN_MESSAGES,
    list_types={"customFields": map_by("name"), "conditions": map_by("type"), "tokens": map_by("id")},
)
