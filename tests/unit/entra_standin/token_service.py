"""A small token endpoint in memory (RFC 6749, RFC 7523), right by itself, with faults that a test can plant."""

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote

import httpx
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.hashes import SHA256

from entra_standin.token_endpoint import ASSERTION_TYPE
from unit.entra_standin.faulty_service import Service

TOKEN_URL = "https://scim.test/oauth2/token"
CLIENT_ID = "9a0b4c2e-5d1f-4a7b-8c3d-2e1f0a9b8c7d"
CLIENT_SECRET = "scs_a-secret-that-no-message-may-show"

Json = dict[str, Any]


class TokenService:
    """One client, by its secret or by assertions, in front of a SCIM service that takes what is issued here."""

    def __init__(self, scim: Service) -> None:
        self.scim = scim
        self.jwks: Callable[[], Json] = lambda: {"keys": []}
        self.claims: Mapping[str, Any] = {}
        """What an assertion has to claim."""
        self.forms: list[dict[str, str]] = []
        self.headers: list[httpx.Headers] = []
        self.issued: list[str] = []
        self.fault: Callable[[httpx.Response], httpx.Response] = lambda answer: answer

    def transport(self) -> httpx.MockTransport:
        return httpx.MockTransport(self._answer)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        if request.url.path != httpx.URL(TOKEN_URL).path:
            return httpx.Response(404)
        assert request.method == "POST"
        assert request.headers["content-type"] == "application/x-www-form-urlencoded"
        pairs = parse_qsl(request.content.decode(), keep_blank_values=True, strict_parsing=True)
        form = dict(pairs)
        assert len(form) == len(pairs)
        self.forms.append(form)
        self.headers.append(request.headers)
        return self.fault(self._right(form, request.headers.get("authorization")))

    def _right(self, form: dict[str, str], authorization: str | None) -> httpx.Response:
        if form.get("grant_type") != "client_credentials":
            return refusal("unsupported_grant_type")
        if "client_assertion" in form:
            known = self._is_signed(form)
        else:
            pairs = {
                *([basic(authorization)] if authorization is not None else []),
                *([(form["client_id"], form["client_secret"])] if "client_secret" in form else []),
            }
            known = pairs == {(CLIENT_ID, CLIENT_SECRET)}
        if not known:
            return refusal("invalid_client", 401, basic=authorization is not None)
        self.issued.append(f"sca_{len(self.issued)}")
        self.scim.tokens.add(self.issued[-1])
        scope = {"scope": form["scope"]} if "scope" in form else {}
        return grant(access_token=self.issued[-1], **scope)

    def _is_signed(self, form: dict[str, str]) -> bool:
        if form.get("client_assertion_type") != ASSERTION_TYPE or form.get("client_id") != CLIENT_ID:
            return False
        claims = verified(form["client_assertion"], self.jwks())
        return claims is not None and claims.items() >= self.claims.items()


class World:
    """Both services behind one address."""

    def __init__(self) -> None:
        self.scim = Service()
        self.tokens = TokenService(self.scim)
        self.transport = httpx.MockTransport(self.answer)

    def answer(self, request: httpx.Request) -> httpx.Response:
        behind = self.tokens if request.url.path.endswith("/oauth2/token") else self.scim
        return behind.transport().handle_request(request)


def basic(authorization: str) -> tuple[str, str]:
    scheme, _, encoded = authorization.partition(" ")
    assert scheme == "Basic"
    client_id, _, secret = base64.b64decode(encoded).decode().partition(":")
    return unquote(client_id), unquote(secret)


def grant(**members: Any) -> httpx.Response:
    body = {"token_type": "Bearer", "expires_in": 3600, **members}
    return answer(200, {name: value for name, value in body.items() if value is not None})


def refusal(error: str, status: int = 400, *, basic: bool = False, **members: Any) -> httpx.Response:
    headers = {"www-authenticate": 'Basic realm="SCIM"'} if basic else {}
    return answer(status, {"error": error, **members}, **headers)


def answer(status: int, body: object, **headers: str) -> httpx.Response:
    kept = {"cache-control": "no-store", "pragma": "no-cache", "content-type": "application/json"}
    return httpx.Response(status, content=json.dumps(body), headers={**kept, **headers})


def verified(jwt: str, jwks: Json) -> Json | None:
    """The claims of a JWT that one of the keys has signed, by its ``kid``; None for any other."""
    head, payload, signature = jwt.split(".")
    header = json.loads(decoded(head))
    assert header["alg"] == "RS256"
    for key in jwks["keys"]:
        if key["kid"] == header["kid"]:
            numbers = RSAPublicNumbers(number(key["e"]), number(key["n"]))
            try:
                numbers.public_key().verify(
                    decoded(signature), f"{head}.{payload}".encode(), PKCS1v15(), SHA256()
                )
            except InvalidSignature:
                return None
            claims: Json = json.loads(decoded(payload))
            return claims
    return None


def number(text: str) -> int:
    return int.from_bytes(decoded(text), "big")


def decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
