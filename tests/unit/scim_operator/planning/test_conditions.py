"""What status says: pure, so each sentence is tested without a reconcile."""

import dataclasses
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from scim_api.contract.admin import Connection, CredentialStatus
from scim_operator.adapters.events import MESSAGE_LIMIT
from scim_operator.api.scimtoken import ScimToken
from scim_operator.api.status import Condition, ScimTokenStatus, TokenState
from scim_operator.planning.actions import Done, ObservedSecret
from scim_operator.planning.conditions import (
    MAX_LISTED_TOKENS,
    Failure,
    ReconcileOutcome,
    build_status,
    is_same_status,
)
from scim_operator.planning.endpoint_verdict import EndpointVerdict
from scim_operator.planning.revocations import DelayedRevocation
from scim_operator.planning.token_ledger import LedgerEntry, TokenLedger
from scim_operator.planning.token_usage import SupersededTokenInUse

NOW = datetime(2026, 1, 10, tzinfo=UTC)
ENDPOINT = "https://scim.example.com/scim/v2"
DAY = timedelta(days=1)
ACTIVE = LedgerEntry("id2", "bb" * 32, NOW - DAY, NOW + 89 * DAY)
TROUBLE = Failure("Registered", "ScimApiUnreachable", "the SCIM API does not answer", "Unknown")


def scim_token(status: ScimTokenStatus | None = None, generation: int = 1, **spec: Any) -> ScimToken:
    body = {
        "metadata": {"name": "entra", "namespace": "team", "uid": "u", "generation": generation},
        "spec": spec,
    }
    return ScimToken.from_object(body | ({"status": status.to_object()} if status else {}))


def credential(name: str, issued: datetime, **more: Any) -> CredentialStatus:
    digest = name[-1] * 64
    return CredentialStatus(id=name, digest=digest, issued_at=issued, expires_at=issued + 90 * DAY, **more)


def connection(*credentials: CredentialStatus, **more: Any) -> Connection:
    return Connection(
        namespace="team", name="entra", exists=True, revision="r", now=NOW, credentials=credentials, **more
    )


SECRET = ObservedSecret(
    owned=True,
    deleting=False,
    token=ACTIVE.digest,
    next_token=None,
    ledger=TokenLedger(),
    public={"token-id": "id2"},
    drifted=False,
)
DONE = Done(NOW + 59 * DAY, ACTIVE, NOW + 59 * DAY)
OLD, NEW = credential("id1", NOW - 5 * DAY), credential("id2", NOW - DAY)


def told(
    token: ScimToken, *, seen: Connection | None = None, trouble: Failure | None = None, now: datetime = NOW
) -> ScimTokenStatus:
    done = DONE if trouble is None else None
    return build_status(ReconcileOutcome(token, seen, SECRET if seen else None, done, trouble), ENDPOINT, now)


def well() -> ScimTokenStatus:
    return told(scim_token(), seen=connection(OLD, NEW, resources=7))


def test_the_active_token_comes_first_then_the_newest() -> None:
    oldest = credential("id0", NOW - 9 * DAY)
    status = told(scim_token(), seen=connection(oldest, NEW, OLD))
    assert [(item.id, item.state) for item in status.tokens] == [
        ("id2", TokenState.ACTIVE),
        ("id1", TokenState.SUPERSEDED),
        ("id0", TokenState.SUPERSEDED),
    ]


def test_a_revocation_that_waits_for_entra_is_told_with_the_latest_time() -> None:
    delayed = (DelayedRevocation("id1", NOW + timedelta(minutes=14)),)
    done = dataclasses.replace(DONE, delayed_revocations=delayed)
    found = ReconcileOutcome(scim_token(), connection(OLD, NEW), SECRET, done, None)
    ready = build_status(found, ENDPOINT, NOW).condition("Ready")
    assert ready is not None
    assert ready.message.endswith(
        "The revocation of id1 waits until Entra uses id2, at the latest until 2026-01-10T00:14:00Z"
    )
    assert "waits" not in str(well().condition("Ready"))


def test_what_is_well_says_until_when_and_what_comes_then() -> None:
    status = well()
    ready = status.condition("Ready")
    assert ready is not None
    assert (ready.status, ready.reason) == ("True", "Ready")
    assert "2026-04-09T00:00:00Z" in ready.message
    assert "2026-03-10T00:00:00Z" in ready.message
    assert (status.endpoint, status.users, status.next_rotation) == (ENDPOINT, 7, NOW + 59 * DAY)
    assert status.expires_at == NOW + 89 * DAY


def test_a_retired_token_is_told_with_the_end_that_counts_and_then_no_more() -> None:
    retiring = credential("id1", NOW - 5 * DAY, retires_at=NOW + DAY)
    status = told(scim_token(), seen=connection(retiring, NEW))
    assert status.tokens[1].expires_at == NOW + DAY
    retired = credential("id1", NOW - 5 * DAY, retires_at=NOW)
    assert [item.id for item in told(scim_token(), seen=connection(retired, NEW)).tokens] == ["id2"]


def test_a_revoked_token_is_told_until_its_own_end() -> None:
    seen = connection(NEW, revoked=("id1",))
    token = scim_token(well())
    assert [(item.id, item.state) for item in told(token, seen=seen).tokens] == [
        ("id2", TokenState.ACTIVE),
        ("id1", TokenState.REVOKED),
    ]
    assert [item.id for item in told(token, seen=seen, now=OLD.expires_at).tokens] == ["id2"]


def test_of_many_revoked_tokens_the_newest_are_listed_and_every_accepted_one() -> None:
    listed = well()
    gone = [
        listed.tokens[1].model_copy(
            update={"id": f"r{number:03}", "issued_at": NOW - DAY + timedelta(seconds=number)}
        )
        for number in range(200)
    ]
    token = scim_token(listed.model_copy(update={"tokens": (*listed.tokens, *gone)}))
    seen = connection(OLD, NEW, revoked=tuple(item.id for item in gone))
    shown = [item.id for item in told(token, seen=seen).tokens]
    assert len(shown) == MAX_LISTED_TOKENS
    assert shown[0] == "id2"
    assert "id1" in shown
    assert {item.id for item in gone[-MAX_LISTED_TOKENS + 2 :]} <= set(shown)


@pytest.mark.parametrize(("later", "moves"), [(DAY - timedelta(seconds=1), False), (DAY, True)])
def test_the_last_use_moves_in_days_so_that_a_used_token_is_not_a_stream_of_writes(
    later: timedelta, moves: bool
) -> None:
    first = NOW - timedelta(hours=30)
    before = told(scim_token(), seen=connection(NEW.model_copy(update={"last_used_at": first})))
    seen = connection(NEW.model_copy(update={"last_used_at": first + later}))
    after = told(scim_token(before), seen=seen)
    assert (after.last_used_at != before.last_used_at) is moves
    assert is_same_status(after, before) is not moves


@pytest.mark.parametrize(("later", "moves"), [(DAY - timedelta(seconds=1), False), (DAY, True)])
def test_an_inspection_is_told_apart_and_moves_in_days_too(later: timedelta, moves: bool) -> None:
    first = NOW - timedelta(hours=30)
    before = told(scim_token(), seen=connection(NEW.model_copy(update={"last_inspected_at": first})))
    assert (before.tokens[0].last_inspected_at, before.tokens[0].last_used_at) == (first, None)
    assert before.last_used_at is None
    after = told(
        scim_token(before), seen=connection(NEW.model_copy(update={"last_inspected_at": first + later}))
    )
    assert is_same_status(after, before) is not moves
    assert told(scim_token(before), seen=connection(NEW)).tokens[0].last_inspected_at == first


def test_the_same_again_writes_nothing_even_much_later() -> None:
    token = scim_token(well())
    assert is_same_status(told(token, seen=connection(OLD, NEW, resources=7), now=NOW + DAY), token.status)


def test_trouble_with_the_api_keeps_what_was_known_and_says_how_long_the_token_is_good() -> None:
    status = told(scim_token(well()), trouble=TROUBLE)
    ready, published = status.condition("Ready"), status.condition("Published")
    assert ready is not None
    assert published is not None
    assert (ready.status, ready.reason) == ("Unknown", "ScimApiUnreachable")
    assert "stays valid until 2026-04-09T00:00:00Z" in ready.message
    assert published.status == "True"
    assert (status.users, status.expires_at, len(status.tokens)) == (7, NOW + 89 * DAY, 2)


def test_refused_settings_do_not_hide_that_the_secret_is_in_order_again() -> None:
    before = told(scim_token(), trouble=Failure("Published", "VerificationFailed", "401 to Test Connection"))
    refused = Failure("Registered", "SettingsConflict", "the settings differ in groups")
    found = ReconcileOutcome(scim_token(before), connection(NEW), SECRET, DONE, refused)
    status = build_status(found, ENDPOINT, NOW)
    ready, published = status.condition("Ready"), status.condition("Published")
    assert ready is not None
    assert published is not None
    assert (ready.status, ready.reason) == ("False", "SettingsConflict")
    assert (published.status, published.reason) == ("True", "Published")


def test_trouble_before_the_first_token_promises_nothing() -> None:
    status = told(scim_token(), trouble=TROUBLE)
    ready, published = status.condition("Ready"), status.condition("Published")
    assert ready is not None
    assert published is not None
    assert "valid" not in ready.message
    assert (published.status, published.reason) == ("Unknown", "Pending")


def test_an_expired_token_is_not_called_good_while_the_api_is_down() -> None:
    status = told(scim_token(well()), trouble=TROUBLE, now=NOW + 90 * DAY)
    ready = status.condition("Ready")
    assert ready is not None
    assert "valid" not in ready.message
    assert status.tokens == ()


def test_a_transition_is_dated_when_the_status_flips_not_when_words_change() -> None:
    token = scim_token(well(), generation=2, suspend=True)
    suspended = told(token, seen=connection(OLD, NEW), now=NOW + DAY).condition("Ready")
    assert suspended is not None
    assert (suspended.last_transition_time, suspended.observed_generation) == (NOW, 2)
    assert "suspended" in suspended.message
    failed = told(token, trouble=TROUBLE, now=NOW + DAY).condition("Ready")
    assert failed is not None
    assert failed.last_transition_time == NOW + DAY


def test_suspended_beyond_its_rotation_says_when_that_was() -> None:
    due = Done(NOW + 2 * DAY, ACTIVE, NOW - DAY)
    found = ReconcileOutcome(scim_token(suspend=True), connection(NEW), SECRET, due, None)
    ready = build_status(found, ENDPOINT, NOW).condition("Ready")
    assert ready is not None
    assert "safe until the token expires at 2026-04-09T00:00:00Z" in ready.message
    assert "was to be replaced at 2026-01-09" in ready.message


USED = SupersededTokenInUse("id1", NOW - 3 * DAY, NOW + 2 * DAY, NOW - timedelta(hours=1), "Azure-AD-SCIM")


def in_use(*items: SupersededTokenInUse, before: ScimTokenStatus | None = None) -> ScimTokenStatus:
    old = OLD.model_copy(update={"last_used_at": items[0].last_used_at if items else None})
    done = Done(NOW + DAY, ACTIVE, NOW + 59 * DAY, None, items)
    return build_status(
        ReconcileOutcome(scim_token(before), connection(old, NEW), SECRET, done, None), ENDPOINT, NOW
    )


def test_what_is_in_use_is_told_with_client_time_and_what_to_paste_where() -> None:
    warning = in_use(USED).condition("SupersededTokenInUse")
    assert warning is not None
    assert (warning.status, warning.reason) == ("True", "InUse")
    assert warning.message.startswith("Azure-AD-SCIM came with token id1 at 2026-01-09T23:00:00Z")
    assert "refused with it from 2026-01-12T00:00:00Z on" in warning.message
    assert "kubectl get secret entra-scim-token -n team -o jsonpath='{.data.token}'" in warning.message


def test_the_first_warning_tells_the_very_last_use_and_later_ones_that_of_the_day() -> None:
    before = well().model_copy(
        update={
            "tokens": (well().tokens[1].model_copy(update={"last_used_at": NOW - 20 * timedelta(hours=1)}),)
        }
    )
    first = in_use(USED, before=before)
    assert "2026-01-09T23:00:00Z" in (first.condition("SupersededTokenInUse") or pytest.fail()).message
    later = dataclasses.replace(USED, last_used_at=NOW - timedelta(minutes=1))
    assert is_same_status(in_use(later, before=first), first)


def test_many_in_use_fit_into_one_event() -> None:
    items = [dataclasses.replace(USED, id=f"id-of-sixteen-{n:02}") for n in range(15)]
    warning = in_use(*items).condition("SupersededTokenInUse")
    assert warning is not None
    assert "and 12 more" in warning.message
    assert len(warning.message) <= MESSAGE_LIMIT


def test_nobody_with_an_old_token_is_told_as_well() -> None:
    warning = in_use().condition("SupersededTokenInUse")
    assert warning is not None
    assert (warning.status, warning.reason) == ("False", "NotInUse")


def test_the_warning_stays_while_the_api_is_down() -> None:
    warned = in_use(USED)
    after = told(scim_token(warned), trouble=TROUBLE)
    assert after.condition("SupersededTokenInUse") == warned.condition("SupersededTokenInUse")


def reachable(reach: EndpointVerdict | None, before: ScimTokenStatus | None = None) -> Condition:
    found = ReconcileOutcome(scim_token(before), connection(NEW), SECRET, DONE, None, reach)
    condition = build_status(found, ENDPOINT, NOW).condition("EndpointReachable")
    assert condition is not None
    return condition


def test_an_endpoint_out_of_reach_is_told_and_leaves_ready_alone() -> None:
    reach = EndpointVerdict("False", "DnsFailed", "the name scim.example.com does not resolve")
    found = ReconcileOutcome(scim_token(), connection(NEW), SECRET, DONE, None, reach)
    status = build_status(found, ENDPOINT, NOW)
    ready, endpoint = status.condition("Ready"), status.condition("EndpointReachable")
    assert ready is not None
    assert endpoint is not None
    assert ready.status == "True"
    assert (endpoint.status, endpoint.reason, endpoint.message) == ("False", reach.reason, reach.message)


def test_before_the_first_check_the_last_one_counts_so_that_a_restart_writes_nothing() -> None:
    assert reachable(None).reason == "Pending"
    good = EndpointVerdict("True", "Reachable", "it answers")
    found = ReconcileOutcome(scim_token(), connection(NEW), SECRET, DONE, None, good)
    assert reachable(None, build_status(found, ENDPOINT, NOW)).reason == "Reachable"


def test_one_that_is_being_deleted_has_one_condition_left() -> None:
    token = scim_token(well())
    gone = token.model_copy(
        update={"metadata": token.metadata.model_copy(update={"deletion_timestamp": NOW})}
    )
    status = build_status(
        ReconcileOutcome(gone, connection(purging=True, resources=3), None, None, None), ENDPOINT, NOW
    )
    assert [(item.type, item.reason) for item in status.conditions] == [("Ready", "Deleting")]


def test_a_suspended_one_has_no_next_rotation() -> None:
    assert told(scim_token(suspend=True), seen=connection(NEW)).next_rotation is None


def test_a_foreign_secrets_token_id_makes_no_token_active() -> None:
    foreign = ObservedSecret(False, False, None, None, TokenLedger(), {"token-id": "id2"}, False)
    trouble = Failure("Published", "SecretNotOwned", "not ours")
    status = build_status(
        ReconcileOutcome(scim_token(), connection(NEW), foreign, None, trouble), ENDPOINT, NOW
    )
    assert [item.state for item in status.tokens] == [TokenState.SUPERSEDED]
    assert status.expires_at is None


def test_a_transition_keeps_its_time_when_only_the_reason_changes() -> None:
    first = Failure("Registered", "SettingsConflict", "another connection has other settings")
    second = Failure("Registered", "MatchingImmutable", "the tenant exists with another matching")
    before = told(scim_token(), seen=connection(OLD, NEW), trouble=first)
    after = told(scim_token(before), seen=connection(OLD, NEW), trouble=second, now=NOW + DAY)
    for kind in ("Ready", "Registered", "Stalled"):
        condition = after.condition(kind)
        assert condition is not None, kind
        assert (condition.reason, condition.last_transition_time) == ("MatchingImmutable", NOW), kind


def test_a_transition_is_dated_anew_with_every_flip_of_the_status() -> None:
    failed = told(scim_token(well()), trouble=TROUBLE, now=NOW + DAY)
    healed = told(scim_token(failed), seen=connection(OLD, NEW), now=NOW + 2 * DAY)
    for status, moment in ((failed, NOW + DAY), (healed, NOW + 2 * DAY)):
        ready = status.condition("Ready")
        assert ready is not None
        assert ready.last_transition_time == moment


def test_three_in_use_are_all_named_and_nobody_is_left_to_be_counted() -> None:
    items = [dataclasses.replace(USED, id=f"id-{n}") for n in range(3)]
    warning = in_use(*items).condition("SupersededTokenInUse")
    assert warning is not None
    assert all(item.id in warning.message for item in items)
    assert " more" not in warning.message


def test_a_secret_of_another_name_is_shown_once_it_is_written() -> None:
    renamed = scim_token(well(), secret={"name": "other"})
    assert told(renamed, trouble=TROUBLE).secret_name == "entra-scim-token"
    assert told(scim_token(secret={"name": "other"}), trouble=TROUBLE).secret_name == "other"
    assert told(renamed, seen=connection(NEW)).secret_name == "other"


def test_without_the_token_of_the_secret_there_is_no_end_to_tell() -> None:
    ready = told(scim_token(), seen=connection(OLD)).condition("Ready")
    assert ready is not None
    assert (ready.status, ready.message) == ("True", "nothing is left to do")


@pytest.mark.parametrize(("ago", "late"), [(timedelta(microseconds=-1), False), (timedelta(), True)])
def test_a_suspended_one_says_that_its_rotation_is_overdue(ago: timedelta, late: bool) -> None:
    done = dataclasses.replace(DONE, next_rotation=NOW - ago)
    found = ReconcileOutcome(scim_token(suspend=True), connection(NEW), SECRET, done, None)
    ready = build_status(found, ENDPOINT, NOW).condition("Ready")
    assert ready is not None
    assert ("it was to be replaced at" in ready.message) is late


def test_while_the_api_is_down_tokens_go_at_their_end() -> None:
    before = well()
    end = before.tokens[1].expires_at
    for now, left in ((end - timedelta(microseconds=1), ["id2", "id1"]), (end, ["id2"])):
        status = told(scim_token(before), trouble=TROUBLE, now=now)
        assert [item.id for item in status.tokens] == left


def test_a_last_use_is_not_forgotten_when_the_api_knows_none_any_more() -> None:
    used = told(scim_token(), seen=connection(credential("id2", NOW - DAY, last_used_at=NOW - DAY)))
    after = told(scim_token(used), seen=connection(NEW))
    assert after.tokens[0].last_used_at == after.last_used_at == NOW - DAY
