"""Which client secret is accepted, and what is told of one that is not."""

import hmac
from datetime import UTC, datetime

import pytest

from scim_api.contract.tokens import TokenKind, digest, new_token
from scim_api.http.oauth.client_secrets import accepted_secret, revoked_meanwhile
from scim_api.http.oauth.token_error import TokenError
from scim_api.store.protocol import ClientCredential, TokenClient

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp()
FIRST, SECOND, ENDED, REVOKED = (new_token("ClientSecret") for _ in range(4))


def credential(name: str, secret: str, *, ends_in: float = 100.0, revoked: bool = False) -> ClientCredential:
    return ClientCredential(
        name, "ClientSecret", digest(secret), NOW + ends_in, is_revoked=revoked, trust=None
    )


def client(*credentials: ClientCredential) -> TokenClient:
    return TokenClient("an-id", 1, "demo/entra", 3600, credentials)


CLIENT = client(
    credential("second", SECOND),
    credential("first", FIRST),
    credential("ended", ENDED, ends_in=0.0),
    credential("revoked", REVOKED, revoked=True),
)


def refusal(who: TokenClient | None, secret: str) -> TokenError:
    with pytest.raises(TokenError) as caught:
        accepted_secret(who, secret, NOW)
    return caught.value


@pytest.mark.parametrize(
    ("secret", "name"), [(FIRST, "first"), (SECOND, "second")], ids=["the first", "the second"]
)
def test_each_of_several_that_are_accepted_now_is_taken(secret: str, name: str) -> None:
    assert accepted_secret(CLIENT, secret, NOW).id == name


def test_one_ends_at_its_moment() -> None:
    item = client(credential("soon", FIRST, ends_in=0.001))
    assert accepted_secret(item, FIRST, NOW).id == "soon"
    with pytest.raises(TokenError):
        accepted_secret(item, FIRST, NOW + 0.001)


@pytest.mark.parametrize(
    ("secret", "received"),
    [
        (new_token("ClientSecret"), "one that was never issued"),
        (ENDED, "one that ended at 2026-03-01T12:00:00Z"),
        (REVOKED, "one that was revoked"),
        (new_token("BearerToken"), "a token for the SCIM API (sct_...)"),
        (new_token("AccessToken"), "an access token (sca_...)"),
        (FIRST[:-1], "no client secret: it is cut or mistyped, or something else"),
        (FIRST + "x", "no client secret: it is cut or mistyped, or something else"),
        ("", "no client secret: it is cut or mistyped, or something else"),
        ("\ud800", "no client secret: it is cut or mistyped, or something else"),
    ],
    ids=map(str, range(9)),  # a plaintext in a name differs from run to run
)
def test_any_other_is_refused_with_what_can_be_told_without_it(secret: str, received: str) -> None:
    error = refusal(CLIENT, secret)
    assert (error.check, error.error, error.status) == ("secret", "invalid_client", 401)
    assert error.expected == "one of the 2 client secrets accepted now"
    assert error.received == received
    assert error.client is CLIENT
    assert not secret or secret not in f"{error.expected} {error.received} {error.description} {error}"


def test_a_client_without_any_is_told_so() -> None:
    assert refusal(client(), FIRST).expected == "nothing: no client secret of this client is accepted now"


def test_an_unknown_client_and_a_wrong_secret_get_the_same_answer() -> None:
    unknown, wrong = refusal(None, FIRST), refusal(CLIENT, new_token("ClientSecret"))
    assert (unknown.error, unknown.description, unknown.status) == (
        wrong.error,
        wrong.description,
        wrong.status,
    )
    assert (unknown.check, unknown.client) == ("client_id", None)


def test_all_secrets_are_compared_and_a_decoy_for_an_unknown_client(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[bytes] = []

    constant_time = hmac.compare_digest

    def compare(one: bytes, other: bytes) -> bool:
        compared.append(one)
        return constant_time(one, other)

    monkeypatch.setattr(hmac, "compare_digest", compare)
    accepted_secret(CLIENT, SECOND, NOW)
    assert compared == [item.digest for item in CLIENT.credentials]
    compared.clear()
    refusal(None, FIRST)
    assert len(compared) == 1


@pytest.mark.parametrize("kind", ["BearerToken", "AccessToken"])
def test_what_is_no_client_secret_is_none_even_where_its_digest_is_stored(kind: TokenKind) -> None:
    token = new_token(kind)
    trust = ClientCredential("w", "WorkloadIdentity", digest(token), NOW + 100, is_revoked=False, trust=None)
    assert refusal(client(trust), token).check == "secret"


def test_what_was_revoked_meanwhile_is_refused_as_a_revoked_one() -> None:
    error = revoked_meanwhile(CLIENT, "secret")
    assert (error.error, error.status, error.received) == ("invalid_client", 401, "one that was revoked")
    assert error.description == refusal(CLIENT, REVOKED).description
