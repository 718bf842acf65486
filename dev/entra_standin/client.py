"""Entra's SCIM client: sends what Entra sends, and looks at every answer as strictly."""

import collections
import itertools
import json
import threading
import uuid
from collections.abc import Mapping
from typing import Any, Final, Self
from urllib.parse import parse_qsl, quote

import httpx

from entra_standin.checks import MEDIA_TYPE, Answer, Resource
from entra_standin.dialects import Dialect, Value, patch_body
from entra_standin.directory import Person
from entra_standin.errors import Rejected, Unreachable
from entra_standin.mapping import Matching, create_body, value_at
from entra_standin.sign_in import SecretToken, SignIn

_TIMEOUT_SECONDS: Final = 10.0
_BODY_TYPES: Final = (f"{MEDIA_TYPE}; charset=utf-8", "application/json; charset=utf-8")
"""Entra sends bodies as either; a connection alternates."""
_RAW_IN_QUERY: Final = "@()"
"""Entra leaves these as they are in the URL; the rest that is special there is escaped."""


class EntraClient:
    """One provisioning job's connection. Several threads may use it at once.

    Args:
        url: the Tenant URL; a query that it carries goes along with every request.
        sign_in: what goes into ``Authorization``; a text is the Secret Token. It is in no message and no ``repr``.
        dialect: how a PATCH is written; the flag is added to the URL when the dialect has one.
        matching: what a person is looked for by.
        transport: stands in for the network in tests.

    Attributes:
        sent: requests that got an answer.
        rejected: how many answers of 400 and above there were, by status.

    Raises:
        ValueError: when the token can't be put into a header.
    """

    def __init__(
        self,
        url: str,
        sign_in: str | SignIn,
        dialect: Dialect = Dialect.CLASSIC,
        matching: Matching = Matching.WORK_EMAIL,
        *,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._sign_in = SecretToken(sign_in) if isinstance(sign_in, str) else sign_in
        base = httpx.URL(url)
        self._query = dict(parse_qsl(base.query.decode("ascii"), keep_blank_values=True))
        if dialect is Dialect.AAD_OPT_SCIM:
            self._query.setdefault(dialect.value, "")
        self._base = str(base.copy_with(query=None)).rstrip("/")
        self.dialect, self.matching = dialect, matching
        self.sent = 0
        self.rejected: collections.Counter[int] = collections.Counter()
        self._body_types = itertools.cycle(_BODY_TYPES)
        self._counting = threading.Lock()
        self._http = httpx.Client(
            headers={"accept": MEDIA_TYPE},
            timeout=_TIMEOUT_SECONDS,
            trust_env=False,
            transport=transport,
        )

    def __repr__(self) -> str:
        return (
            f"EntraClient({self._base!r}, dialect={self.dialect.value!r}, matching={self.matching.value!r})"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def test_connection(self) -> None:
        """What the *Test Connection* button does: a sign-in from the beginning, somebody who is nowhere, and whether
        there are groups.

        Raises:
            Rejected: when the service or its token endpoint refuses.
            Finding: when an answer is not what it must be, such as an empty list.
            Unreachable: when there is no answer.
        """
        self._sign_in.forget()
        self.find_nobody()
        query = {"excludedAttributes": "members", "filter": f'displayName eq "{uuid.uuid4()}"'}
        answer = self.send("GET", "/Groups", query)
        answer.expect([200])
        if answer.resources("Group"):
            answer.finding("a search for a random GUID found a group")

    def find_nobody(self) -> None:
        """What every cycle begins with: look for somebody who is nowhere.

        Raises:
            Rejected: when the service refuses; 400, 401 and 404 quarantine the job.
            Finding: when the answer is not an empty list.
            Unreachable: when there is no answer.
        """
        answer = self._query_users(str(uuid.uuid4()))
        if answer.resources():
            answer.finding("a search for a random GUID found somebody")

    def find(self, value: str) -> Resource | None:
        """Look for a person by the matching attribute.

        Raises:
            Finding: also when several, or somebody else, are found.
        """
        answer = self._query_users(value)
        found = answer.resources()
        if len(found) > 1:
            answer.finding(f"{len(found)} users have the same matching value")
        if found and str(value_at(found[0], self.matching.path)).casefold() != value.casefold():
            answer.finding("the user found does not have the value of the filter")
        return found[0] if found else None

    def create(self, person: Person) -> Resource:
        """POST a person; the answer is what the service stored, and says where."""
        answer = self.send("POST", "/Users", body=create_body(person))
        answer.expect([201])
        return answer.created()

    def get(self, user_id: str) -> Resource:
        """Read a user by id."""
        answer = self.send("GET", _path(user_id))
        answer.expect([200])
        return self._the_same(answer, user_id)

    def patch(self, user_id: str, changes: Mapping[str, Value]) -> Resource | None:
        """Change attributes; ``None`` when the service answers 204.

        Args:
            user_id: the service's id of the user.
            changes: new values by attribute path.
        """
        answer = self.send("PATCH", _path(user_id), body=patch_body(changes, self.dialect))
        answer.expect([200, 204])
        if answer.status == httpx.codes.NO_CONTENT:
            answer.nothing()
            return None
        return self._the_same(answer, user_id)

    def disable(self, user_id: str) -> None:
        """Soft-delete: ``active`` becomes false, and the user can still be read.

        Raises:
            Finding: also when the user is still active afterwards.
        """
        self.patch(user_id, {"active": False})
        answer = self.send("GET", _path(user_id))
        answer.expect([200])
        if self._the_same(answer, user_id)["active"]:
            answer.finding("a disabled user is still active")

    def delete(self, user_id: str) -> None:
        """Delete for good."""
        answer = self.send("DELETE", _path(user_id))
        answer.expect([204])
        answer.nothing()

    def resend(self, person: Person) -> None:
        """Send a create again, as a retry after a lost answer does.

        Raises:
            Finding: when it is not refused as a duplicate (409, ``uniqueness``).
        """
        answer = self.send("POST", "/Users", body=create_body(person))
        if answer.status < httpx.codes.BAD_REQUEST:
            answer.finding("a create sent twice is not refused")
        try:
            answer.expect([])
        except Rejected as refused:
            if refused.status != httpx.codes.CONFLICT or refused.scim_type != "uniqueness":
                answer.finding("a create sent twice is not refused with 409 uniqueness")

    def _query_users(self, value: str) -> Answer:
        quoted = value.replace("\\", "\\\\").replace('"', '\\"')
        answer = self.send("GET", "/Users", {"filter": f'{self.matching.path} eq "{quoted}"'})
        answer.expect([200])
        return answer

    def _the_same(self, answer: Answer, user_id: str) -> Resource:
        resource = answer.resource()
        if resource["id"] != user_id:
            answer.finding("the user in the answer has another id")
        return resource

    def send(
        self, method: str, path: str, query: Mapping[str, str] | None = None, body: Any = None
    ) -> Answer:
        """One request as Entra writes it; once more with another access token when the first one was refused.

        Args:
            method: the HTTP method.
            path: below the Tenant URL.
            query: parameters beside those of the Tenant URL.
            body: sent as JSON.

        Raises:
            Unreachable: when there is no answer.
            EntraError: when the token endpoint gives no access token.
        """
        request = f"{method} {path}{'?filter=…' if query else ''}"
        url = self._base + path + _query_string({**self._query, **(query or {})})
        content, content_type = None, MEDIA_TYPE  # A GET carries a Content-Type as well.
        if body is not None:
            content, content_type = json.dumps(body).encode(), self._next_body_type()
        sent = self._http.build_request(method, url, content=content, headers={"content-type": content_type})
        token = self._sign_in.bearer()
        response = self._exchange(request, sent, token)
        if response.status_code == httpx.codes.UNAUTHORIZED and self._sign_in.renew(token):
            token = self._sign_in.bearer()
            response = self._exchange(request, sent, token)
        return Answer(request, response, token)

    def _exchange(self, request: str, sent: httpx.Request, token: str) -> httpx.Response:
        sent.headers["authorization"] = f"Bearer {token}"
        try:
            response = self._http.send(sent)
        except httpx.HTTPError as error:
            raise Unreachable(f"{request}: {type(error).__name__}") from None
        with self._counting:
            self.sent += 1
            if response.is_error:
                self.rejected[response.status_code] += 1
        return response

    def _next_body_type(self) -> str:
        with self._counting:
            return next(self._body_types)


def _query_string(query: Mapping[str, str]) -> str:
    """As Entra writes it: a flag without a value has no equals sign."""
    parts = [f"{name}={quote(value, safe=_RAW_IN_QUERY)}" if value else name for name, value in query.items()]
    return f"?{'&'.join(parts)}" if parts else ""


def _path(user_id: str) -> str:
    return f"/Users/{quote(user_id, safe='')}"
