"""What Entra asks of an answer, one rule a function; all raise ``Finding`` when the rule is broken."""

import json
from collections.abc import Iterable
from typing import Any, Final, NoReturn
from urllib.parse import quote

import httpx

from entra_standin.dialects import USER_SCHEMA
from entra_standin.errors import Finding, Rejected

MEDIA_TYPE: Final = "application/scim+json"
LIST_SCHEMA: Final = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
ERROR_SCHEMA: Final = "urn:ietf:params:scim:api:messages:2.0:Error"

Resource = dict[str, Any]
"""A SCIM resource as it came."""


class Answer:
    """An answer and the request it belongs to.

    Args:
        request: method and path for messages, without personal data.
        response: what came.
        secret: a text that no message may show.
    """

    def __init__(self, request: str, response: httpx.Response, secret: str) -> None:
        self.request, self.status = request, response.status_code
        self._response, self._secret = response, secret

    def finding(self, wrong: str) -> NoReturn:
        """Report what is wrong with this answer.

        Raises:
            Finding: always.
        """
        raise Finding(self.request, self.status, wrong.replace(self._secret, "[token]")) from None

    def expect(self, statuses: Iterable[int]) -> None:
        """Pass when the status is one of these.

        Raises:
            Rejected: when it is a well-formed SCIM error.
            Finding: when it is anything else.
        """
        if self.status in statuses:
            return
        if self.status < httpx.codes.BAD_REQUEST:
            self.finding(f"expected {' or '.join(map(str, statuses))}")
        raise self._rejected()

    def nothing(self) -> None:
        """A 204 has no body."""
        if self._response.content:
            self.finding("a 204 carries no body")

    def json_object(self) -> dict[str, Any]:
        """The body, which is a JSON object of the SCIM media type."""
        media_type = self._response.headers.get("content-type", "").partition(";")[0].strip()
        if media_type != MEDIA_TYPE:
            self.finding(f"the content type is {media_type!r} instead of {MEDIA_TYPE}")
        try:
            body = json.loads(self._response.content)
        except ValueError:
            self.finding("the body is not JSON")
        if not isinstance(body, dict):
            self.finding("the body is not a JSON object")
        return body

    def resource(self) -> Resource:
        """The body, which is a user, at the version that the ETag header names (RFC 7644 section 3.14)."""
        user = self._user(self.json_object())
        if self._response.headers.get("etag") != user["meta"].get("version"):
            self.finding("the ETag header and meta.version differ")
        return user

    def created(self) -> Resource:
        """The body, which is a new user, and where it is (RFC 7644 section 3.3)."""
        user, location = self.resource(), self._response.headers.get("location")
        if location is None or location != user["meta"].get("location"):
            self.finding("the Location header is missing or is not meta.location")
        if not location.endswith(f"/Users/{quote(user['id'], safe='')}"):
            self.finding("Location does not lead to the id in the body")
        return user

    def resources(self) -> list[Resource]:
        """The users in the body, which is a ListResponse."""
        body = self.json_object()
        if LIST_SCHEMA not in _list(body.get("schemas")):
            self.finding("schemas does not name the ListResponse")
        for name in ("totalResults", "itemsPerPage", "startIndex"):
            if type(body.get(name)) is not int:
                self.finding(f"{name} is not a number")
        found = body.get("Resources")
        if not isinstance(found, list):
            self.finding("Resources is not a list; an empty one is []")
        if len(found) != body["itemsPerPage"] or len(found) > body["totalResults"]:
            self.finding("itemsPerPage and totalResults do not fit the number of Resources")
        return [self._user(item) for item in found]

    def _user(self, resource: Any) -> Resource:
        if not isinstance(resource, dict):
            self.finding("a resource is not a JSON object")
        if not isinstance(resource.get("id"), str) or not resource["id"]:
            self.finding("a user has no id")
        if not isinstance(resource.get("userName"), str):
            self.finding("a user has no userName")
        if not isinstance(resource.get("active"), bool):
            self.finding("active is not a JSON boolean")
        if USER_SCHEMA not in _list(resource.get("schemas")):
            self.finding("a user's schemas does not name the User schema")
        meta = resource.get("meta")
        if not isinstance(meta, dict) or meta.get("resourceType") != "User":
            self.finding("a user's meta.resourceType is not User")
        return resource

    def _rejected(self) -> Rejected:
        body = self.json_object()
        if ERROR_SCHEMA not in _list(body.get("schemas")):
            self.finding("the error's schemas does not name the SCIM Error")
        if body.get("status") != str(self.status):
            self.finding("the error's status is not the HTTP status as a string")
        if self.status == httpx.codes.TOO_MANY_REQUESTS and "retry-after" not in self._response.headers:
            self.finding("Retry-After is missing")
        detail = str(body.get("detail") or "").replace(self._secret, "[token]")
        return Rejected(self.request, self.status, str(body.get("scimType") or ""), detail)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
