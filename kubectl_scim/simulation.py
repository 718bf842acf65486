"""Entra's part, played: Test Connection, and the life of one invented person and group, each answer judged.

Requests are as Entra writes them, in both of its ways of patching. The person and the group are always the same two, so that
what a run left that was killed is found by the next, by the index and never by a search.
"""

import dataclasses
import functools
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Literal, NoReturn, Protocol
from urllib.parse import quote

from kubectl_scim.scim_service import SCIM, VERSION, Answer
from kubectl_scim.scimtoken import ScimToken
from kubectl_scim.search import quoted
from kubectl_scim.text import seen
from scim_console.model import Denied, Unreachable

AGENT: Final = f"scim-simulate/{VERSION}"
"""Not the plugin's: this is a use of a credential, and no look."""
EXTERNAL_ID: Final = "scim-simulate"
USER_NAME: Final = "scim-simulate@scim-simulate.invalid"
"""Of a domain that nobody can have (RFC 2606)."""
GROUP_NAME: Final = "scim-simulate (invented)"
CORE_USER: Final = "urn:ietf:params:scim:schemas:core:2.0:User"
CORE_GROUP: Final = "urn:ietf:params:scim:schemas:core:2.0:Group"
ENTERPRISE: Final = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
DEPARTMENT: Final = f"{ENTERPRISE}:department"
_ENTRA_GROUP: Final = "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"
_LIST: Final = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
_PATCH: Final = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
_FLAG: Final = "aadOptscim062020"
_PATHS: Final = {
    "workEmail": 'emails[type eq "work"].value',
    "userName": "userName",
    "externalId": "externalId",
}
"""What a person is looked for by, by ``spec.matching``."""
Outcome = Literal["passed", "failed", "skipped"]


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """What was tried."""

    name: str
    outcome: Outcome
    came_back: str


class Send(Protocol):
    """``Connection.send``."""

    def __call__(
        self, method: str, path: str, query: Mapping[str, str] | None = None, body: Any = None
    ) -> Answer:
        """One request."""


class _Wrong(Exception):
    """An answer is not what Entra takes."""


class _Skipped(Exception):
    """What it needs is not there."""


def classic(*changes: tuple[str, str, Any]) -> Mapping[str, Any]:
    """A PATCH as Entra writes it without a flag: capitals, an operation for each attribute, booleans as texts."""
    return {
        "schemas": [_PATCH],
        "Operations": [{"op": op, "path": path, "value": value} for op, path, value in changes],
    }


def optimised(changes: Mapping[str, Any]) -> Mapping[str, Any]:
    """The same with its flag: lower case, and attributes together in one object."""
    return {"schemas": [_PATCH], "Operations": [{"op": "replace", "value": dict(changes)}]}


def new_user() -> Mapping[str, Any]:
    """The person as Entra creates one, with its noise."""
    return {
        "schemas": [CORE_USER, ENTERPRISE],
        "externalId": EXTERNAL_ID,
        "userName": USER_NAME,
        "active": True,
        "displayName": "Scim Simulate",
        "name": {"givenName": "Scim", "familyName": "Simulate", "formatted": None},
        "title": "Invented",
        "emails": [{"type": "work", "value": USER_NAME, "primary": True}],
        "roles": [],
        "meta": {"resourceType": "User"},
        ENTERPRISE: {"department": "Nowhere"},
    }


def new_group() -> Mapping[str, Any]:
    """The group, without members as Entra creates it."""
    return {
        "schemas": [CORE_GROUP, _ENTRA_GROUP],
        "externalId": EXTERNAL_ID,
        "displayName": GROUP_NAME,
        "meta": {"resourceType": "Group"},
    }


class Simulation:
    """One run.

    Args:
        send: to the SCIM API, with the credential.
        matching: ``spec.matching`` of the ScimToken.
        has_groups: whether the tenant serves groups.
    """

    def __init__(self, send: Send, matching: str, *, has_groups: bool) -> None:
        self._send, self._has_groups = send, has_groups
        self._matching = _PATHS.get(matching, _PATHS["workEmail"])
        self._user: str | None = None
        self._group: str | None = None
        self._has_begun = False

    def steps(self) -> Iterator[Step]:
        """Each step when it is done. Nothing goes on without Test Connection."""
        first = self._step("Test Connection", self._test_connection)
        yield first
        if first.outcome == "failed":
            return
        self._has_begun = True
        yield from self.clean("removed what an earlier run left")
        for name, action in (
            ("user created", self._create),
            (f"found by {self._matching}", self._find),
            ("changed, as Entra patches", self._change),
            (f"changed, as with {_FLAG}", self._change_optimised),
            ("disabled, and still found", self._disable),
            ("group created", self._create_group),
            ("member added", self._add_member),
            ("member removed", self._remove_member),
            ("group deleted", self._delete_group),
            ("user deleted", self._delete),
        ):
            yield self._step(name, action)

    def clean(self, name: str = "cleaned up") -> Iterator[Step]:
        """Delete what is there of a run, this or an earlier one; nothing where nothing is, or nothing was begun."""
        if not self._has_begun:
            return
        kinds = [("/Users", f"userName eq {quoted(USER_NAME)}")]
        if self._has_groups:
            kinds.insert(0, ("/Groups", f"displayName eq {quoted(GROUP_NAME)}"))
        for path, filter in kinds:
            step = self._step(name, functools.partial(self._remove_found, path, filter))
            if step.outcome != "skipped":
                yield step

    # -- steps, each of which says what came back
    def _test_connection(self) -> str:
        self._listed("/Users", f"{self._matching} eq {quoted(str(uuid.uuid4()))}", 0)
        query = {"excludedAttributes": "members", "filter": f"displayName eq {quoted(str(uuid.uuid4()))}"}
        self._listed_by("/Groups", query, 0)
        return "200, nobody found, as it must be"

    def _create(self) -> str:
        created = self._resource(self._ask("POST", "/Users", None, new_user()), 201)
        self._user = str(created["id"])
        self._compare(created, {"userName": USER_NAME, "externalId": EXTERNAL_ID, "active": True})
        return f"201, id {self._user}"

    def _find(self) -> str:
        value = EXTERNAL_ID if self._matching == "externalId" else USER_NAME
        user = self._known(self._user)
        [found] = self._listed("/Users", f"{self._matching} eq {quoted(value)}", 1)
        if found.get("id") != user:
            raise _Wrong(f"another user was found: id {found.get('id')}")
        return "200, one user"

    def _change(self) -> str:
        body = classic(
            ("Replace", "displayName", "Scim Simulate II"),
            ("Replace", "name.givenName", "Sim"),
            ("Add", DEPARTMENT, "Elsewhere"),
        )
        status = self._patch_user(body)
        self._compare(
            self._read_user(),
            {
                "displayName": "Scim Simulate II",
                "name.givenName": "Sim",
                DEPARTMENT: "Elsewhere",
                "title": "Invented",
            },
        )
        return f"{status}, and all is as it was sent"

    def _change_optimised(self) -> str:
        changes = {"title": "Still invented", "name.familyName": "Simulated", DEPARTMENT: "Anywhere"}
        status = self._patch_user(optimised(changes), f"?{_FLAG}")
        self._compare(self._read_user(), changes)
        return f"{status}, and all is as it was sent"

    def _disable(self) -> str:
        status = self._patch_user(classic(("Replace", "active", "False")))
        [found] = self._listed("/Users", f"userName eq {quoted(USER_NAME)}", 1)
        self._compare(found, {"active": False})
        return f"{status}, active is false"

    def _create_group(self) -> str:
        if not self._has_groups:
            raise _Skipped("spec.groups is Disabled")
        self._group = str(self._resource(self._ask("POST", "/Groups", None, new_group()), 201)["id"])
        return f"201, id {self._group}"

    def _add_member(self) -> str:
        return self._members("Add", 1)

    def _remove_member(self) -> str:
        return self._members("Remove", 0)

    def _members(self, op: str, expected: int) -> str:
        group, user = self._known(self._group), self._known(self._user)
        body = classic((op, "members", [{"$ref": None, "value": user}]))
        status = self._expect(
            self._ask("PATCH", f"/Groups/{quote(group, safe='')}", None, body), 200, 204
        ).status
        check = f"id eq {quoted(group)} and members[value eq {quoted(user)}]"
        self._listed_by("/Groups", {"excludedAttributes": "members", "filter": check}, expected)
        return f"{status}, and the group has {'it' if expected else 'it no more'}"

    def _delete_group(self) -> str:
        gone = self._deleted("/Groups", self._known(self._group))
        self._group = None
        return gone

    def _delete(self) -> str:
        gone = self._deleted("/Users", self._known(self._user))
        self._user = None
        self._listed("/Users", f"userName eq {quoted(USER_NAME)}", 0)
        return gone

    def _remove_found(self, path: str, filter: str) -> str:
        query = {"filter": filter, **({"excludedAttributes": "members"} if path == "/Groups" else {})}
        answer = self._expect(self._ask("GET", path, query), 200)
        found = [one for one in answer.body.get("Resources") or () if one.get("externalId") == EXTERNAL_ID]
        if not found:
            raise _Skipped("nothing is there")
        for one in found:
            self._expect(self._ask("DELETE", f"{path}/{quote(str(one['id']), safe='')}"), 204, 404)
        return f"{path.strip('/')[:-1].lower()} {found[0]['id']} of {(found[0].get('meta') or {}).get('created')}"

    # -- requests and rules
    def _step(self, name: str, action: Callable[[], str]) -> Step:
        try:
            return Step(name, "passed", action())
        except _Skipped as why:
            return Step(name, "skipped", str(why))
        except (_Wrong, Denied, Unreachable) as error:
            return Step(name, "failed", str(error))

    def _ask(
        self, method: str, path: str, query: Mapping[str, str] | None = None, body: Any = None
    ) -> Answer:
        return self._send(method, SCIM + path, query, body)

    def _expect(self, answer: Answer, *statuses: int) -> Answer:
        if answer.status not in statuses:
            kind = f" {answer.scim_type}" if answer.scim_type else ""
            raise _Wrong(
                f"{answer.status}{kind} in place of {' or '.join(map(str, statuses))}: {answer.detail}"
            )
        return answer

    def _resource(self, answer: Answer, status: int) -> Mapping[str, Any]:
        body = self._expect(answer, status).body
        if not isinstance(body, dict) or not isinstance(body.get("id"), str):
            raise _Wrong(f"{status}, but what came is no resource with an id")
        return body

    def _listed(self, path: str, filter: str, expected: int) -> Sequence[Mapping[str, Any]]:
        return self._listed_by(path, {"filter": filter}, expected)

    def _listed_by(self, path: str, query: Mapping[str, str], expected: int) -> Sequence[Mapping[str, Any]]:
        body = self._expect(self._ask("GET", path, query), 200).body
        found = body.get("Resources") if isinstance(body, dict) else None
        if (
            not isinstance(body, dict)
            or _LIST not in (body.get("schemas") or ())
            or not isinstance(found, list)
        ):
            raise _Wrong("200, but what came is no ListResponse")
        if body.get("totalResults") != expected or len(found) != expected:
            raise _Wrong(f"200, but {body.get('totalResults')} found in place of {expected}")
        return found

    def _read_user(self) -> Mapping[str, Any]:
        return self._resource(self._ask("GET", f"/Users/{quote(self._known(self._user), safe='')}"), 200)

    def _patch_user(self, body: Mapping[str, Any], flag: str = "") -> int:
        path = f"/Users/{quote(self._known(self._user), safe='')}{flag}"
        return self._expect(self._ask("PATCH", path, None, body), 200, 204).status

    def _deleted(self, path: str, resource: str) -> str:
        place = f"{path}/{quote(resource, safe='')}"
        self._expect(self._ask("DELETE", place), 204)
        self._expect(self._ask("GET", place), 404)
        return "204, and it is gone"

    def _compare(self, resource: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
        for path, value in wanted.items():
            found = _value(resource, path)
            if type(found) is not type(value) or found != value:
                _wrong_value(path, found, value)

    def _known(self, resource: str | None) -> str:
        if resource is None:
            raise _Skipped("there is none")
        return resource


def warning(token: ScimToken, now: datetime) -> str:
    """What a run does that somebody else may notice, in one text.

    Args:
        token: whose credential is used.
        now: the time.
    """
    text = (
        f"It creates a user ({USER_NAME}) and a group in tenant {token.tenant} and deletes them again: applications that "
        f"follow the tenant see them come and go. It is a use of the credential of {token.name}, as any request with it is."
    )
    reasons = [
        name
        for name, holds in (
            ("overlap: untilInUse", token.spec.get("overlap") == "untilInUse"),
            ("spec.entra", token.spec.get("entra") is not None),
        )
        if holds
    ]
    if reasons:
        text += (
            f" With {' and '.join(reasons)} the operator takes it for Entra's, and may end what Entra still has"
            f"{_at_stake(token, now)}. To leave that alone, make another ScimToken with tenant: {token.tenant}, and simulate "
            "with that one."
        )
    return text


def _at_stake(token: ScimToken, now: datetime) -> str:
    """Credentials that were replaced and are still accepted."""
    old = [one for one in token.credentials if one.state == "Superseded"]
    if not old:
        return ", once there is a rotation that Entra has not followed"
    return ": " + ", ".join(f"{one.id}, last recorded use {seen(one.last_used_at, now)}" for one in old)


def _value(resource: Mapping[str, Any], path: str) -> Any:
    extension, _, name = path.rpartition(":")
    found: Any = resource.get(extension) if extension else resource
    for part in name.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def _wrong_value(path: str, found: Any, wanted: Any) -> NoReturn:
    raise _Wrong(f"{path} is {found!r} in place of {wanted!r}")
