"""What a token request is taken for, from its bytes: exactly one reading, or a refusal that says what to do."""

import base64
import re
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scim_api.contract.oauth import ASSERTION_TYPE
from scim_api.contract.tokens import new_token
from scim_api.http.oauth import token_request
from scim_api.http.oauth.token_error import TokenError
from scim_api.http.oauth.token_request import MAX_PARAMETERS, TokenRequest, read_token_request

SECRET = "scs_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefg37cCQ0"
GRANT = {"grant_type": "client_credentials"}
PAIR = {"client_id": "an-id", "client_secret": SECRET}
ASSERTION = {"client_assertion_type": ASSERTION_TYPE, "client_assertion": "a.b.c"}
DESCRIPTION = re.compile(r"[\x20-\x21\x23-\x5B\x5D-\x7E]+")
"""RFC 6749 section 5.2."""


def basic(pair: str) -> str:
    return f"Basic {base64.b64encode(pair.encode()).decode()}"


def read(form: dict[str, str] | bytes, authorization: str | None = None) -> TokenRequest:
    body = form if isinstance(form, bytes) else urlencode(form).encode()
    return read_token_request(body, authorization)


def refusal(form: dict[str, str] | bytes, authorization: str | None = None) -> TokenError:
    with pytest.raises(TokenError) as caught:
        read(form, authorization)
    error = caught.value
    assert DESCRIPTION.fullmatch(error.description)
    assert error.description.endswith(".")
    assert SECRET not in f"{error} {error.description} {error.expected} {error.received}"
    return error


WANTED = TokenRequest("an-id", SECRET, None, None)


@pytest.mark.parametrize(
    ("form", "authorization"),
    [
        (GRANT | PAIR, None),
        (GRANT, basic(f"an-id:{SECRET}")),
        (GRANT, basic(f"an-id:{SECRET}").replace("Basic", "basic")),
        (GRANT, basic(f"an-id:{SECRET}").replace(" ", "   ")),
        (GRANT, basic(f"an%2Did:{SECRET.replace('_', '%5F')}")),
        (GRANT | PAIR, basic(f"an-id:{SECRET}")),
        (GRANT | {"client_id": "an-id"}, basic(f"an-id:{SECRET}")),
        (GRANT | {"client_secret": SECRET}, basic(f"an-id:{SECRET}")),
        (GRANT | PAIR | {"baseAddress": "", "resource": "x", "audience": "y"}, None),
        (GRANT | PAIR | {"scope": ""}, None),
    ],
    ids=[
        "form",
        "header",
        "header, lower case",
        "header, blanks",
        "header, form-encoded",
        "both",
        "both, the id twice",
        "both, the secret twice",
        "unknown parameters",
        "a scope without a value",
    ],
)
def test_credentials_are_taken_from_header_form_or_both(
    form: dict[str, str], authorization: str | None
) -> None:
    assert read(form, authorization) == WANTED


def test_an_assertion_comes_with_the_client_id() -> None:
    assert read(GRANT | ASSERTION | {"client_id": "an-id"}) == TokenRequest("an-id", None, "a.b.c", None)


@pytest.mark.parametrize("scope", ["scim", "scim.readwrite scim", "api://x/.default", "!#[]~"])
def test_a_well_formed_scope_is_taken_as_it_is(scope: str) -> None:
    assert read(GRANT | PAIR | {"scope": scope}).scope == scope


@pytest.mark.parametrize(
    "scope", [" ", "a  b", " a", "a ", 'a"b', "a\\b", "ä", "a\tb", "a\nb", "\x7f", "\x00"]
)
def test_a_malformed_scope_is_refused(scope: str) -> None:
    error = refusal(GRANT | PAIR | {"scope": scope})
    assert (error.check, error.error, error.status) == ("scope", "invalid_scope", 400)


@pytest.mark.parametrize("name", sorted(token_request.KNOWN))
@pytest.mark.parametrize("second", ["", "x"])
def test_a_known_parameter_that_comes_twice_is_refused(name: str, second: str) -> None:
    body = urlencode([*(GRANT | PAIR | ASSERTION | {"scope": "s"}).items(), (name, second)]).encode()
    error = refusal(body)
    assert (error.check, error.error, error.received) == ("duplicate", "invalid_request", name)


def test_an_unknown_parameter_may_come_twice() -> None:
    assert read(urlencode([*(GRANT | PAIR).items(), ("x", "1"), ("x", "2")]).encode()) == WANTED


@pytest.mark.parametrize(
    ("form", "check", "code", "status"),
    [
        ({}, "grant_type", "invalid_request", 400),
        (PAIR, "grant_type", "invalid_request", 400),
        (PAIR | {"grant_type": ""}, "grant_type", "invalid_request", 400),
        (PAIR | {"grant_type": "password"}, "grant_type", "unsupported_grant_type", 400),
        (PAIR | {"grant_type": "Client_Credentials"}, "grant_type", "unsupported_grant_type", 400),
        (GRANT, "credentials", "invalid_client", 401),
        (GRANT | {"client_id": "an-id"}, "credentials", "invalid_client", 401),
        (GRANT | {"client_secret": SECRET}, "credentials", "invalid_client", 401),
        (GRANT | PAIR | {"client_secret": ""}, "credentials", "invalid_client", 401),
        (GRANT | PAIR | ASSERTION, "credentials", "invalid_request", 400),
        (GRANT | ASSERTION, "credentials", "invalid_request", 400),
        (GRANT | {"client_id": "an-id", "client_assertion": "a.b.c"}, "assertion", "invalid_request", 400),
        (
            GRANT | {"client_id": "an-id", "client_assertion_type": ASSERTION_TYPE},
            "assertion",
            "invalid_request",
            400,
        ),
        (
            GRANT | ASSERTION | {"client_id": "an-id", "client_assertion_type": "saml"},
            "assertion",
            "invalid_client",
            401,
        ),
    ],
)
def test_what_is_missing_or_too_much_is_refused(
    form: dict[str, str], check: str, code: str, status: int
) -> None:
    error = refusal(form)
    assert (error.check, error.error, error.status) == (check, code, status)


@pytest.mark.parametrize(
    "body",
    [
        b"\xff",
        b"grant_type=client_credentials&client_id=\xc3\xa4",
        b"grant_type=client_credentials&client_id=%FF",
        b"grant_type=client_credentials&x=%ED%A0%80",
        b"grant_type=client_credentials&client_secret=%",
        b"grant_type=client_credentials&client_secret=%2",
        b"grant_type=client_credentials&%zz=1",
        b"&".join([b"a=1"] * (MAX_PARAMETERS + 1)),
    ],
)
def test_what_is_no_form_in_utf_8_is_refused(body: bytes) -> None:
    error = refusal(body)
    assert (error.check, error.error, error.status) == ("form", "invalid_request", 400)


def test_so_many_parameters_are_read() -> None:
    rest = MAX_PARAMETERS - len(GRANT | PAIR)
    assert read(urlencode([*(GRANT | PAIR).items(), *[("a", "1")] * rest]).encode()) == WANTED


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Basic",
        "Basic ",
        "Basic !!!",
        "Basic YQ",
        "Basic ä",
        f"Bearer {SECRET}",
        basic(f"an-id:{SECRET}").replace("Basic", "Bearer"),
        basic(f"an-id:{SECRET}").replace("Basic", "Basic2"),
        basic(f"an-id:{SECRET}") + "!",
        basic(f"an-id:{SECRET}").replace("Basic ", "Basic ."),
        f"Basic {SECRET}",
        basic(f"an-id{SECRET}"),
        basic(f"an-id:{SECRET}%"),
        basic(f"%FF:{SECRET}"),
        "Basic " + base64.b64encode(b"an-id:\xff").decode(),
        f"Digest {basic(f'an-id:{SECRET}')}",
    ],
)
def test_an_authorization_header_that_is_not_basic_is_refused_whatever_the_form_says(
    authorization: str,
) -> None:
    error = refusal(GRANT | PAIR, authorization)
    assert (error.check, error.error, error.status) == ("authorization", "invalid_client", 401)


@pytest.mark.parametrize("pair", [":", "an-id:", f":{SECRET}"])
def test_a_header_without_id_or_secret_does_not_sign_in(pair: str) -> None:
    assert refusal(GRANT, basic(pair)).error == "invalid_client"


@pytest.mark.parametrize(
    "form",
    [PAIR | {"client_id": "another"}, PAIR | {"client_secret": new_token("ClientSecret")}],
    ids=["id", "secret"],
)
def test_header_and_form_that_differ_are_refused(form: dict[str, str]) -> None:
    error = refusal(GRANT | form, basic(f"an-id:{SECRET}"))
    assert (error.check, error.error, error.status) == ("credentials", "invalid_request", 400)


def test_a_header_and_an_assertion_together_are_refused() -> None:
    error = refusal(GRANT | ASSERTION | {"client_id": "an-id"}, basic(f"an-id:{SECRET}"))
    assert (error.check, error.error) == ("credentials", "invalid_request")


@pytest.mark.parametrize("client_id", ["a b", "x" * 65, "ä", "a\x00", "../a", "a:b"])
def test_an_id_that_nobody_can_have_is_not_looked_for(client_id: str) -> None:
    assert read(GRANT | PAIR | {"client_id": client_id}).client_id == ""
    assert refusal(GRANT | {"client_id": client_id}).client_id is None


def test_a_refusal_says_whose_request_it_was_where_that_can_be_read() -> None:
    assert refusal(PAIR).client_id == "an-id"
    assert refusal({}, basic(f"in-the-header:{SECRET}")).client_id == "in-the-header"
    assert refusal(GRANT).client_id is None


def test_no_secret_is_in_its_text() -> None:
    text = repr(read(GRANT | PAIR)) + repr(read(GRANT | ASSERTION | {"client_id": "an-id"}))
    assert SECRET not in text
    assert "a.b.c" not in text


@given(st.binary(max_size=300), st.none() | st.text(max_size=100))
def test_any_bytes_are_read_or_refused(body: bytes, authorization: str | None) -> None:
    try:
        read_token_request(body, authorization)
    except TokenError as error:
        assert error.status in {400, 401}
