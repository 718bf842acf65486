"""The next step of a hand-over, as a pure function of what is so."""

import dataclasses
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scim_api.contract.admin import CredentialStatus
from scim_operator.api.custom_object import Key
from scim_operator.api.entra import EntraSpec
from scim_operator.api.status import EntraStatus, HandOverStatus
from scim_operator.planning.entra import hand_over
from scim_operator.planning.entra.hand_over import (
    HandOverState,
    ReadJob,
    RecordUse,
    Recover,
    Rest,
    SaveNew,
    ValidateNew,
    ValidateSaved,
    plan,
)
from scim_operator.planning.entra.ports import Execution, Job, Quarantine
from support.entra_world import APPLICATION_ID, ENTRA
from support.operator_world import ENDPOINT, START

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
JOB = Job("scim.1", "scim", "Active", "Active")


def credential(name: str, issued: timedelta = timedelta(), used: timedelta | None = None) -> CredentialStatus:
    return CredentialStatus(
        id=name,
        digest="0" * 64,
        issued_at=START + issued,
        expires_at=START + timedelta(days=90),
        last_used_at=None if used is None else START + used,
    )


def given_to_entra(name: str, at: timedelta, in_use: timedelta | None = None) -> EntraStatus:
    return EntraStatus(
        handed_over=HandOverStatus(
            credential_id=name,
            service_principal_id=APPLICATION_ID,
            endpoint=ENDPOINT,
            at=START + at,
            in_use_at=None if in_use is None else START + in_use,
        )
    )


def state(now: timedelta = timedelta(), spec: dict[str, Any] | None = None, **changes: Any) -> HandOverState:
    return dataclasses.replace(
        HandOverState(
            spec=EntraSpec.model_validate(ENTRA | (spec or {})),
            endpoint=ENDPOINT,
            now=START + now,
            status=EntraStatus(),
            published=credential("new"),
            others=(),
            is_api_known=True,
            is_look_overdue=False,
            check_due=False,
            check_period=5 * MINUTE,
        ),
        **changes,
    )


def test_the_order_is_read_try_save_wait_try_what_is_saved_record() -> None:
    assert plan(state()) == ReadJob()
    assert plan(state(job=JOB)) == ValidateNew()
    assert plan(state(job=JOB, is_tried=True)) == SaveNew()
    saved = given_to_entra("new", at=SECOND)
    assert plan(state(job=JOB, is_tried=True, status=saved)) == Rest(SECOND)
    assert plan(state(now=2 * SECOND, status=saved)) == ReadJob()
    assert plan(state(now=2 * SECOND, status=saved, job=JOB)) == ValidateSaved()
    assert plan(state(now=2 * SECOND, status=saved, job=JOB, is_saved_tried=True)) == Rest(2 * SECOND)
    used = credential("new", used=2 * SECOND)
    assert plan(state(now=4 * SECOND, status=saved, published=used, is_saved_tried=True)) == RecordUse()
    done = given_to_entra("new", at=SECOND, in_use=2 * SECOND)
    assert plan(state(now=4 * SECOND, status=done, published=used)) == Rest(5 * MINUTE)


@given(st.timedeltas(timedelta(), timedelta(days=1)), st.timedeltas(timedelta(), timedelta(days=1)))
def test_only_a_use_after_the_save_is_a_use_of_what_was_saved(used: timedelta, at: timedelta) -> None:
    at = timedelta(seconds=int(at.total_seconds()))
    one = state(
        now=max(used, at) + SECOND,
        status=given_to_entra("new", at=at),
        published=credential("new", used=used),
        job=JOB,
        is_saved_tried=True,
    )
    assert (plan(one) == RecordUse()) is (used > at)


@given(st.integers(0, 999_999))
def test_the_moment_of_a_save_is_never_before_it(microsecond: int) -> None:
    now = START.replace(microsecond=microsecond)
    assert timedelta() < hand_over.saved(state(), now).at - now <= SECOND


@pytest.mark.parametrize(
    "changes",
    [
        {"published": credential("newer")},
        {"endpoint": "https://elsewhere.example.com/scim/v2"},
        {"spec": {"servicePrincipalID": "11111111-2222-3333-4444-555555555555"}},
        {"others": (credential("newest", issued=2 * MINUTE),)},
        {"is_saved_refused": True},
    ],
)
def test_it_is_handed_over_anew_when_it_may_not_be_what_entra_has(changes: dict[str, Any]) -> None:
    done = given_to_entra("new", at=SECOND, in_use=2 * SECOND)
    assert plan(state(now=5 * MINUTE, job=JOB, status=done)) == Rest(5 * MINUTE)
    assert plan(state(now=5 * MINUTE, job=JOB, status=done, **changes)) == ValidateNew()


def test_after_the_clock_was_set_back_it_is_handed_over_once_more() -> None:
    """The moment of the hand-over has not come: for as long as that, no use would be later than it."""
    ahead = given_to_entra("new", at=timedelta(hours=1))
    assert plan(state(job=JOB, status=ahead)) == ValidateNew()
    just_saved = given_to_entra("new", at=SECOND)
    assert plan(state(job=JOB, status=just_saved)) == Rest(SECOND)


def test_one_that_comes_from_a_backup_is_handed_over_once() -> None:
    """The newer one stays accepted for long, and the hand-over after it is later than its issue."""
    again = given_to_entra("new", at=3 * MINUTE, in_use=3 * MINUTE)
    others = (credential("newest", issued=2 * MINUTE),)
    assert plan(state(now=5 * MINUTE, job=JOB, status=again, others=others)) == Rest(5 * MINUTE)


def cycle(began: timedelta) -> Job:
    return dataclasses.replace(JOB, last_execution=Execution("Succeeded", START + began, None, 1))


@pytest.mark.parametrize(
    ("began", "old_used", "new_used", "went_back"),
    [
        (10 * MINUTE, 10 * MINUTE, 5 * MINUTE, True),
        (10 * MINUTE, 9 * MINUTE, 5 * MINUTE, False),  # before the cycle
        (10 * MINUTE, 10 * MINUTE, 11 * MINUTE, False),  # the new one after it
        (2 * MINUTE, 10 * MINUTE, 5 * MINUTE, False),  # a cycle that the hand-over met on its way
    ],
)
def test_entra_went_back_when_a_cycle_after_the_hand_over_came_with_another(
    began: timedelta, old_used: timedelta, new_used: timedelta, went_back: bool
) -> None:
    one = state(
        now=12 * MINUTE,
        status=given_to_entra("new", at=2 * MINUTE, in_use=3 * MINUTE),
        published=credential("new", issued=MINUTE, used=new_used),
        others=(credential("old", used=old_used),),
        job=cycle(began),
    )
    assert (plan(one) == ValidateNew()) is went_back


def test_an_access_token_of_the_former_client_secret_is_no_sign_of_that() -> None:
    """Entra keeps one for hours, and each of its uses is a use of the secret."""
    old = credential("old", used=10 * MINUTE).model_copy(update={"kind": "ClientSecret"})
    one = state(
        now=12 * MINUTE,
        status=given_to_entra("new", at=2 * MINUTE, in_use=3 * MINUTE),
        published=credential("new", issued=MINUTE, used=5 * MINUTE),
        others=(old,),
        job=cycle(10 * MINUTE),
    )
    assert plan(one) == Rest(5 * MINUTE)
    late = timedelta(hours=6, minutes=2)
    old = old.model_copy(update={"last_used_at": START + late})
    one = dataclasses.replace(one, now=START + late, others=(old,), job=cycle(late))
    assert plan(one) == ValidateNew()


def test_nothing_is_handed_to_an_application_that_another_scimtoken_hands_its_credentials_to() -> None:
    quarantined = dataclasses.replace(JOB, quarantine=Quarantine("Unknown", START, None))
    one = state(owner=Key("team", "other"), job=quarantined, check_due=True, is_tried=True, has_checked=True)
    assert plan(one) == Rest(5 * MINUTE)


def test_what_entra_does_not_come_with_is_saved_again_at_a_look_and_not_before() -> None:
    saved = given_to_entra("new", at=SECOND)
    late = state(now=10 * MINUTE, status=saved, job=JOB, is_saved_tried=True)
    assert plan(late) == Rest(5 * MINUTE)
    assert plan(dataclasses.replace(late, check_due=True)) == ValidateNew()


def test_nothing_is_started_before_entras_own_test_passes() -> None:
    quarantined = dataclasses.replace(JOB, quarantine=Quarantine("Unknown", START, None))
    done = given_to_entra("new", at=SECOND, in_use=2 * SECOND)
    one = state(now=MINUTE, status=done, job=quarantined, check_due=True, is_saved_tried=True)
    assert plan(one) == ValidateSaved()
    assert isinstance(plan(dataclasses.replace(one, has_checked=True)), Recover)
    assert plan(dataclasses.replace(one, has_checked=True, has_recovered=True)) == Rest(5 * MINUTE)


def test_the_new_credential_comes_before_the_job_is_cured() -> None:
    quarantined = dataclasses.replace(JOB, quarantine=Quarantine("Unknown", START, None))
    assert plan(state(job=quarantined, check_due=True)) == ValidateNew()


@pytest.mark.parametrize("mode", ["Off", "ValidateOnly"])
def test_nothing_is_saved_where_a_person_does_it(mode: str) -> None:
    one = state(spec={"handOver": mode}, job=JOB, is_tried=True, check_due=True)
    assert plan(one) == Rest(5 * MINUTE)


flags = st.fixed_dictionaries(
    {
        name: st.booleans()
        for name in ("check_due", "is_tried", "is_saved_tried", "has_checked", "has_recovered")
    }
)
moments = st.integers(0, 1000).map(lambda number: number * SECOND)


@given(
    flags,
    moments,
    moments,
    st.none() | moments,
    st.sampled_from(["Automatic", "ValidateOnly", "Off"]),
    st.booleans(),
)
def test_nothing_is_saved_that_was_not_tried_and_nothing_is_written_but_by_the_spec(
    flags: dict[str, bool],
    now: timedelta,
    at: timedelta,
    used: timedelta | None,
    mode: str,
    is_quarantined: bool,
) -> None:
    job = dataclasses.replace(JOB, quarantine=Quarantine("Unknown", START, None) if is_quarantined else None)
    one = state(
        now=now,
        spec={"handOver": mode},
        status=given_to_entra("new", at=at),
        published=credential("new", used=used),
        job=job,
        **flags,
    )
    step = plan(one)
    if isinstance(step, SaveNew):
        assert mode == "Automatic"
        assert one.is_tried
    if isinstance(step, Recover):
        assert is_quarantined
        assert one.has_checked
    if isinstance(step, RecordUse):
        assert used is not None
        assert used > at
    if isinstance(step, Rest):
        assert timedelta() < step.requeue_after <= 5 * MINUTE


def test_what_was_not_tried_as_saved_for_long_is_tried_before_it_is_saved_again() -> None:
    saved = given_to_entra("new", SECOND)
    late = state(now=10 * MINUTE, status=saved, job=JOB, check_due=True)
    assert plan(late) == ValidateSaved()
    tried = dataclasses.replace(late, is_saved_tried=True, has_checked=True)
    assert plan(tried) == Rest(15 * SECOND)
    next_pass = dataclasses.replace(tried, has_checked=False)
    assert plan(next_pass) == ValidateNew()
