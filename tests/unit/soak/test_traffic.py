"""A credential is pasted a while after it was published, and what must not be answered is kept."""

import pytest

from soak.traffic import Credentials, Tally
from support.clock import Clock


def test_a_new_token_is_pasted_when_the_lag_is_over_and_not_before() -> None:
    clock = Clock(0.0)
    credentials = Credentials(clock)
    credentials.saw("entra", "one")
    assert credentials.pasted("entra", 30) == "one"
    clock.now = 60
    credentials.saw("entra", "two")
    clock.now = 89
    assert credentials.pasted("entra", 30) == "one"
    assert credentials.pasted("entra", 0) == "two"
    clock.now = 90
    assert credentials.pasted("entra", 30) == "two"
    assert credentials.rotations == 1


def test_what_is_seen_again_is_no_rotation() -> None:
    credentials = Credentials(Clock(0.0))
    for _ in range(3):
        credentials.saw("entra", "one")
    assert credentials.rotations == 0


@pytest.mark.parametrize(("status", "rejected"), [(401, 1), (403, 1), (429, 1), (500, 0), (503, 0), (0, 0)])
def test_what_must_not_be_answered_is_told(status: int, rejected: int) -> None:
    tally = Tally()
    tally.count(status, "GET /scim/v2/Users")
    assert len(tally.wrong) == 1
    assert f"GET /scim/v2/Users answered {status or 'nothing'}" in tally.wrong[0]
    assert tally.rejected == rejected


@pytest.mark.parametrize("status", [200, 201, 204, 404, 409])
def test_what_belongs_to_a_conversation_is_counted_alone(status: int) -> None:
    tally = Tally()
    tally.count(status, "GET /scim/v2/Users")
    assert tally.wrong == []
    assert tally.answers == {status: 1}


def test_the_first_of_many_faults_are_kept() -> None:
    tally = Tally()
    for number in range(100):
        tally.complain(f"fault {number}")
    assert [line.split(maxsplit=1)[1] for line in tally.wrong] == [f"fault {number}" for number in range(20)]
