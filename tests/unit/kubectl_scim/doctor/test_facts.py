"""What can't be looked at is told with the right that is missing, and is no error."""

from collections.abc import Callable

import pytest

from kubectl_scim.doctor.facts import ASK_FOR_RIGHT, Unread, read, unread
from kubectl_scim.kubectl import Forbidden, KubectlError, NotFound


def _raises(error: Exception) -> Callable[[], object]:
    def call() -> object:
        raise error

    return call


@pytest.mark.parametrize(
    ("error", "why", "remedy"),
    [
        (NotFound("none"), "missing", None),
        (Forbidden("leases is forbidden"), "denied", ASK_FOR_RIGHT),
        (KubectlError("no answer"), "failed", None),
    ],
)
def test_why_something_could_not_be_looked_at_is_kept(error: Exception, why: str, remedy: str | None) -> None:
    found = read(_raises(error))
    assert isinstance(found, Unread)
    assert (found.why, found.message) == (why, str(error))
    check = unread("x", found)
    assert (check.outcome, check.message, check.remedy) == ("not checkable", str(error), remedy)


def test_what_is_there_is_handed_on() -> None:
    assert read(lambda: 7) == 7
