"""The CRD of ScimWebhook as real API servers enforce it, of the newest and the oldest Kubernetes, and kubectl shows it."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final, get_args

import pytest

from localcluster import ControlPlane
from scim_api.contract.change_types import ChangeType
from scim_operator.api.status import Condition
from scim_operator.api.webhook_status import BacklogStatus, ScimWebhookStatus, SigningSecretStatus
from support.installed import applied, refusal, webhook_manifest
from support.webhook_urls import BAD_URLS, GOOD_URLS

NOW: Final = datetime.now(UTC).replace(microsecond=0)
TYPES: Final = list(get_args(ChangeType))


def accept(server: ControlPlane, spec: dict[str, Any]) -> None:
    body = json.dumps(webhook_manifest("app", "default", spec))
    server.kubectl("apply", "--dry-run=server", "-f", "-", input=body)


def test_tenant_and_url_are_enough_and_the_rest_gets_its_default(server: ControlPlane, place: str) -> None:
    assert applied(server, webhook_manifest("app", place))["spec"] == {
        "tenant": "contoso",
        "url": "https://app.example.com/scim-events",
        "content": "Thin",
        "timeout": "15s",
        "suspend": False,
        "rotateAfter": "90d",
        "overlap": "7d",
    }


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        (None, "spec"),
        ({}, "spec.tenant"),
        ({"tenant": "contoso"}, "spec.url"),
        ({"url": GOOD_URLS[0]}, "spec.tenant"),
    ],
)
def test_without_tenant_or_url_it_is_refused(
    server: ControlPlane, spec: dict[str, Any] | None, field: str
) -> None:
    body = webhook_manifest("app", "default")
    del body["spec"]
    said = refusal(server, body if spec is None else {**body, "spec": spec})
    assert f"{field}: Required value" in said


@pytest.mark.parametrize(
    "spec",
    [
        {"timeout": "1s"},
        {"timeout": "60s"},
        {"timeout": "1m"},
        {"rotateAfter": "never", "overlap": "3650d"},
        {"rotateAfter": "60s", "overlap": "60s"},
        {"rotateAfter": "3650d", "overlap": "87600h"},
        {"rotateAfter": "7d"},
        {"types": TYPES},
        {"types": []},
        {"content": "Full"},
        {"tenant": "a.b-c"},
        {"tenant": "t" * 63},
        {
            "secret": {
                "name": "n" * 253,
                "labels": {"example.com/team": "A.b_c", "e": ""},
                "annotations": {"a/b": "any thing"},
            }
        },
        {"url": f"https://app.example.com/{'x' * 2024}"},
        *({"url": url} for url in GOOD_URLS),
    ],
)
def test_good_specs_are_accepted(server: ControlPlane, spec: dict[str, Any]) -> None:
    accept(server, spec)


WRITE_A_URL: Final = "write https://, a host and a path, such as https://app.example.com/scim-events"
WRITE_A_DURATION: Final = "write a number and s, m, h or d, such as 90d or 12h"


@pytest.mark.parametrize(
    ("spec", "field", "message"),
    [
        ({"tenant": "Contoso"}, "spec.tenant", "write lower-case letters, digits, - and ."),
        ({"tenant": ""}, "spec.tenant", "write lower-case letters, digits, - and ."),
        ({"tenant": "t" * 64}, "spec.tenant", "63"),
        *(({"url": url}, "spec.url", WRITE_A_URL) for url in BAD_URLS),
        ({"url": f"https://app.example.com/{'x' * 2025}"}, "spec.url", "2048"),
        ({"types": ["user.renamed"]}, "spec.types[0]", '"user.created"'),
        ({"types": [TYPES[0], TYPES[0]]}, "spec.types[1]", 'Duplicate value: "user.created"'),
        ({"content": "thin"}, "spec.content", 'supported values: "Thin", "Full"'),
        ({"timeout": "500ms"}, "spec.timeout", WRITE_A_DURATION),
        ({"timeout": "61s"}, "spec.timeout", "timeout goes from 1s to 60s; write for example 15s"),
        ({"timeout": "2m"}, "spec.timeout", "timeout goes from 1s to 60s"),
        ({"timeout": "0s"}, "spec.timeout", WRITE_A_DURATION),
        ({"rotateAfter": "59s", "overlap": "60s"}, "spec.rotateAfter", "rotateAfter goes from 60s to 3650d"),
        ({"rotateAfter": "3651d"}, "spec.rotateAfter", "rotateAfter goes from 60s to 3650d"),
        ({"rotateAfter": "Never"}, "spec.rotateAfter", f"{WRITE_A_DURATION}, or never"),
        ({"overlap": "59s"}, "spec.overlap", "overlap goes from 60s to rotateAfter; write for example 7d"),
        ({"overlap": "3651d", "rotateAfter": "never"}, "spec.overlap", "overlap goes from 60s"),
        ({"overlap": "never"}, "spec.overlap", WRITE_A_DURATION),
        (
            {"rotateAfter": "1d"},
            "spec.overlap",
            "overlap (7d) may be at most rotateAfter (1d); write overlap: 1d, or a shorter one",
        ),
        ({"rotateAfter": "1h", "overlap": "61m"}, "spec.overlap", "overlap (61m) may be at most rotateAfter"),
        ({"secret": {"name": "My Secret"}}, "spec.secret.name", "write lower-case letters, digits, - and ."),
        ({"secret": {"name": "n" * 254}}, "spec.secret.name", "253"),
        ({"secret": {"labels": {"a b": "c"}}}, "spec.secret.labels", "a key is a name such as team"),
        ({"secret": {"labels": {"a": "b c"}}}, "spec.secret.labels[a]", "a label's value has letters"),
        ({"secret": {"annotations": {"a/b/c": "d"}}}, "spec.secret.annotations", "a key is a name such as"),
        *(
            ({"secret": {kind: {key: "x"}}}, f"spec.secret.{kind}", "the operator's own; leave them out")
            for kind in ("labels", "annotations")
            for key in ("scim-operator.io/webhook", "app.kubernetes.io/managed-by")
        ),
        (
            {"secret": {"labels": {f"l{n}": "x" for n in range(65)}}},
            "spec.secret.labels",
            "at most 64 items",
        ),
    ],
)
def test_a_mistake_is_refused_with_what_to_write_instead(
    server: ControlPlane, spec: dict[str, Any], field: str, message: str
) -> None:
    said = refusal(server, webhook_manifest("app", "default", spec))
    assert f"{field}:" in said
    assert message in said


def test_one_mistake_gives_one_message(server: ControlPlane) -> None:
    said = refusal(server, webhook_manifest("app", "default", {"rotateAfter": "x", "overlap": "3650d"}))
    assert said.count("Invalid value") == 1


@pytest.mark.parametrize("spec", [{"urls": []}, {"secret": {"key": "x"}}])
def test_an_unknown_field_is_refused_not_dropped(server: ControlPlane, spec: dict[str, Any]) -> None:
    assert "unknown field" in refusal(server, webhook_manifest("app", "default", spec))


def test_a_name_that_does_not_fit_a_label_is_refused(server: ControlPlane, place: str) -> None:
    applied(server, webhook_manifest("n" * 63, place))
    assert "at most 63 characters" in refusal(server, webhook_manifest("n" * 64, place))


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ({"tenant": "a"}, {"tenant": "b"}, "spec.tenant: Forbidden: tenant cannot be changed"),
        (
            {"secret": {"name": "a"}},
            {"secret": {"name": "b"}},
            "spec.secret.name: Forbidden: secret.name cannot",
        ),
        ({"secret": {"name": "a"}}, {}, "spec.secret.name: Forbidden: secret.name cannot be changed"),
        ({"secret": {"name": "a"}}, {"secret": {"labels": {"a": "b"}}}, "secret.name cannot be changed"),
        ({}, {"secret": {"name": "b"}}, "spec.secret.name: Forbidden: secret.name cannot be changed"),
    ],
)
def test_tenant_and_the_name_of_the_secret_cannot_be_changed(
    server: ControlPlane, place: str, before: dict[str, Any], after: dict[str, Any], message: str
) -> None:
    applied(server, webhook_manifest("app", place, before))
    said = refusal(server, webhook_manifest("app", place, after))
    assert message in said
    assert "create another ScimWebhook instead" in said


def test_all_else_can_be_changed(server: ControlPlane, place: str) -> None:
    applied(server, webhook_manifest("app", place))
    other = {
        "url": "http://other.example.com", "types": TYPES[:2], "content": "Full", "timeout": "60s", "suspend": True,
        "rotateAfter": "never", "overlap": "1d", "secret": {"name": "app-scim-webhook", "labels": {"a": "b"}},
    }  # fmt: skip
    assert applied(server, webhook_manifest("app", place, other))["spec"] == {"tenant": "contoso", **other}


def test_each_manager_of_a_server_side_apply_has_types_of_its_own(server: ControlPlane, place: str) -> None:
    def apply(manager: str, types: list[str]) -> set[str]:
        body = json.dumps(webhook_manifest("app", place, {"types": types}))
        options = ("--server-side", f"--field-manager={manager}", "-o", "json", "-f", "-")
        stored = json.loads(server.kubectl("apply", *options, input=body).stdout)
        return set(stored["spec"]["types"])

    assert apply("one", TYPES[:2]) == set(TYPES[:2])
    assert apply("other", TYPES[2:3]) == set(TYPES[:3])
    assert apply("one", TYPES[:1]) == {TYPES[0], TYPES[2]}


def condition(kind: str, status: Any, reason: str) -> Condition:
    return Condition(
        type=kind,
        status=status,
        reason=reason,
        message="m",
        last_transition_time=NOW,
        observed_generation=1,
    )


def full_status() -> dict[str, Any]:
    return ScimWebhookStatus(
        tenant="contoso",
        secret_name="app-scim-webhook",
        conditions=(condition("Ready", "True", "Registered"), condition("Delivering", "False", "Failing")),
        observed_generation=1,
        secrets=(
            SigningSecretStatus(id="0123456789abcdef", state="Active", issued_at=NOW),
            SigningSecretStatus(id="fedcba9876543210", state="Superseded", issued_at=NOW, expires_at=NOW),
        ),
        next_rotation=NOW + timedelta(days=90),
        last_delivered_at=NOW - timedelta(hours=5),
        backlog=BacklogStatus(events=12, seconds=60, retrying=3),
        failing_since=NOW - timedelta(hours=1),
        failure="HTTP 500",
        retry_at=NOW + timedelta(minutes=5),
        stopped_at=NOW,
        loses_events_at=NOW + timedelta(days=3),
        gap_at=NOW,
        gap="12 changes",
        answered_test="a",
        answered_redeliver_from="2026-11-23T14:00:00Z",
    ).to_object()


@pytest.fixture
def with_status() -> Callable[[ControlPlane, str], dict[str, Any]]:
    """Applies a ScimWebhook and writes all that a status can hold; the object as it is stored."""

    def write(server: ControlPlane, namespace: str) -> dict[str, Any]:
        fresh = applied(server, webhook_manifest("app", namespace))
        assert fresh["status"] == {"observedGeneration": -1}
        patch = json.dumps({"status": full_status()})
        options = ("-n", namespace, "--subresource=status", "--type=merge", "-o", "json", "-p", patch)
        stored: dict[str, Any] = json.loads(server.kubectl("patch", "scw", "app", *options).stdout)
        return stored

    return write


WithStatus = Callable[[ControlPlane, str], dict[str, Any]]


def test_nothing_of_the_status_is_pruned(server: ControlPlane, place: str, with_status: WithStatus) -> None:
    assert with_status(server, place)["status"] == full_status()


def test_get_shows_what_an_admin_asks_first(
    server: ControlPlane, place: str, with_status: WithStatus
) -> None:
    with_status(server, place)
    header, row = server.kubectl("get", "scw", "-n", place).stdout.splitlines()
    assert [h.strip() for h in header.split("  ") if h.strip()] == [
        "NAME", "DELIVERING", "BACKLOG", "LAST DELIVERY", "FAILING SINCE", "AGE",
    ]  # fmt: skip
    shown = row.split()
    assert shown[:3] == ["app", "False", "12"]
    assert all(re.fullmatch(r"([0-9]+[dhms])+", ago) for ago in shown[3:]), "how long ago, as kubectl counts"


def test_get_wide_shows_the_rest(server: ControlPlane, place: str, with_status: WithStatus) -> None:
    with_status(server, place)
    row = server.kubectl("get", "scimwebhooks", "-n", place, "-o", "wide", "--no-headers").stdout.split()
    assert row[6:] == [
        "True",
        "Failing",
        "contoso",
        "https://app.example.com/scim-events",
        "app-scim-webhook",
        full_status()["nextRotation"],
    ]


def test_the_category_finds_them(server: ControlPlane, place: str) -> None:
    applied(server, webhook_manifest("app", place))
    assert "app" in server.kubectl("get", "scim", "-n", place, "-o", "name").stdout


@pytest.mark.parametrize(
    ("field", "taught"),
    [
        ("spec.tenant", "Cannot be changed later"),
        ("spec.url", "such as https://app.example.com/scim-events"),
        ("spec.types", "user.created, user.updated"),
        ("spec.content", "Thin (default): the change alone"),
        ("spec.timeout", "from 1s to 60s"),
        ("spec.suspend", "Changes wait"),
        ("spec.rotateAfter", "from 60s to 3650d, or never"),
        ("spec.overlap", "refuses nothing until it has the new one"),
        ("spec.secret", "signing-secret"),
        ("spec.secret.name", "<name of the ScimWebhook>-scim-webhook"),
        ("status.conditions", "Delivering: the receiver takes what is sent"),
        ("status.secrets.state", "Superseded: replaced"),
        ("status.backlog.events", "How many changes"),
    ],
)
def test_explain_teaches(installed: ControlPlane, field: str, taught: str) -> None:
    said = " ".join(installed.kubectl("explain", f"scw.{field}").stdout.split())
    assert taught in said
