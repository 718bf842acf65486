"""Which secrets messages are signed with, whatever was registered and published before."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scim_api.contract.signing_secret import new_secret, secret_id
from scim_api.contract.webhooks import SigningSecretStatus, Webhook
from scim_operator.planning.webhooks import signing_secrets
from scim_operator.planning.webhooks.signing_secrets import MAX_SUPERSEDED, PublishedSecrets, WantedSecret

NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
KEY_ID, OTHER_KEY_ID = "a" * 16, "b" * 16
SECRETS = [new_secret() for _ in range(8)]
IDS = [secret_id(one) for one in SECRETS]
OVERLAP = timedelta(days=7)


def webhook(*secrets: SigningSecretStatus) -> Webhook:
    return Webhook(namespace="team", name="app", exists=True, revision="1.1", now=NOW, secrets=secrets)


def registered(
    number: int, until: datetime | None = None, key_id: str = KEY_ID, issued_at: datetime | None = NOW
) -> SigningSecretStatus:
    return SigningSecretStatus(id=IDS[number], key_id=key_id, issued_at=issued_at, until=until)


def test_what_a_secret_holds_is_read_and_what_is_none_is_left_out() -> None:
    data = {"signing-secret": SECRETS[0], "next-signing-secret": "hunter2", "other": "x"}
    assert signing_secrets.read(data) == PublishedSecrets(SECRETS[0], None)
    assert signing_secrets.read({"next-signing-secret": SECRETS[1]}) == PublishedSecrets(None, SECRETS[1])
    both = {"signing-secret": SECRETS[0], "next-signing-secret": SECRETS[0]}
    assert signing_secrets.read(both) == PublishedSecrets(SECRETS[0], None)


def test_nothing_shows_a_secret() -> None:
    assert "whsec" not in repr(PublishedSecrets(SECRETS[0], SECRETS[1]))


@pytest.mark.parametrize(
    ("issued_at", "period", "expected"),
    [
        (NOW - timedelta(days=1), timedelta(days=90), NOW + timedelta(days=89)),
        (NOW - timedelta(days=91), timedelta(days=90), NOW - timedelta(days=1)),
        (NOW, None, None),
        (None, timedelta(days=90), None),
    ],
)
def test_a_secret_is_replaced_its_period_after_it_was_made(
    issued_at: datetime | None, period: timedelta | None, expected: datetime | None
) -> None:
    api = webhook(registered(0, issued_at=issued_at))
    assert signing_secrets.next_rotation(PublishedSecrets(SECRETS[0]), api, period) == expected


def test_a_secret_that_the_api_does_not_have_has_no_age() -> None:
    period = timedelta(days=90)
    assert signing_secrets.next_rotation(PublishedSecrets(SECRETS[1]), webhook(registered(0)), period) is None
    assert signing_secrets.next_rotation(PublishedSecrets(), webhook(registered(0)), period) is None


def test_the_present_one_and_the_next_have_no_end_and_others_end_with_the_overlap() -> None:
    api = webhook(registered(0), registered(2))
    wanted = signing_secrets.wanted(PublishedSecrets(SECRETS[0], SECRETS[1]), api, KEY_ID, OVERLAP)
    assert [(one.id, one.until, one.needs_sealing) for one in wanted] == [
        (IDS[1], None, True),
        (IDS[0], None, False),
        (IDS[2], NOW + OVERLAP, False),
    ]


def test_an_end_that_is_known_comes_no_later_and_sooner_with_a_shorter_overlap() -> None:
    api = webhook(registered(0), registered(1, NOW + timedelta(days=3)))
    ends = [
        signing_secrets.wanted(PublishedSecrets(SECRETS[0]), api, KEY_ID, overlap)[1].until
        for overlap in (OVERLAP, timedelta(hours=1))
    ]
    assert ends == [NOW + timedelta(days=3), NOW + timedelta(hours=1)]


def test_what_is_sealed_to_another_key_is_sealed_anew() -> None:
    api = webhook(registered(0, key_id=OTHER_KEY_ID))
    [wanted] = signing_secrets.wanted(PublishedSecrets(SECRETS[0]), api, KEY_ID, OVERLAP)
    assert wanted.needs_sealing
    assert not signing_secrets.are_registered((wanted,), api)


statuses = st.builds(
    registered,
    st.integers(0, 7),
    st.none() | st.timedeltas(timedelta(seconds=1), timedelta(days=20)).map(lambda delta: NOW + delta),
    st.sampled_from([KEY_ID, OTHER_KEY_ID]),
    st.none() | st.just(NOW - timedelta(days=1)),
)


@given(
    st.lists(statuses, max_size=8, unique_by=lambda one: one.id),
    st.none() | st.sampled_from(SECRETS),
    st.none() | st.sampled_from(SECRETS),
    st.timedeltas(timedelta(seconds=1), timedelta(days=30)),
)
def test_registered_once_they_stay_as_they_are_and_nothing_of_the_secret_is_missing(
    known: list[SigningSecretStatus], current: str | None, pending: str | None, overlap: timedelta
) -> None:
    published = PublishedSecrets(current, None if pending == current else pending)
    wanted = signing_secrets.wanted(published, webhook(*known), KEY_ID, overlap)
    assert [one.id for one in wanted[: len(published.listed)]] == list(published.listed)
    assert len(wanted) <= len(published.listed) + MAX_SUPERSEDED
    assert all(one.until is not None for one in wanted[len(published.listed) :])
    after = webhook(*(_put(one, known) for one in wanted))
    again = signing_secrets.wanted(published, after, KEY_ID, overlap)
    assert signing_secrets.are_registered(again, after)
    assert set(again) == set(wanted) or any(one.needs_sealing for one in wanted)


def _put(one: WantedSecret, known: list[SigningSecretStatus]) -> SigningSecretStatus:
    before = {item.id: item.key_id for item in known}
    key_id = KEY_ID if one.needs_sealing else before[one.id]
    return SigningSecretStatus(id=one.id, key_id=key_id, issued_at=one.issued_at, until=one.until)
