"""One provisioning cycle as Entra runs it, told step by step: the stand-in for Entra is the client."""

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import Any, Final

from demo.console import Console, DemoFailed, check
from entra_standin import groups
from entra_standin.client import EntraClient
from entra_standin.dialects import ENTERPRISE_SCHEMA, Dialect
from entra_standin.directory import Person, Team, six_people
from entra_standin.errors import EntraError, Rejected
from entra_standin.mapping import DEPARTMENT

_TEAM: Final = Team("team-all", "All of Contoso")
_TITLE: Final = "Countess"
_DEPARTMENT: Final = "Notes"
_DIALECTS: Final = {Dialect.CLASSIC: "without the flag", Dialect.AAD_OPT_SCIM: "with aadOptscim062020"}


def tell(console: Console, endpoint: str, token: str) -> None:
    """The whole cycle, one line a step.

    Raises:
        DemoFailed: at an answer that Entra would not take.
    """
    try:
        with EntraClient(endpoint, token) as client:
            _Cycle(console, client, six_people()).run(endpoint, token)
    except EntraError as error:
        raise DemoFailed(str(error)) from None


class _Cycle:
    def __init__(self, console: Console, client: EntraClient, people: tuple[Person, ...]) -> None:
        self._console, self._client, self._people = console, client, people

    def run(self, endpoint: str, token: str) -> None:
        self._client.test_connection()
        self._console.step("Test Connection: 200, nobody found, as it must be")
        ids = [self._create(person) for person in self._people]
        self._console.step(f"users created: {len(ids)}")
        for user, dialect in zip(ids, Dialect, strict=False):
            with EntraClient(endpoint, token, dialect) as client:
                self._patch(client, user)
        group = self._group(ids)
        self._disable(ids[2], self._people[2])
        self._delete(ids[3], self._people[3])
        self._members_now(group, stays=ids[2], gone=ids[3])
        self._resend(ids[0], self._people[0])
        self._without_mail()
        left = sum(self._find(person) is not None for person in self._people)
        check(left == len(ids) - 1, f"{left} people are there in the end instead of {len(ids) - 1}")
        self._console.step(f"people in the directory now: {left}")

    def _find(self, person: Person) -> dict[str, Any] | None:
        return self._client.find(person.mail or "")

    def _create(self, person: Person) -> str:
        check(self._find(person) is None, f"{person.key} is there before it was created")
        return str(self._client.create(person)["id"])

    def _patch(self, client: EntraClient, user: str) -> None:
        client.patch(user, {"title": _TITLE, DEPARTMENT: _DEPARTMENT})
        now = client.get(user)
        got = now.get("title"), now.get(ENTERPRISE_SCHEMA, {}).get("department")
        told = _DIALECTS[client.dialect]
        check(got == (_TITLE, _DEPARTMENT), f"after a PATCH {told}, title and department are {got}")
        self._console.step(f"patched in Entra's dialect {told}: title and department are as sent")

    def _group(self, ids: list[str]) -> str:
        """As Entra does it: made bare, members added after all people, checked by reference."""
        group = str(groups.create_group(self._client, _TEAM)["id"])
        groups.add_members(self._client, group, ids)
        groups.remove_members(self._client, group, ids[:1])
        check(not groups.has_member(self._client, group, ids[0]), "a removed member is still in the group")
        check(groups.has_member(self._client, group, ids[1]), "an added member is not in the group")
        self._console.step(f"a group created, {len(ids)} members added, one removed: the others are in it")
        return group

    def _members_now(self, group: str, *, stays: str, gone: str) -> None:
        check(groups.has_member(self._client, group, stays), "a disabled user has lost its group")
        check(not groups.has_member(self._client, group, gone), "a deleted user is still in a group")
        self._console.step("in the group now: the disabled one still, the deleted one no more")

    def _disable(self, user: str, person: Person) -> None:
        self._client.disable(user)
        found = self._find(person)
        check(found is not None and found["active"] is False, "a disabled user is not found as disabled")
        self._console.step("disabled: still found, with active false")

    def _delete(self, user: str, person: Person) -> None:
        self._client.delete(user)
        with _refused(404, "reading a deleted user"):
            self._client.get(user)
        check(self._find(person) is None, "a deleted user is still found")
        self._console.step("deleted: 404 from now on")

    def _resend(self, user: str, person: Person) -> None:
        self._client.resend(person)
        found = self._find(person)
        check(found is not None and found["id"] == user, "a create sent twice left another person")
        self._console.step("a create sent twice: 409, and no duplicate")

    def _without_mail(self) -> None:
        person = dataclasses.replace(
            self._people[0], key="nobody", user_principal_name="nobody@contoso.example", mail=""
        )
        with _refused(422, "creating a person without an e-mail") as refusals:
            self._client.create(person)
        self._console.step(f"an empty e-mail is refused: 422, {refusals[0].detail}")


@contextlib.contextmanager
def _refused(status: int, what: str) -> Iterator[list[Rejected]]:
    """The block must be refused with this status; the list holds the refusal afterwards."""
    refusals: list[Rejected] = []
    try:
        yield refusals
    except Rejected as refusal:
        check(refusal.status == status, f"{what}: {refusal}, where {status} is right")
        refusals.append(refusal)
    else:
        raise DemoFailed(f"{what} was not refused with {status}")
