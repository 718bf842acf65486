"""What a token request says (RFC 6749 sections 2.3 and 4.4.2, RFC 7523 section 2.2), read from its bytes. Pure."""

import base64
import dataclasses
import hmac
import re
from collections.abc import Mapping
from typing import Final, NamedTuple
from urllib.parse import parse_qsl, unquote_plus

from scim_api.contract.oauth import ASSERTION_TYPE
from scim_api.http.oauth.token_error import Check, TokenError, invalid_client, invalid_request

MAX_PARAMETERS: Final = 100
KNOWN: Final = frozenset(
    ("grant_type", "scope", "client_id", "client_secret", "client_assertion_type", "client_assertion")
)
"""Parameters that count. All others are ignored, such as ``baseAddress`` and ``resource``, which Microsoft sends."""
GRANT_TYPE: Final = "client_credentials"
_CLIENT_ID: Final = re.compile(r"[0-9A-Za-z_-]{1,64}")
"""As ``contract.admin.ClientId`` has it: no other is looked for in the database."""
_BAD_PERCENT: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_SCOPE: Final = re.compile(r"[!#-\[\]-~]+(?: [!#-\[\]-~]+)*")
"""RFC 6749 section 3.3."""
_HOW_TO_SIGN_IN: Final = (
    "Send the client id and the client secret in an Authorization header (Basic) or in the form, or a client_id with a"
    " client_assertion."
)


@dataclasses.dataclass(frozen=True, slots=True)
class TokenRequest:
    """A request that is well-formed; it has a secret or an assertion, and not both."""

    client_id: str
    secret: str | None = dataclasses.field(repr=False)
    assertion: str | None = dataclasses.field(repr=False)
    scope: str | None


class _Basic(NamedTuple):
    client_id: str
    secret: str


def read_token_request(body: bytes, authorization: str | None) -> TokenRequest:
    """The request of a body and an Authorization header.

    Args:
        body: of media type ``application/x-www-form-urlencoded``.
        authorization: the header's value; None without one.

    Raises:
        TokenError: it is not well-formed. Its ``client_id`` says whom it comes from, where that can be read.
    """
    form = _form(body)
    basic = None if authorization is None else _basic(authorization)
    try:
        return _request(form, basic)
    except TokenError as error:
        client_id = form.get("client_id", "") if basic is None else basic.client_id
        error.client_id = client_id if _CLIENT_ID.fullmatch(client_id) else None
        raise


def _form(body: bytes) -> dict[str, str]:
    """The known parameters that have a value: one without counts as left out (RFC 6749 section 3.2)."""
    try:
        text = body.decode("ascii")
        if _BAD_PERCENT.search(text):
            raise ValueError("a percent sign without two hexadecimal digits")
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MAX_PARAMETERS)
    except ValueError:
        raise invalid_request(
            Check.FORM,
            f"The body is no form of at most {MAX_PARAMETERS} parameters in percent-encoded UTF-8. Correct it.",
        ) from None
    form: dict[str, str] = {}
    for name, value in pairs:
        if name not in KNOWN:
            continue
        if name in form:
            raise invalid_request(
                Check.DUPLICATE, f"The parameter {name} comes more than once. Send it once.", received=name
            )
        form[name] = value
    return {name: value for name, value in form.items() if value}


def _basic(authorization: str) -> _Basic:
    """Client id and secret of HTTP Basic, each form-encoded (RFC 6749 section 2.3.1)."""
    scheme, _, value = authorization.partition(" ")
    try:
        if scheme.lower() != "basic":
            raise ValueError("another scheme")
        text = base64.b64decode(value.strip().encode("ascii"), validate=True).decode()
        client_id, colon, secret = text.partition(":")
        if not colon or _BAD_PERCENT.search(text):
            raise ValueError("no user-id and password, or not form-encoded")
        return _Basic(unquote_plus(client_id, errors="strict"), unquote_plus(secret, errors="strict"))
    except ValueError:
        raise invalid_client(
            Check.AUTHORIZATION,
            "The Authorization header is not readable as HTTP Basic. Send Basic, and base64 of the form-encoded client id,"
            " a colon and the form-encoded client secret.",
        ) from None


def _request(form: Mapping[str, str], basic: _Basic | None) -> TokenRequest:
    _check_grant_type(form)
    _check_scope(form)
    assertion = _assertion(form, basic)
    client_id, secret = _client(form, basic, needs_secret=assertion is None)
    if _CLIENT_ID.fullmatch(client_id) is None:
        # Answered as an id that nobody has, which it is.
        client_id = ""
    return TokenRequest(client_id, secret, assertion, form.get("scope"))


def _check_grant_type(form: Mapping[str, str]) -> None:
    grant_type = form.get("grant_type")
    if grant_type is None:
        raise invalid_request(
            Check.GRANT_TYPE,
            f"The parameter grant_type is missing. Send grant_type={GRANT_TYPE}.",
            expected=GRANT_TYPE,
            received="none",
        )
    if grant_type != GRANT_TYPE:
        raise TokenError(
            Check.GRANT_TYPE,
            "unsupported_grant_type",
            f"Only grant_type={GRANT_TYPE} is taken here. Choose OAuth 2.0 client credentials.",
            expected=GRANT_TYPE,
            received="another",
        )


def _check_scope(form: Mapping[str, str]) -> None:
    if "scope" in form and _SCOPE.fullmatch(form["scope"]) is None:
        raise TokenError(
            Check.SCOPE,
            "invalid_scope",
            "The scope is not a list of words with single blanks between them (RFC 6749 section 3.3). Correct it or leave"
            " it out: none is needed.",
            expected="words with single blanks between them, or none",
        )


def _assertion(form: Mapping[str, str], basic: _Basic | None) -> str | None:
    assertion, kind = form.get("client_assertion"), form.get("client_assertion_type")
    if assertion is None and kind is None:
        return None
    if assertion is None or kind is None:
        raise invalid_request(
            Check.ASSERTION,
            "client_assertion and client_assertion_type belong together. Send both or neither.",
        )
    if basic is not None or "client_secret" in form:
        raise invalid_request(
            Check.CREDENTIALS,
            "The request has a client secret and an assertion. Send one of them.",
            expected="a client secret or an assertion",
            received="both",
        )
    if "client_id" not in form:
        raise invalid_request(
            Check.CREDENTIALS,
            "The parameter client_id is missing. Send it with the assertion, whose subject is not the client here.",
        )
    if kind != ASSERTION_TYPE:
        raise invalid_client(
            Check.ASSERTION,
            f"Only assertions of type {ASSERTION_TYPE} are taken. Correct client_assertion_type.",
            expected=f"client_assertion_type {ASSERTION_TYPE}",
            received="another type",
        )
    return assertion


def _client(form: Mapping[str, str], basic: _Basic | None, *, needs_secret: bool) -> tuple[str, str | None]:
    """Client id and secret, from the header, the form or both."""
    client_id, secret = form.get("client_id"), form.get("client_secret")
    if basic is not None:
        # RFC 6749 section 2.3 forbids both, and Entra sends both where "How credentials are sent" is set to it.
        if not (_same(client_id, basic.client_id) and _same(secret, basic.secret)):
            raise invalid_request(
                Check.CREDENTIALS,
                "The Authorization header and the form have different credentials. Send them once, or the same twice.",
                expected="the same credentials in header and form",
                received="different ones",
            )
        client_id, secret = basic.client_id or None, basic.secret or None
    if client_id is None or (needs_secret and secret is None):
        raise invalid_client(
            Check.CREDENTIALS,
            f"The request does not sign in. {_HOW_TO_SIGN_IN}",
            expected="a client secret or an assertion",
            received="neither" if client_id else "no client id",
        )
    return client_id, secret


def _same(one: str | None, other: str) -> bool:
    """Whether a value of the form does not contradict the header's."""
    return one is None or hmac.compare_digest(one.encode(), other.encode())
