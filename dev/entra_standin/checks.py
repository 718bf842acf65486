"""What Entra asks of an answer, one rule a function; all raise ``Finding`` when the rule is broken."""

import json
from collections.abc import Callable, Iterable
from typing import Any, Final, Literal, NoReturn
from urllib.parse import quote

import httpx

from entra_standin.dialects import GROUP_SCHEMA, USER_SCHEMA
from entra_standin.errors import Finding, Rejected
from entra_standin.sign_in import AccessToken

MEDIA_TYPE: Final = "application/scim+json"
LIST_SCHEMA: Final = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
ERROR_SCHEMA: Final = "urn:ietf:params:scim:api:messages:2.0:Error"

ACCESS_TOKEN_MINUTES: Final = (60, 360)
"""How long Microsoft wants an access token to live."""
_ASSUMED_SECONDS: Final = 3600
"""What Microsoft's validator takes an absent ``expires_in`` for."""
_ERROR_CODES: Final = frozenset(
    {
        "invalid_request",
        "invalid_client",
        "invalid_grant",
        "unauthorized_client",
        "unsupported_grant_type",
        "invalid_scope",
    }
)
"""RFC 6749 section 5.2."""

Kind = Literal["User", "Group"]
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
        return _json_object(self._response, MEDIA_TYPE, self.finding)

    def resource(self, kind: Kind = "User") -> Resource:
        """The body, which is a resource at the version that the ETag header names (RFC 7644 section 3.14)."""
        found = self._resource(self.json_object(), kind)
        if self._response.headers.get("etag") != found["meta"].get("version"):
            self.finding("the ETag header and meta.version differ")
        return found

    def created(self, kind: Kind = "User") -> Resource:
        """The body, which is a new resource, and where it is (RFC 7644 section 3.3)."""
        made, location = self.resource(kind), self._response.headers.get("location")
        if location is None or location != made["meta"].get("location"):
            self.finding("the Location header is missing or is not meta.location")
        if not location.endswith(f"/{kind}s/{quote(made['id'], safe='')}"):
            self.finding("Location does not lead to the id in the body")
        return made

    def resources(self, kind: Kind = "User") -> list[Resource]:
        """The resources in the body, which is a ListResponse."""
        return [self._resource(item, kind) for item in self.listed()]

    def listed(self) -> list[Any]:
        """Whatever is in the body, which is a ListResponse."""
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
        return found

    def _resource(self, resource: Any, kind: Kind) -> Resource:
        if not isinstance(resource, dict):
            self.finding("a resource is not a JSON object")
        name, what = ("userName", "user") if kind == "User" else ("displayName", "group")
        if not isinstance(resource.get("id"), str) or not resource["id"]:
            self.finding(f"a {what} has no id")
        if not isinstance(resource.get(name), str):
            self.finding(f"a {what} has no {name}")
        if kind == "User" and not isinstance(resource.get("active"), bool):
            self.finding("active is not a JSON boolean")
        if (USER_SCHEMA if kind == "User" else GROUP_SCHEMA) not in _list(resource.get("schemas")):
            self.finding(f"a {what}'s schemas does not name the {kind} schema")
        meta = resource.get("meta")
        if not isinstance(meta, dict) or meta.get("resourceType") != kind:
            self.finding(f"a {what}'s meta.resourceType is not {kind}")
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


class TokenAnswer:
    """An answer of a token endpoint (RFC 6749 sections 5.1 and 5.2).

    Args:
        response: what came.
        secrets: texts that no message may show.
        used_header: whether the client used the ``Authorization`` header.
    """

    def __init__(self, response: httpx.Response, secrets: Iterable[str], *, used_header: bool) -> None:
        self.status = response.status_code
        self._request = f"POST {response.request.url.path}"
        self._response, self._secrets, self._used_header = response, tuple(secrets), used_header

    def finding(self, wrong: str) -> NoReturn:
        """Report what is wrong with this answer.

        Raises:
            Finding: always.
        """
        raise Finding(self._request, self.status, self._clean(wrong)) from None

    def granted(self, scope: str | None) -> AccessToken:
        """The access token that was asked for with this scope, if nothing is wrong with the answer.

        Raises:
            Rejected: when it is a well-formed refusal.
            Finding: when it is anything else.
        """
        if self.status != httpx.codes.OK:
            raise self._refusal()
        body = self._object()
        self._not_stored()
        token, seconds = body.get("access_token"), body.get("expires_in")
        if not isinstance(token, str) or not token or not token.isascii() or not token.isprintable():
            self.finding("access_token is missing, or is no text for a header")
        if str(body.get("token_type")).casefold() != "bearer":
            self.finding("token_type is not Bearer")
        least, most = (minutes * 60 for minutes in ACCESS_TOKEN_MINUTES)
        if type(seconds) is not int or not least <= seconds <= most:
            self.finding(f"expires_in is no number from {least} to {most}")
        if "refresh_token" in body:
            self.finding("a refresh_token has no place in this grant (RFC 6749 section 4.4.3)")
        if scope is not None and body.get("scope", scope) != scope:
            self.finding("scope is not the one that was asked for")
        return AccessToken(token, seconds, body.get("scope"))

    def validated(self) -> AccessToken:
        """What Microsoft's validator makes of it: 2xx, an ``access_token``, and 60 to 360 minutes.

        Raises:
            Finding: the validator's test would fail.
        """
        if not self._response.is_success:
            self.finding("the validator wants 2xx")
        body = self._object()
        token, seconds = body.get("access_token"), body.get("expires_in", _ASSUMED_SECONDS)
        if not isinstance(token, str) or not token:
            self.finding("the validator wants an access_token")
        least, most = ACCESS_TOKEN_MINUTES
        if type(seconds) not in (int, float) or not least <= seconds / 60 <= most:
            self.finding(f"the validator wants a lifetime of {least} to {most} minutes")
        return AccessToken(token, seconds, body.get("scope"))

    def _refusal(self) -> Rejected:
        """A refusal in the form of RFC 6749 section 5.2; of 429 and 5xx only that it is one."""
        if self.status == httpx.codes.TOO_MANY_REQUESTS and "retry-after" not in self._response.headers:
            self.finding("Retry-After is missing")
        if self.status == httpx.codes.TOO_MANY_REQUESTS or self._response.is_server_error:
            return Rejected(self._request, self.status, "", "try again later")
        if self.status not in (httpx.codes.BAD_REQUEST, httpx.codes.UNAUTHORIZED):
            self.finding("a refusal is 400 or 401")
        body = self._object()
        self._not_stored()
        error = body.get("error")
        if error not in _ERROR_CODES:
            self.finding("error is none of RFC 6749's codes")
        challenge = self._response.headers.get("www-authenticate", "").casefold()
        if (
            self.status == httpx.codes.UNAUTHORIZED
            and self._used_header
            and not challenge.startswith("basic")
        ):
            self.finding("a 401 to HTTP Basic has no WWW-Authenticate: Basic")
        return Rejected(
            self._request, self.status, str(error), self._clean(str(body.get("error_description") or ""))
        )

    def _object(self) -> dict[str, Any]:
        return _json_object(self._response, "application/json", self.finding)

    def _not_stored(self) -> None:
        if "no-store" not in self._response.headers.get("cache-control", ""):
            self.finding("Cache-Control is not no-store")
        if "no-cache" not in self._response.headers.get("pragma", ""):
            self.finding("Pragma is not no-cache")

    def _clean(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "[secret]")
        return text


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _json_object(
    response: httpx.Response, media_type: str, finding: Callable[[str], NoReturn]
) -> dict[str, Any]:
    """The body, which is a JSON object of this media type; ``finding`` raises what is wrong."""
    sent = response.headers.get("content-type", "").partition(";")[0].strip()
    if sent != media_type:
        finding(f"the content type is {sent!r} instead of {media_type}")
    try:
        body = json.loads(response.content)
    except ValueError:
        finding("the body is not JSON")
    if not isinstance(body, dict):
        finding("the body is not a JSON object")
    return body
