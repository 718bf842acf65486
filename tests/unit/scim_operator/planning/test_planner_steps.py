"""``plan`` on single observations: which tokens count, and what is written of them."""

import dataclasses
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from scim_api.contract.admin import Connection, CredentialStatus, TenantSettings
from scim_operator.api.custom_object import ROTATE_ANNOTATION
from scim_operator.api.scimtoken import FINALIZER, REVOKE_ANNOTATION, ScimToken
from scim_operator.planning.actions import (
    Action,
    Done,
    IssueReason,
    IssueToken,
    ObservedSecret,
    ObservedState,
    PromoteToken,
    Refuse,
    RegisterCredentials,
    RewriteSecret,
)
from scim_operator.planning.planner import plan
from scim_operator.planning.secret_layout import public_secret_data
from scim_operator.planning.token_ledger import LedgerEntry, TokenLedger

NOW = datetime(2026, 1, 10, tzinfo=UTC)
ENDPOINT = "https://scim.example.com/scim/v2"
DAY, HOUR = timedelta(days=1), timedelta(hours=1)


def entry(number: int, *, issued: datetime | None = None, **more: Any) -> LedgerEntry:
    """Token ``id<number>``, issued so many days ago that a larger number is younger."""
    at = issued or NOW - (9 - number) * DAY
    return LedgerEntry(f"id{number}", f"{number}a" * 32, at, at + 90 * DAY, **more)


def known(item: LedgerEntry, **more: Any) -> CredentialStatus:
    """The same as the API has it."""
    return CredentialStatus(
        id=item.id, digest=item.digest, issued_at=item.issued_at, expires_at=item.expires_at, **more
    )


OLD, PRESENT, COMING = entry(1, superseded_at=NOW - 2 * HOUR), entry(5), entry(7)


def observed(
    *credentials: CredentialStatus,
    ledger: tuple[LedgerEntry, ...] = (PRESENT,),
    rotate: str | None = None,
    rotated_at: datetime | None = None,
    next_token: str | None = None,
    revoked: tuple[str, ...] = (),
    annotations: dict[str, str] | None = None,
    **spec: Any,
) -> ObservedState:
    metadata = {"name": "entra", "namespace": "team", "uid": "u", "annotations": annotations or {}}
    token = ScimToken.from_object({"metadata": metadata, "spec": spec})
    connection = Connection(
        namespace="team", name="entra", exists=True, revision="r", now=NOW, tenant=token.tenant,
        settings=token.tenant_settings(), credentials=credentials, revoked=revoked,
    )  # fmt: skip
    public = public_secret_data(PRESENT, ENDPOINT)
    record = TokenLedger(ledger, rotate, rotated_at)
    secret = ObservedSecret(
        owned=True, deleting=False, token=PRESENT.digest, next_token=next_token, ledger=record, public=public,
        drifted=False,
    )  # fmt: skip
    return ObservedState(connection, token, secret)


def step(*credentials: CredentialStatus, **more: Any) -> Action:
    return plan(observed(*credentials, **more), ENDPOINT)


def registered(action: Action) -> dict[str, datetime | None]:
    """What is to be put, with its retirement."""
    assert isinstance(action, RegisterCredentials)
    return {item.id: item.retires_at for item in action.desired.credentials}


def recorded(action: Action) -> list[str]:
    assert isinstance(action, (RewriteSecret, PromoteToken, IssueToken))
    return [item.id for item in action.ledger.tokens]


def test_what_is_in_order_is_left_alone_until_its_rotation() -> None:
    action = step(known(PRESENT))
    assert isinstance(action, Done)
    assert (action.active, action.requeue_at) == (PRESENT, PRESENT.issued_at + 60 * DAY)


def test_a_token_that_no_record_knows_counts_as_superseded_now() -> None:
    assert registered(step(known(PRESENT), known(entry(1)), overlap="1h")) == {"id1": NOW + HOUR, "id5": None}


@pytest.mark.parametrize("days", [2, 82, 83, 84])
def test_overlap_retires_a_token_only_before_its_own_end(days: int) -> None:
    first = entry(1, superseded_at=NOW - DAY)
    assert first.expires_at == NOW - DAY + 83 * DAY
    action = step(known(PRESENT), ledger=(PRESENT, first), overlap=f"{days}d")
    retires = NOW - DAY + days * DAY if days < 83 else None
    assert registered(action) == {"id1": retires, "id5": None}


def test_the_api_gets_tokens_from_the_oldest_to_the_youngest() -> None:
    action = step(ledger=(OLD, PRESENT, COMING), next_token=COMING.digest)
    assert list(registered(action)) == ["id1", "id5", "id7"]


def test_the_record_holds_tokens_from_the_youngest_to_the_oldest() -> None:
    both = (known(PRESENT), known(OLD), known(COMING))
    action = step(*both, ledger=(OLD, PRESENT, COMING), next_token=COMING.digest)
    assert recorded(action) == ["id7", "id5", "id1"]
    rewritten = step(known(PRESENT), known(OLD), ledger=(OLD, PRESENT))
    assert recorded(rewritten) == ["id5", "id1"]


def test_two_records_of_one_digest_are_one_token() -> None:
    twin = dataclasses.replace(entry(2), digest=entry(1).digest)
    action = step(known(PRESENT), ledger=(PRESENT, entry(1), twin))
    assert list(registered(action)) == ["id1", "id5"]


def test_a_token_that_the_api_has_revoked_is_not_registered_again() -> None:
    assert recorded(step(known(PRESENT), ledger=(PRESENT, OLD), revoked=("id1",))) == ["id5"]


@pytest.mark.parametrize(("retires", "live"), [(NOW, False), (NOW + timedelta(microseconds=1), True)])
def test_a_token_is_over_at_the_moment_of_its_retirement(retires: datetime, live: bool) -> None:
    action = step(known(PRESENT), known(OLD, retires_at=retires), ledger=(PRESENT, OLD))
    shown = registered(action) if isinstance(action, RegisterCredentials) else recorded(action)
    assert ("id1" in shown) is live


def test_a_token_whose_overlap_has_become_shorter_leaves_api_and_record() -> None:
    action = step(known(PRESENT), known(OLD), ledger=(PRESENT, OLD), overlap="1h")
    assert registered(action) == {"id5": None}
    assert recorded(step(known(PRESENT), ledger=(PRESENT, OLD), overlap="1h")) == ["id5"]


@pytest.mark.parametrize(("overlap", "kept"), [("1h", False), ("2h", False), ("3h", True)])
def test_a_new_token_is_recorded_beside_those_that_still_are_in_time(overlap: str, kept: bool) -> None:
    action = step(
        known(PRESENT),
        known(OLD),
        ledger=(PRESENT, OLD),
        overlap=overlap,
        annotations={ROTATE_ANNOTATION: "now"},
    )
    assert isinstance(action, IssueToken)
    assert (recorded(action), action.ledger.rotate) == (["id5", "id1"] if kept else ["id5"], "now")


@pytest.mark.parametrize(("seconds", "waits"), [(0, True), (59.9, True), (60, False), (-5, False)])
def test_a_rotation_asked_for_within_a_minute_of_another_one_waits_until_that_is_over(
    seconds: float, waits: bool
) -> None:
    rotated = NOW - timedelta(seconds=seconds)
    action = step(known(PRESENT), rotate="a", rotated_at=rotated, annotations={ROTATE_ANNOTATION: "b"})
    if not waits:
        assert isinstance(action, IssueToken)
        assert (action.ledger.rotate, action.ledger.rotated_at) == ("b", NOW)
        return
    assert isinstance(action, Done)
    over = rotated + timedelta(seconds=60)
    assert (action.requeue_at, action.next_rotation, action.delayed_rotation) == (over, over, over)


def test_what_is_due_missing_or_revoked_does_not_wait_for_a_rotation_that_does() -> None:
    late = entry(5, issued=NOW - 80 * DAY)
    asked: dict[str, Any] = {"rotate": "a", "rotated_at": NOW, "annotations": {ROTATE_ANNOTATION: "b"}}
    due = step(known(late), ledger=(late,), **asked)
    assert isinstance(due, IssueToken)
    assert due.reason is IssueReason.DUE
    assert due.ledger.rotate == "b", "a new token is what was asked for"
    both = {ROTATE_ANNOTATION: "b", REVOKE_ANNOTATION: "id5"}
    revoked = step(known(PRESENT), **(asked | {"annotations": both}))
    assert isinstance(revoked, IssueToken)
    assert revoked.reason is IssueReason.REVOKED
    gone = observed(known(PRESENT), **asked)
    assert gone.secret is not None
    missing = plan(dataclasses.replace(gone, secret=dataclasses.replace(gone.secret, token=None)), ENDPOINT)
    assert isinstance(missing, IssueToken)
    assert missing.reason is IssueReason.MISSING


def test_a_superseded_token_is_revoked_while_a_rotation_waits() -> None:
    both = {ROTATE_ANNOTATION: "b", REVOKE_ANNOTATION: "all-superseded"}
    action = step(
        known(PRESENT), known(OLD), ledger=(PRESENT, OLD), rotate="a", rotated_at=NOW, annotations=both
    )
    assert registered(action) == {"id5": None}


def test_a_suspended_rotation_waits_for_nothing_but_that() -> None:
    action = step(
        known(PRESENT), rotate="a", rotated_at=NOW, annotations={ROTATE_ANNOTATION: "b"}, suspend=True
    )
    assert isinstance(action, Done)
    assert action.delayed_rotation is None


def test_an_answered_request_stays_answered_when_its_annotation_is_taken_away() -> None:
    late = entry(5, issued=NOW - 80 * DAY)
    state = observed(known(late), ledger=(late,), rotate="earlier")
    action = plan(dataclasses.replace(state), ENDPOINT)
    assert isinstance(action, IssueToken)
    assert action.ledger.rotate == "earlier"


@pytest.mark.parametrize(
    ("limit", "doomed"),
    [
        ("2026-01-02T00:00:01Z", True),
        ("2026-01-02T02:00:01+02:00", True),
        ("2026-01-02T01:00:00+02:00", False),
        ("2026-01-02T00:00:01", True),
        ("2026-01-02T00:00:00", False),
    ],
)
def test_a_limit_of_a_revocation_is_a_moment_in_its_zone_and_in_utc_without_one(
    limit: str, doomed: bool
) -> None:
    action = step(
        known(PRESENT),
        known(OLD),
        ledger=(PRESENT, OLD),
        annotations={REVOKE_ANNOTATION: f"all-before/{limit}"},
    )
    assert isinstance(action, RegisterCredentials) is doomed
    if doomed:
        assert registered(action) == {"id5": None}


def test_a_connection_without_settings_gets_them() -> None:
    state = observed(known(PRESENT))
    bare = dataclasses.replace(state, connection=state.connection.model_copy(update={"settings": None}))
    action = plan(bare, ENDPOINT)
    assert isinstance(action, RegisterCredentials)
    assert action.desired.settings == TenantSettings()


def test_a_secret_that_is_being_deleted_is_waited_for() -> None:
    state = observed(known(PRESENT))
    assert state.secret is not None
    gone_soon = dataclasses.replace(state, secret=dataclasses.replace(state.secret, deleting=True))
    action = plan(gone_soon, ENDPOINT)
    assert isinstance(action, Refuse)
    assert action.reason == "SecretDeleting"


@pytest.mark.parametrize("finalizers", [[], ["example.com/of-somebody-else"]])
def test_an_object_that_goes_without_our_finalizer_needs_nothing_more(finalizers: list[str]) -> None:
    metadata = {
        "name": "entra", "namespace": "team", "uid": "u", "deletionTimestamp": "2026-01-09T00:00:00Z",
        "finalizers": finalizers,
    }  # fmt: skip
    connection = Connection(namespace="team", name="entra", exists=False, revision="r", now=NOW)
    token = ScimToken.from_object({"metadata": metadata, "spec": {}})
    assert FINALIZER not in finalizers
    assert plan(ObservedState(connection, token, None), ENDPOINT) == Done(None)


def test_the_token_that_another_replaces_is_recorded_as_superseded_from_now_on() -> None:
    action = step(known(PRESENT), known(COMING), ledger=(PRESENT, COMING), next_token=COMING.digest)
    assert isinstance(action, PromoteToken)
    assert action.ledger.tokens == (COMING, dataclasses.replace(PRESENT, superseded_at=NOW))


def test_taking_away_the_annotation_of_an_answered_request_rotates_nothing() -> None:
    assert isinstance(step(known(PRESENT), rotate="earlier"), Done)


@pytest.mark.parametrize(
    ("in_secret", "ledger", "reason"),
    [
        (None, (), IssueReason.FIRST),
        (None, (PRESENT,), IssueReason.MISSING),
        ("ff" * 32, (), IssueReason.UNKNOWN),
        ("ff" * 32, (PRESENT,), IssueReason.UNKNOWN),
        (entry(1).digest, (dataclasses.replace(entry(1), expires_at=NOW),), IssueReason.EXPIRED),
    ],
)
def test_a_token_is_issued_for_what_is_wrong_with_the_one_in_the_secret(
    in_secret: str | None, ledger: tuple[LedgerEntry, ...], reason: IssueReason
) -> None:
    state = observed(ledger=ledger)
    assert state.secret is not None
    changed = dataclasses.replace(state, secret=dataclasses.replace(state.secret, token=in_secret))
    action = plan(changed, ENDPOINT)
    assert isinstance(action, IssueToken)
    assert action.reason == reason


def test_only_tokens_that_the_api_has_are_reported_as_revoked() -> None:
    unregistered = entry(2, superseded_at=NOW - HOUR)
    action = step(
        known(PRESENT),
        known(OLD),
        ledger=(PRESENT, OLD, unregistered),
        annotations={REVOKE_ANNOTATION: "all-superseded"},
    )
    assert isinstance(action, RegisterCredentials)
    assert action.revoked == ("id1",)


def test_custom_fields_in_another_order_are_registered_already() -> None:
    names = [{"name": "badge"}, {"name": "floor"}]
    state = observed(known(PRESENT), customFields=names)
    assert isinstance(plan(state, ENDPOINT), Done)
    held = state.connection.settings
    assert held is not None
    turned = held.model_copy(update={"custom_fields": held.custom_fields[::-1]})
    assert turned != held
    other = dataclasses.replace(state, connection=state.connection.model_copy(update={"settings": turned}))
    assert isinstance(plan(other, ENDPOINT), Done)


def test_a_suspended_one_at_the_moment_of_its_rotation_is_looked_at_again_at_its_end() -> None:
    due = entry(5, issued=NOW - 60 * DAY)
    state = observed(known(due), ledger=(due,), suspend=True)
    assert state.secret is not None
    secret = dataclasses.replace(state.secret, public=public_secret_data(due, ENDPOINT))
    action = plan(dataclasses.replace(state, secret=secret), ENDPOINT)
    assert isinstance(action, Done)
    assert (action.next_rotation, action.requeue_at) == (NOW, due.expires_at)
