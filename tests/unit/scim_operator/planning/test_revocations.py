"""What the revoke annotation selects, and which of it waits until Entra uses the active credential: later, never lost."""

import dataclasses
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scim_api.contract.admin import CredentialStatus
from scim_operator.api.custom_object import ROTATE_ANNOTATION
from scim_operator.api.scimtoken import REVOKE_ANNOTATION
from scim_operator.controller.state import State
from scim_operator.planning.actions import Done, ObservedState, RegisterCredentials
from scim_operator.planning.planner import plan
from scim_operator.planning.revocations import (
    ALL_SUPERSEDED,
    REVOCATION_WAIT,
    DelayedRevocation,
    InvalidRevokeRequest,
    delay_message,
    delayed_revocations,
    tokens_to_revoke,
)
from support.observations import DAY, HOUR, MINUTE, NOW, entry, known, observed
from support.operator_world import ENDPOINT
from support.planner_life import Life

EXAMPLES = 150
WAIT = timedelta(minutes=15)
ALL_BEFORE = f"all-before/{(NOW - HOUR).isoformat()}"
KINDS = st.sampled_from(["BearerToken", "ClientSecret"])
REQUESTS = st.sampled_from(["old", ALL_SUPERSEDED, ALL_BEFORE])


@pytest.fixture(autouse=True, scope="module")
def quiet() -> Iterator[None]:
    """Thousands of reconciles need no log."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    yield
    structlog.reset_defaults()


def situation(since: datetime | None, kind: Any = "BearerToken", **more: Any) -> ObservedState:
    old, new = entry("old", NOW - 20 * DAY, since, kind=kind), entry("new", NOW - MINUTE, kind=kind)
    return observed(new, old, credentials=(known(old), known(new)), **more)


def revoked(state: ObservedState) -> bool:
    action = plan(state, ENDPOINT)
    if isinstance(action, RegisterCredentials) and action.revoked:
        assert action.revoked == ("old",)
        assert [item.id for item in action.desired.credentials] == ["new"]
        return True
    return False


ages = st.one_of(st.integers(-3600, 7200), st.sampled_from([0, 899, 900, 901])).map(
    lambda n: timedelta(seconds=n)
)


@settings(max_examples=2 * EXAMPLES)
@given(KINDS, REQUESTS, ages, st.sampled_from([None, True, False]))
def test_only_what_was_superseded_less_than_a_quarter_of_an_hour_ago_waits_while_entra_does_not_use_the_new_one(
    kind: str, request: str, age: timedelta, entra: bool | None
) -> None:
    state = situation(NOW - age, kind, revoke=request, entra_uses_active=entra)
    waits = entra is False and timedelta(0) <= age < WAIT
    assert revoked(state) is not waits
    if waits:
        action = plan(state, ENDPOINT)
        assert isinstance(action, Done)
        assert action.delayed_revocations == (DelayedRevocation("old", NOW - age + WAIT),)
        assert action.requeue_at == NOW - age + WAIT


@given(KINDS, REQUESTS, ages)
def test_without_a_hand_over_everything_is_as_without_this_rule(
    kind: str, request: str, age: timedelta
) -> None:
    plans = [
        plan(situation(NOW - age, kind, revoke=request, entra_uses_active=known), ENDPOINT)
        for known in (None, True)
    ]
    assert plans[0] == plans[1]
    assert revoked(situation(NOW - age, kind, revoke=request))


def test_a_credential_whose_time_of_being_superseded_is_lost_does_not_wait() -> None:
    assert revoked(situation(None, revoke="old", entra_uses_active=False))


@pytest.mark.parametrize("overlap", ["0s", "10m", "15m"])
def test_a_client_secret_that_would_retire_meanwhile_is_revoked_at_once_with_its_access_tokens(
    overlap: str,
) -> None:
    state = situation(NOW - MINUTE, "ClientSecret", revoke="old", entra_uses_active=False, overlap=overlap)
    assert revoked(state)


def test_a_client_secret_that_expires_meanwhile_is_revoked_at_once_with_its_access_tokens() -> None:
    old = dataclasses.replace(
        entry("old", NOW - 89 * DAY, NOW - MINUTE, kind="ClientSecret"), expires_at=NOW + 10 * MINUTE
    )
    new = entry("new", NOW - MINUTE, kind="ClientSecret")
    credentials = known(old), known(new)
    assert revoked(observed(new, old, credentials=credentials, revoke="old", entra_uses_active=False))


def test_what_waits_stays_in_the_ledger() -> None:
    """A lost database is rebuilt from it, and the time at which the wait ends with it."""
    state = situation(NOW - MINUTE, revoke="old", entra_uses_active=False)
    assert isinstance(plan(state, ENDPOINT), Done)
    assert state.secret is not None
    assert [item.id for item in state.secret.ledger.tokens] == ["new", "old"]


def test_the_active_token_that_is_to_be_revoked_is_replaced_without_any_wait() -> None:
    active = entry("new", NOW - DAY)
    state = observed(active, credentials=(known(active),), revoke="new", entra_uses_active=False)
    assert type(plan(state, ENDPOINT)).__name__ == "IssueToken"


@pytest.mark.parametrize(
    ("request_text", "remedy"),
    [("all-before/yesterday", "RFC 3339"), ("all-before/2099-01-01T00:00:00Z", "not come yet")],
)
def test_a_request_that_is_not_understood_says_what_to_write(request_text: str, remedy: str) -> None:
    with pytest.raises(InvalidRevokeRequest, match=remedy):
        tokens_to_revoke(request_text, {}, NOW, ())


def test_a_time_that_comes_soon_is_looked_at_again_when_it_has_come() -> None:
    """Whose clock is ahead of the database's asks too early: a leaked credential must not live on because of that."""
    soon = NOW + timedelta(seconds=1)
    active = entry("new", NOW - DAY)
    asked = f"all-before/{soon.isoformat()}"
    action = plan(observed(active, credentials=(known(active),), revoke=asked), ENDPOINT)
    assert isinstance(action, Done)
    assert action.requeue_at == soon
    assert action.invalid_revoke is not None
    then = observed(active, credentials=(known(active),), revoke=asked, now=soon)
    assert type(plan(then, ENDPOINT)).__name__ == "IssueToken"


def test_the_message_names_what_waits_for_what_and_until_when() -> None:
    names = [DelayedRevocation(f"id{n}", NOW + n * MINUTE) for n in range(5)]
    assert delay_message(names[:1], "new") == (
        "The revocation of id0 waits until Entra uses new, at the latest until 2026-01-10T00:00:00Z"
    )
    assert delay_message(names, "new") == (
        "The revocation of id0, id1, id2 and 2 more waits until Entra uses new, at the latest until 2026-01-10T00:04:00Z"
    )


happenings = st.one_of(
    st.tuples(st.just("minutes"), st.floats(0.1, 20)),
    st.tuples(st.just("rotate"), st.text("abc", min_size=1, max_size=3)),
    st.tuples(st.just("revoke"), st.sampled_from(["active", "all-superseded", "all-before", "first"])),
    st.tuples(st.just("entra"), st.sampled_from([None, True, False, False])),
    st.tuples(st.just("kill"), st.integers(0, 12)),
    st.tuples(st.just("lose answer"), st.integers(0, 6)),
    st.tuples(st.just("overlap"), st.sampled_from(["untilExpiry", "untilInUse", "10m", "0s"])),
    st.tuples(st.just("type"), st.sampled_from(["BearerToken", "OAuthClientCredentials"])),
)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(happenings, min_size=4, max_size=16))
def test_a_revocation_is_only_later_and_never_lost(history: list[tuple[str, Any]]) -> None:
    """After a quarter of an hour everything selected is revoked, access tokens included, whatever came between."""
    life, observe = Life(), State.observed
    spec: dict[str, Any] = {"lifetime": "90d", "overlap": "untilExpiry", "auth": {}}
    entra: bool | None = None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            State, "observed", lambda state: dataclasses.replace(observe(state), entra_uses_active=entra)
        )
        life.world.apply(**spec)
        life.settle()
        ordered: dict[str, CredentialStatus] = {}
        for kind, value in history:
            if life.world.live() > 12:
                break
            match kind:
                case "minutes":
                    life.world.now += value * MINUTE
                case "rotate":
                    life.world.annotate(ROTATE_ANNOTATION, value)
                case "revoke":
                    named = {"active": life.published_id(), "first": "id0"}
                    named["all-before"] = f"all-before/{life.world.now.isoformat()}"
                    life.world.annotate(REVOKE_ANNOTATION, named.get(value, value))
                    ordered.clear()  # what the former order had not come to is withdrawn
                case "entra":
                    entra = value
                case "kill" | "lose answer":
                    attribute = {"kill": "kill_in", "lose answer": "lose_in"}[kind]
                    setattr(life, attribute, value)
                    life.reconcile()
                    setattr(life, attribute, None)
                case "overlap" | "type":
                    spec |= {"overlap": value} if kind == "overlap" else {"auth": {"type": value}}
                    life.world.apply(**spec)
            ordered |= selected(life)
            life.settle()
            life.check_settled()
            ordered |= selected(life)
        life.world.now += WAIT
        life.settle()
        life.check_settled()
    ordered.pop(life.published_id(), None)
    assert not ordered.keys() & {item.id for item in life.world.accepted()}
    secrets = {name for name, item in ordered.items() if item.kind == "ClientSecret"}
    assert secrets <= life.world.cut_off.keys(), "their access tokens end with them"


def selected(life: Life) -> dict[str, CredentialStatus]:
    """The accepted credentials that the standing order names, by id."""
    assert life.world.object is not None
    request = life.world.object["metadata"]["annotations"].get(REVOKE_ANNOTATION, "")
    limit = request.removeprefix("all-before/")
    return {
        item.id: item
        for item in life.world.accepted()
        if item.id == request
        or (request == "all-superseded" and item.id != life.published_id())
        or (limit != request and item.issued_at < datetime.fromisoformat(limit))
    }


def test_the_wait_is_a_quarter_of_an_hour() -> None:
    assert REVOCATION_WAIT == WAIT


@pytest.mark.parametrize(("kind", "waits"), [("BearerToken", True), ("ClientSecret", False)])
def test_a_bearer_token_that_ends_soon_by_itself_waits_to_its_end_and_a_client_secret_does_not(
    kind: str, *, waits: bool
) -> None:
    """Revoked before Entra has the new one, either would leave a gap; but the access tokens of a client secret that has
    ended by itself can't be revoked any more.
    """
    old = entry("old", NOW - 20 * DAY, NOW - MINUTE, kind=kind)
    found = delayed_revocations([old], lambda _entry: NOW + 5 * MINUTE, NOW)
    assert found == ((DelayedRevocation("old", NOW + 5 * MINUTE),) if waits else ())


def test_a_bearer_token_that_has_ended_waits_for_nothing() -> None:
    old = entry("old", NOW - 20 * DAY, NOW - MINUTE)
    assert delayed_revocations([old], lambda _entry: NOW, NOW) == ()
