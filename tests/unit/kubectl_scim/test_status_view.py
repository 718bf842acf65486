"""What people see of ScimTokens."""

import io

import pytest
from rich.console import Console

from kubectl_scim import status_view
from kubectl_scim.scimtoken import Problem, ScimToken
from kubectl_scim.scimwebhook import ScimWebhook
from support.installation_objects import scimwebhook
from support.scimtoken_objects import NOW, condition, credential, scimtoken


def shown(
    *bodies: dict[str, object], secret: Problem | str | None = None, all_namespaces: bool = False
) -> str:
    file = io.StringIO()
    console = Console(file=file, markup=False, highlight=False, emoji=False, width=200)
    tokens = [ScimToken(body) for body in bodies]
    if len(tokens) == 1:
        status_view.show_one(console, tokens[0], secret, NOW)
    else:
        status_view.show_all(console, tokens, NOW, all_namespaces=all_namespaces)
    return file.getvalue()


def test_one_that_is_well_is_a_tree_with_the_life_of_each_credential() -> None:
    text = shown(scimtoken(credentials=(credential(), credential("t0", "Superseded", issuedAt="2026-06-01T00:00:00Z", expiresAt="2026-12-01T00:00:00Z"))))  # fmt: skip
    assert "ScimToken team/entra  ✓ nothing is wrong" in text
    assert (
        "t1  Active      ███░░░░░░░░░░░░░░░░░░░░░  ends 2027-02-18T12:00:00Z (in 80 d), used 12 h ago" in text
    )
    assert "t0  Superseded  ████████████████████████  ends 2026-12-01T00:00:00Z (in 12 h)" in text
    assert "next rotation  in 50 d" in text


@pytest.mark.parametrize(
    ("kind", "status", "reason", "so_far"),
    [
        ("Provisioning", "Unknown", "NotRun", True),
        ("HandedOver", "False", "Saved", True),
        ("HandedOver", "False", "Off", False),
        ("Provisioning", "True", "Active", False),
    ],
)
def test_what_is_to_come_yet_is_not_called_well(kind: str, status: str, reason: str, so_far: bool) -> None:
    text = shown(scimtoken(condition(kind, status, reason)))
    assert ("✓ nothing is wrong so far" in text) is so_far
    assert ("✓ nothing is wrong  " in text) is not so_far


def test_what_was_revoked_has_no_life_left_and_a_person_s_look_is_no_use() -> None:
    text = shown(scimtoken(credentials=(credential(), credential("t0", "Revoked", lastInspectedAt="2026-11-30T09:00:00Z"))))  # fmt: skip
    assert "t0  Revoked     is rejected, used 12 h ago, looked at by a person 3 h ago" in text
    assert (
        "t1  Active      ███░░░░░░░░░░░░░░░░░░░░░  ends 2027-02-18T12:00:00Z (in 80 d), used 12 h ago\n"
        in text
    )


def test_what_is_wrong_stands_first_with_the_next_command() -> None:
    text = shown(
        scimtoken(condition("Ready", "False", "SecretNotOwned", "it is another's")),
        secret="not checked: forbidden",
    )
    first, second, *_ = text.splitlines()
    assert first == "✗ Ready: SecretNotOwned  it is another's"
    assert second == "  next: kubectl get secret entra-scim-token -n team --show-labels"
    assert "not checked: forbidden" in text


def test_a_secret_that_is_not_there_is_wrong_and_one_that_was_not_checked_is_not() -> None:
    missing = ScimToken(scimtoken()).missing_secret
    text, note = shown(scimtoken(), secret=missing), shown(scimtoken(), secret="not checked: forbidden")
    assert text.startswith(
        "✗ Secret  entra-scim-token does not exist; the operator recreates it\n  next: kubectl describe sct entra"
    )
    assert "nothing is wrong" not in text
    assert "nothing is wrong" in note
    assert "not checked: forbidden" in note
    documents = [
        status_view.as_document(ScimToken(scimtoken()), one, NOW) for one in (missing, "not checked")
    ]
    assert [(len(one["problems"]), one["secretError"]) for one in documents] == [
        (1, None),
        (0, "not checked"),
    ]


def test_several_are_a_table_with_the_worst_first() -> None:
    bad = scimtoken(condition("Ready", "False", "SecretNotOwned", "x" * 200))
    bad["metadata"] = {**bad["metadata"], "name": "zeta"}
    text = shown(scimtoken(), bad, all_namespaces=True)
    header, first, second, *_ = text.splitlines()
    assert header.split()[:2] == ["NAMESPACE", "NAME"]
    assert first.split()[:3] == ["team", "zeta", "✗"]
    assert second.split()[:3] == ["team", "entra", "✓"]
    assert "…" in text


def test_markup_and_escapes_in_values_are_text() -> None:
    text = shown(scimtoken(condition("EndpointReachable", "False", "[red]x[/red]", "\x1b[2J <script>")))
    assert "[red]x[/red]" in text
    assert "\\x1b[2J <script>" in text
    assert "\x1b" not in text


def test_a_document_for_programs_has_the_problems_and_the_status() -> None:
    token = ScimToken(scimtoken(condition("EndpointReachable", "False", "DnsFailed", "no such name")))
    document = status_view.as_document(token, None, NOW)
    assert document["problems"] == [
        {
            "severity": "warning",
            "subject": "EndpointReachable: DnsFailed",
            "message": "no such name",
            "command": "kubectl describe sct entra -n team",
        }
    ]
    assert document["status"]["tenant"] == "entra"


FAILING = ScimWebhook(
    scimwebhook(
        condition("Delivering", "False", "Failing", "503\x1b[2J since 10:00"),
        name="zeta",
        backlog={"events": 1234},
        failingSince="2026-11-30T10:00:00Z",
        lastDeliveredAt="2026-11-30T09:00:00Z",
    )
)


def test_webhooks_are_a_table_with_the_worst_first_and_what_to_type_next() -> None:
    file = io.StringIO()
    console = Console(file=file, markup=False, highlight=False, emoji=False, width=200)
    status_view.show_webhooks(console, [ScimWebhook(scimwebhook()), FAILING], NOW, all_namespaces=True)
    header, first, second, following = file.getvalue().splitlines()
    assert header.split()[:3] == ["NAMESPACE", "WEBHOOK", "TENANT"]
    assert first.split()[:11] == ["team", "zeta", "✗", "entra", "1,234", "3", "h", "ago", "2", "h", "ago"]
    assert "ScimWebhook zeta: Failing: 503\\x1b[2J since 10:00" in first
    assert second.split() == ["team", "app", "✓", "entra", "0", "never", "-"]
    assert following == "next for zeta: kubectl describe scimwebhook zeta -n team"


def test_a_tree_has_the_webhooks_of_its_tenant_and_what_is_wrong_with_them() -> None:
    file = io.StringIO()
    console = Console(file=file, markup=False, highlight=False, emoji=False, width=200)
    status_view.show_one(console, ScimToken(scimtoken()), None, NOW, [ScimWebhook(scimwebhook()), FAILING])
    text = file.getvalue()
    assert text.startswith("✗ ScimWebhook zeta: Failing  503\\x1b[2J since 10:00\n  next: kubectl describe")
    assert "nothing is wrong" not in text
    assert "── ScimWebhook app  Fine  it is so" in text
    assert "── ScimWebhook zeta  Failing  503" in text
