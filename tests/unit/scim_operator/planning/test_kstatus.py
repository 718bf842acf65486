"""Our conditions as kstatus reads them, in every state that a ScimToken can be in."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from scim_api.contract.admin import Connection, CredentialStatus
from scim_operator.api import crd
from scim_operator.api.scimtoken import ScimToken
from scim_operator.planning.actions import Done, ObservedSecret
from scim_operator.planning.conditions import Failure, ReconcileOutcome, build_status
from scim_operator.planning.token_ledger import LedgerEntry, TokenLedger
from support.kstatus import kstatus

NOW = datetime(2026, 1, 10, tzinfo=UTC)
TOKEN = LedgerEntry("id1", "ab" * 32, NOW, NOW + timedelta(days=90))
CONNECTION = Connection(
    namespace="team", name="entra", exists=True, revision="r", now=NOW,
    credentials=(CredentialStatus(id="id1", digest="ab" * 32, issued_at=NOW, expires_at=TOKEN.expires_at),),
)  # fmt: skip
SECRET = ObservedSecret(True, False, TOKEN.digest, None, TokenLedger(), {"token-id": "id1"}, False)
WELL = Done(NOW + timedelta(days=60), TOKEN, NOW + timedelta(days=60))


def told(trouble: Failure | None = None, **spec: Any) -> dict[str, Any]:
    body: dict[str, Any] = {
        "metadata": {"name": "entra", "namespace": "team", "generation": 3, "uid": "u"},
        "spec": spec,
    }
    done = WELL if trouble is None else None
    found = ReconcileOutcome(ScimToken.from_object(body), CONNECTION, SECRET, done, trouble)
    return body | {"status": build_status(found, "https://scim.example.com/scim/v2", NOW).to_object()}


@pytest.mark.parametrize("kind", crd.KINDS, ids=lambda kind: kind.model.kind)
def test_one_that_no_operator_has_seen_is_not_taken_for_done(kind: crd.Kind) -> None:
    fresh = {"metadata": {"generation": 1}, "status": crd.status_schema(kind)["default"]}
    assert kstatus(fresh) == "InProgress"


def test_ready_is_current_and_so_is_suspended() -> None:
    assert kstatus(told()) == "Current"
    assert kstatus(told(suspend=True)) == "Current"


def test_a_changed_spec_is_in_progress_until_it_was_looked_at() -> None:
    changed = told()
    changed["metadata"]["generation"] = 4
    assert kstatus(changed) == "InProgress"


@pytest.mark.parametrize(
    "reason",
    ["SecretNotOwned", "SettingsConflict", "MatchingImmutable", "TooManyTokens", "KubernetesRejected"],
)
def test_what_only_a_person_can_mend_has_failed(reason: str) -> None:
    assert kstatus(told(Failure("Registered", reason, "m"))) == "Failed"


@pytest.mark.parametrize(
    "trouble",
    [
        Failure("Registered", "ScimApiUnreachable", "m", "Unknown"),
        Failure("Registered", "TenantPurging", "m"),
        Failure("Published", "SecretDeleting", "m"),
        Failure("Published", "VerificationFailed", "m"),
    ],
    ids=lambda trouble: trouble.reason,
)
def test_what_may_pass_by_itself_is_in_progress(trouble: Failure) -> None:
    assert kstatus(told(trouble)) == "InProgress"


def test_a_failure_that_was_mended_leaves_no_trace() -> None:
    failed = told(Failure("Published", "SecretNotOwned", "m"))
    found = ReconcileOutcome(ScimToken.from_object(failed), CONNECTION, SECRET, WELL, None)
    mended = build_status(found, "https://scim.example.com/scim/v2", NOW)
    assert mended.condition("Stalled") is None
    assert kstatus({**failed, "status": mended.to_object()}) == "Current"


def test_one_that_is_being_deleted_is_terminating() -> None:
    assert kstatus(told() | {"metadata": {"deletionTimestamp": "2026-01-10T00:00:00Z"}}) == "Terminating"
