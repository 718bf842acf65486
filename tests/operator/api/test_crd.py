"""The CRD as real API servers enforce it, of the newest and of the oldest Kubernetes, and as kubectl shows it."""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from localcluster import ControlPlane
from localcluster.build import MODULE, kubernetes_version
from localcluster.projects import OLDEST
from scim_operator.api.status import Condition, RefusedSignIn, ScimTokenStatus, TokenState, TokenStatus
from support.installed import ROOT, applied, manifest, refusal

NOW = datetime.now(UTC).replace(microsecond=0)
SCIM_TOKENS = sorted(
    {*(ROOT / "examples").glob("*.yaml"), *(ROOT / "examples/consumers").glob("*.yaml")}
    - set((ROOT / "examples").glob("values-*.yaml"))
)
"""The examples that are no values of the chart."""
LONG_PREFIX = ".".join(["p" * 63] * 3 + ["p" * 61])
"""253 characters, which is the most."""
GOOD_KEYS = ["a", "9", "A.b_c-D", "k" * 63, "a.b-c.d/Name", f"{LONG_PREFIX}/{'k' * 63}"]
BAD_KEYS = [
    "", "/", "/a", "a/", "a/b/c", "A.com/b", "a..b/c", "-a.b/c", "a-.b/c", "a_b/c", "-a", "a-", "a.", "é", "a\n",
    "k" * 64, f"a.b/{'k' * 64}", f"{LONG_PREFIX}p/k",
]  # fmt: skip


def test_the_servers_are_the_oldest_and_the_newest_supported(
    installed: ControlPlane, installed_on_oldest: ControlPlane
) -> None:
    versions = [
        json.loads(plane.kubectl("version", "-o", "json").stdout)["serverVersion"]["gitVersion"]
        for plane in (installed_on_oldest, installed)
    ]
    assert versions == [OLDEST.version, kubernetes_version((MODULE / "go.mod").read_text())]


def test_an_empty_spec_is_enough_and_gets_every_default(server: ControlPlane, place: str) -> None:
    assert applied(server, manifest("entra", place))["spec"] == {
        "access": "ReadWrite",
        "auth": {"type": "BearerToken"},
        "lifetime": "90d",
        "overlap": "untilExpiry",
        "matching": "workEmail",
        "groups": "Enabled",
        "rateLimit": {"requestsPerSecond": 50, "burst": 100},
        "deletionPolicy": "Retain",
        "suspend": False,
    }


def test_defaults_inside_of_lists_apply(server: ControlPlane, place: str) -> None:
    stored = applied(server, manifest("entra", place, {"customFields": [{"name": "badge"}]}))
    assert stored["spec"]["customFields"] == [{"name": "badge", "type": "Any", "multiValued": False}]


@pytest.mark.parametrize(
    "spec",
    [
        {"lifetime": "60s"},
        {"lifetime": "3650d", "rotateBefore": "1825d"},
        {"lifetime": "60s", "rotateBefore": "30s", "overlap": "1m"},
        {"overlap": "0s"},
        {"lifetime": "60s", "overlap": "untilInUse"},
        {"lifetime": "999999s"},
        {"tenant": "a.b-c"},
        {"customFields": [{"name": f"f{n}"} for n in range(100)]},
        {
            "secret": {
                "name": "x",
                "labels": {"example.com/team": "A.b_c", "e": ""},
                "annotations": {"a/b": "any thing"},
            }
        },
        *({"secret": {"annotations": {key: "x"}}} for key in GOOD_KEYS),
    ],
)
def test_good_specs_are_accepted(server: ControlPlane, spec: dict[str, Any]) -> None:
    server.kubectl(
        "apply", "--dry-run=server", "-f", "-", input=json.dumps(manifest("entra", "default", spec))
    )


@pytest.mark.parametrize(
    ("spec", "field", "message"),
    [
        (
            {"lifetime": "59s"},
            "spec.lifetime",
            "lifetime goes from 60s to 3650d; write for example 90d or 12h",
        ),
        ({"lifetime": "3651d"}, "spec.lifetime", "lifetime goes from 60s to 3650d"),
        ({"lifetime": "999999999d"}, "spec.lifetime", "lifetime goes from 60s to 3650d"),
        ({"lifetime": "ninety"}, "spec.lifetime", "write a number and s, m, h or d, such as 90d or 12h"),
        (
            {"rotateBefore": "30 d"},
            "spec.rotateBefore",
            "write a number and s, m, h or d, such as 90d or 12h",
        ),
        (
            {"lifetime": "60s", "rotateBefore": "31s"},
            "spec.rotateBefore",
            "rotateBefore (31s) may be at most half of lifetime (60s); leave it out for a third",
        ),
        ({"rotateBefore": "46d"}, "spec.rotateBefore", "may be at most half of lifetime (90d)"),
        (
            {"overlap": "forever"},
            "spec.overlap",
            "write untilExpiry, untilInUse, or a number and s, m, h or d",
        ),
        ({"overlap": "untilinuse"}, "spec.overlap", "write untilExpiry, untilInUse, or a number"),
        (
            {"lifetime": "60s", "overlap": "2m"},
            "spec.overlap",
            "overlap (2m) may be at most lifetime (60s); write untilExpiry",
        ),
        ({"tenant": "Contoso"}, "spec.tenant", "write lower-case letters, digits, - and ."),
        ({"tenant": ""}, "spec.tenant", "write lower-case letters, digits, - and ."),
        ({"tenant": "t" * 64}, "spec.tenant", "63"),
        ({"matching": "email"}, "spec.matching", 'supported values: "workEmail", "userName", "externalId"'),
        (
            {"customFields": [{"name": "9"}]},
            "spec.customFields[0].name",
            "write a letter, then letters, digits and _",
        ),
        (
            {"customFields": [{"name": "Meta"}]},
            "spec.customFields[0].name",
            "SCIM's own names; choose another one",
        ),
        ({"customFields": [{"name": "externalID"}]}, "spec.customFields[0].name", "SCIM's own names"),
        ({"customFields": [{"name": "a"}, {"name": "A"}]}, "spec.customFields", "rename or remove one"),
        ({"customFields": [{"name": "a"}, {"name": "a"}]}, "spec.customFields[1]", "Duplicate value"),
        ({"customFields": [{"name": f"f{n}"} for n in range(101)]}, "spec.customFields", "at most 100 items"),
        ({"customFields": [{"name": "a", "type": "Text"}]}, "spec.customFields[0].type", '"DateTime"'),
        (
            {"rateLimit": {"requestsPerSecond": 24}},
            "spec.rateLimit.requestsPerSecond",
            "greater than or equal to 25",
        ),
        ({"rateLimit": {"burst": 24}}, "spec.rateLimit.burst", "greater than or equal to 25"),
        ({"deletionPolicy": "Keep"}, "spec.deletionPolicy", 'supported values: "Retain", "Delete"'),
        ({"secret": {"name": "My Secret"}}, "spec.secret.name", "write lower-case letters, digits, - and ."),
        ({"secret": {"labels": {"a b": "c"}}}, "spec.secret.labels", "a key is a name such as team"),
        *(
            ({"secret": {kind: {key: "x"}}}, f"spec.secret.{kind}", "a key is a name such as team")
            for kind in ("labels", "annotations")
            for key in BAD_KEYS
        ),
        ({"secret": {"labels": {"a": "b c"}}}, "spec.secret.labels[a]", "a label's value has letters"),
        ({"secret": {"labels": {"scim-operator.io/token": "x"}}}, "spec.secret.labels", "the operator's own"),
        (
            {"secret": {"labels": {"app.kubernetes.io/managed-by": "x"}}},
            "spec.secret.labels",
            "the operator's own",
        ),
        (
            {"secret": {"annotations": {"a b": "c"}}},
            "spec.secret.annotations",
            "a key is a name such as team",
        ),
        (
            {"secret": {"annotations": {"scim-operator.io/tokens": "x"}}},
            "spec.secret.annotations",
            "the operator's",
        ),
    ],
)
def test_a_mistake_is_refused_with_what_to_write_instead(
    server: ControlPlane, spec: dict[str, Any], field: str, message: str
) -> None:
    said = refusal(server, manifest("entra", "default", spec))
    assert f"{field}:" in said
    assert message in said


def test_one_mistake_gives_one_message(server: ControlPlane) -> None:
    said = refusal(
        server, manifest("entra", "default", {"lifetime": "x", "rotateBefore": "1d", "overlap": "1d"})
    )
    assert said.count("Invalid value") == 1


@pytest.mark.parametrize("spec", [{"auth": {"typ": "BearerToken"}}, {"rotateBfore": "1d"}])
def test_an_unknown_field_is_refused_not_dropped(server: ControlPlane, spec: dict[str, Any]) -> None:
    assert "unknown field" in refusal(server, manifest("entra", "default", spec))


def test_a_name_that_does_not_fit_a_label_is_refused(server: ControlPlane, place: str) -> None:
    applied(server, manifest("n" * 63, place))
    assert "at most 63 characters" in refusal(server, manifest("n" * 64, place))


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ({"tenant": "a"}, {"tenant": "b"}, "spec.tenant: Forbidden: tenant cannot be changed"),
        ({"tenant": "a"}, {}, "spec.tenant: Forbidden: tenant cannot be changed"),
        ({}, {"tenant": "b"}, "spec.tenant: Forbidden: tenant cannot be changed"),
        ({}, {"matching": "userName"}, "spec.matching: Forbidden: matching cannot be changed"),
        ({"matching": "externalId"}, {}, "spec.matching: Forbidden: matching cannot be changed"),
    ],
)
def test_tenant_and_matching_cannot_be_changed(
    server: ControlPlane, place: str, before: dict[str, Any], after: dict[str, Any], message: str
) -> None:
    applied(server, manifest("entra", place, before))
    assert message in refusal(server, manifest("entra", place, after))


def test_writing_the_default_tenant_out_is_no_change(server: ControlPlane, place: str) -> None:
    applied(server, manifest("entra", place))
    assert applied(server, manifest("entra", place, {"tenant": "entra"}))["spec"]["tenant"] == "entra"


def full_status() -> dict[str, Any]:
    ready = Condition(
        type="Ready",
        status="True",
        reason="Published",
        message="m",
        last_transition_time=NOW,
        observed_generation=1,
    )
    token = TokenStatus(
        id="t1",
        state=TokenState.ACTIVE,
        issued_at=NOW,
        expires_at=NOW + timedelta(days=90),
        last_used_at=NOW - timedelta(hours=5),
        kind="ClientSecret",
    )
    refused = RefusedSignIn(at=NOW, check="aud", expected="api://app", received="api://other")
    return ScimTokenStatus(
        endpoint="https://scim.example.com/scim/v2",
        tenant="contoso",
        secret_name="entra-scim-token",
        conditions=(ready,),
        observed_generation=1,
        next_rotation=NOW + timedelta(days=60),
        expires_at=NOW + timedelta(days=90),
        last_used_at=NOW - timedelta(hours=5),
        users=7,
        tokens=(token,),
        last_refused_sign_in=refused,
    ).to_object()


def with_status(installed: ControlPlane, quiet_namespace: str) -> None:
    applied(installed, manifest("entra", quiet_namespace))
    patch = json.dumps({"status": full_status()})
    installed.kubectl(
        "patch", "sct", "entra", "-n", quiet_namespace, "--subresource=status", "--type=merge", "-p", patch
    )


def test_nothing_of_the_status_is_pruned(server: ControlPlane, place: str) -> None:
    with_status(server, place)
    stored = json.loads(server.kubectl("get", "sct", "entra", "-n", place, "-o", "json").stdout)
    assert stored["status"] == full_status()


def test_get_shows_what_an_admin_asks_first(installed: ControlPlane, quiet_namespace: str) -> None:
    with_status(installed, quiet_namespace)
    header, row = installed.kubectl("get", "sct", "-n", quiet_namespace).stdout.splitlines()
    assert [h.strip() for h in header.split("  ") if h.strip()] == [
        "NAME", "READY", "EXPIRES", "NEXT ROTATION", "LAST USED", "AGE",
    ]  # fmt: skip
    status = full_status()
    shown = row.split()
    assert shown[:4] == ["entra", "True", status["expiresAt"], status["nextRotation"]]
    assert re.fullmatch(r"([0-9]+[dhms])+", shown[4]), "how long ago, as kubectl counts it"


def test_get_wide_shows_the_rest(installed: ControlPlane, quiet_namespace: str) -> None:
    with_status(installed, quiet_namespace)
    row = installed.kubectl(
        "get", "scimtokens", "-n", quiet_namespace, "-o", "wide", "--no-headers"
    ).stdout.split()
    assert row[6:] == [
        "Published",
        "contoso",
        "workEmail",
        "7",
        "entra-scim-token",
        "ReadWrite",
        "BearerToken",
        "https://scim.example.com/scim/v2",
    ]


def test_the_category_finds_them(installed: ControlPlane, quiet_namespace: str) -> None:
    applied(installed, manifest("entra", quiet_namespace))
    assert "entra" in installed.kubectl("get", "scim", "-n", quiet_namespace, "-o", "name").stdout


@pytest.mark.parametrize(
    ("field", "taught"),
    [
        ("spec.rotateBefore", "at most half of lifetime"),
        ("spec.overlap", "untilExpiry (default)"),
        ("spec.overlap", "untilInUse ends it when the new one was used"),
        ("spec.customFields.multiValued", "list of values"),
        ("spec.groups", "serves them with their members"),
        ("spec.auth.type", "WorkloadIdentity: no secret at all"),
        ("spec.auth.workloadIdentity.audiences", "list all three"),
        ("status.lastRefusedSignIn.received", "What came instead"),
        ("status.tokens.state", "still accepted until expiresAt"),
    ],
)
def test_explain_teaches(installed: ControlPlane, field: str, taught: str) -> None:
    said = " ".join(installed.kubectl("explain", f"sct.{field}").stdout.split())
    assert taught in said


@pytest.mark.parametrize("example", SCIM_TOKENS, ids=lambda path: path.name)
def test_every_example_is_accepted(examples_server: ControlPlane, example: Any) -> None:
    done = examples_server.kubectl("apply", "--dry-run=server", "-f", str(example))
    assert "Warning" not in done.stderr
