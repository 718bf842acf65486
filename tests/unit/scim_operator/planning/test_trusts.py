"""Which trust takes what another took, and what becomes of the one that is replaced."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scim_api.contract.admin import WorkloadIdentityTrust
from scim_operator.api.scimtoken import ScimToken
from scim_operator.planning.token_ledger import LedgerEntry
from scim_operator.planning.trusts import (
    covers,
    credential_digest,
    narrowed,
    superseded_period,
    wanted_entry,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
TENANT = "3f2504e0-4f89-11d3-9a0c-0305e82c3301"
OTHER_TENANT = "3f2504e0-4f89-11d3-9a0c-0305e82c3302"
ONE = WorkloadIdentityTrust(
    tenant_id=TENANT, subjects=("s1",), audiences=("a1",), issuers=("i1",), keys_url="https://keys.test/1"
)


def changed(**fields: Any) -> WorkloadIdentityTrust:
    return ONE.model_copy(update=fields)


def entry(number: int, trust: WorkloadIdentityTrust | None = ONE, **more: Any) -> LedgerEntry:
    kind: Any = "BearerToken" if trust is None else "WorkloadIdentity"
    at = NOW + number * HOUR
    return LedgerEntry(f"id{number}", f"{number}a" * 32, at, at + 999 * HOUR, kind=kind, trust=trust, **more)


def scimtoken(trust: WorkloadIdentityTrust | None, **spec: Any) -> ScimToken:
    auth: dict[str, Any] = {}
    if trust is not None:
        identity = {
            "tenantID": trust.tenant_id,
            "subjects": trust.subjects,
            "audiences": trust.audiences,
            "issuers": trust.issuers,
            "keysURL": trust.keys_url,
        }
        auth = {"type": "WorkloadIdentity", "workloadIdentity": identity}
    return ScimToken.from_object({"metadata": {"name": "entra"}, "spec": {"auth": auth, **spec}})


@pytest.mark.parametrize(
    ("wanted", "covered"),
    [
        (ONE, True),
        (changed(subjects=("s0", "s1")), True),
        (changed(audiences=("a1", "a2")), True),
        (changed(issuers=("i2", "i1")), True),
        (changed(subjects=("s2",)), False),
        (changed(audiences=("a2",)), False),
        (changed(issuers=("i2",)), False),
        (changed(subjects=("s0", "s1"), audiences=("a2",)), False),
        (changed(tenant_id=OTHER_TENANT), False),
        (changed(keys_url="https://keys.test/2"), False),
    ],
)
def test_a_trust_covers_another_when_it_takes_all_that_that_took(
    wanted: WorkloadIdentityTrust, covered: bool
) -> None:
    assert covers(wanted, ONE) is covered
    assert narrowed(wanted, {"id1": entry(1), "id2": entry(2, None)}) == (
        frozenset() if covered else frozenset({"id1"})
    )


values = st.lists(st.sampled_from("abc"), min_size=1, max_size=3, unique=True).map(tuple)
trusts = st.builds(
    lambda tenant, subjects, audiences, issuers, keys: WorkloadIdentityTrust(
        tenant_id=tenant, subjects=subjects, audiences=audiences, issuers=issuers, keys_url=keys
    ),
    st.sampled_from([TENANT, OTHER_TENANT]),
    values,
    values,
    values,
    st.sampled_from(["https://keys.test/1", "https://keys.test/2"]),
)


def takes(trust: WorkloadIdentityTrust, claims: tuple[str, ...]) -> bool:
    tenant, keys, subject, audience, issuer = claims
    return (
        (tenant, keys) == (trust.tenant_id, trust.keys_url)
        and subject in trust.subjects
        and audience in trust.audiences
        and issuer in trust.issuers
    )


@given(
    trusts,
    trusts,
    st.tuples(
        st.sampled_from([TENANT, OTHER_TENANT]),
        st.sampled_from(["https://keys.test/1", "https://keys.test/2"]),
        st.sampled_from("abc"),
        st.sampled_from("abc"),
        st.sampled_from("abc"),
    ),
)
def test_what_a_covered_trust_takes_the_other_takes(
    one: WorkloadIdentityTrust, other: WorkloadIdentityTrust, claims: tuple[str, ...]
) -> None:
    if covers(one, other) and takes(other, claims):
        assert takes(one, claims)


@given(trusts, trusts, trusts)
def test_covering_is_reflexive_and_transitive(
    one: WorkloadIdentityTrust, two: WorkloadIdentityTrust, three: WorkloadIdentityTrust
) -> None:
    assert covers(one, one)
    if covers(one, two) and covers(two, three):
        assert covers(one, three)


def test_no_trust_is_narrowed_while_another_type_is_wanted() -> None:
    assert narrowed(None, {"id1": entry(1)}) == frozenset()


def test_the_same_trust_of_another_id_or_client_has_another_digest() -> None:
    digests = {
        credential_digest(ONE, "client", "id1"),
        credential_digest(ONE, "client", "id2"),
        credential_digest(ONE, "other", "id1"),
        credential_digest(changed(subjects=("s2",)), "client", "id1"),
    }
    assert len(digests) == 4
    assert credential_digest(ONE, "client", "id1") in digests


def test_of_several_for_the_wanted_trust_the_newest_is_taken() -> None:
    old, new = entry(1), entry(2)
    other = entry(4, changed(subjects=("s2",)))
    assert wanted_entry(ONE, [old, new, other]) == new
    assert wanted_entry(ONE, [other, entry(5, None)]) is None
    assert wanted_entry(None, [old, entry(5, None)]) is None


@pytest.mark.parametrize(
    ("wanted", "spec", "period"),
    [
        (ONE, {"overlap": "1h"}, 6 * HOUR),
        (changed(subjects=("s1", "s2")), {}, 6 * HOUR),
        (None, {"overlap": "1h"}, HOUR),
        (None, {"overlap": "0s"}, timedelta(0)),
        (None, {"lifetime": "30d"}, timedelta(days=30)),
        (None, {"lifetime": "30d", "overlap": "untilInUse"}, timedelta(days=30)),
        (changed(subjects=("s2",)), {"lifetime": "30d"}, timedelta(days=30)),
    ],
)
def test_a_superseded_trust_stays_as_long_as_what_came_of_it_may(
    wanted: WorkloadIdentityTrust | None, spec: dict[str, Any], period: timedelta
) -> None:
    assert superseded_period(scimtoken(wanted, **spec), ONE, followed=False) == period


def test_what_has_an_end_of_its_own_stays_as_overlap_says() -> None:
    assert superseded_period(scimtoken(ONE), None, followed=True) is None
    assert superseded_period(scimtoken(None, overlap="2h"), None, followed=True) == 2 * HOUR
    assert superseded_period(scimtoken(None, overlap="untilInUse"), None, followed=False) is None
    assert superseded_period(scimtoken(ONE, overlap="untilInUse"), None, followed=True) == timedelta(0)


def test_until_in_use_ends_a_trust_of_a_former_type_and_leaves_one_that_is_covered_its_six_hours() -> None:
    assert superseded_period(scimtoken(None, overlap="untilInUse"), ONE, followed=True) == timedelta(0)
    assert superseded_period(scimtoken(ONE, overlap="untilInUse"), ONE, followed=True) == 6 * HOUR
