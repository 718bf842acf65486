from datetime import UTC, datetime, timedelta

import pytest

from scim_operator.api.status import CredentialKind
from scim_operator.planning.secret_layout import (
    KEYS,
    PENDING,
    PUBLIC,
    SECRET_DATA,
    has_stray_plaintext,
    pending_kind,
    public_secret_data,
    published_kind,
)
from scim_operator.planning.token_ledger import LedgerEntry

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ENDPOINT = "https://scim.example.com/scim/v2"
OAUTH = {"endpoint", "token-endpoint", "client-id"}
KEYS_OF: dict[CredentialKind, set[str]] = {
    "BearerToken": {"endpoint", "token-id", "expires-at"},
    "ClientSecret": {*OAUTH, "client-secret-id", "expires-at"},
    "WorkloadIdentity": OAUTH,
}


@pytest.mark.parametrize("kind", KEYS_OF)
def test_each_kind_has_its_keys_besides_the_plaintext(kind: CredentialKind) -> None:
    entry = LedgerEntry("id1", "ab" * 32, NOW, NOW + timedelta(days=1), kind=kind)
    data = public_secret_data(entry, ENDPOINT, "client")
    assert data.keys() == KEYS_OF[kind] <= set(PUBLIC)
    assert data["endpoint"] == ENDPOINT
    assert data.get("client-id", "client") == "client"
    assert data.get("token-endpoint", "https://scim.example.com/oauth2/token").endswith("/oauth2/token")


def test_no_plaintext_is_among_what_is_public() -> None:
    plaintext = {keys.plaintext for keys in KEYS.values()} | set(PENDING)
    assert plaintext == {"token", "next-token", "client-secret", "next-client-secret"}
    assert not plaintext & set(PUBLIC)
    assert plaintext < set(SECRET_DATA)


@pytest.mark.parametrize(
    ("data", "wanted", "published"),
    [
        ("", "ClientSecret", "BearerToken"),
        ("token", "ClientSecret", "BearerToken"),
        ("token client-id", "WorkloadIdentity", "BearerToken"),
        ("client-secret client-id", "BearerToken", "ClientSecret"),
        ("client-id next-token", "BearerToken", "WorkloadIdentity"),
        ("token client-secret", "BearerToken", "BearerToken"),
        ("token client-secret", "ClientSecret", "ClientSecret"),
    ],
)
def test_a_secret_publishes_what_its_plaintext_says(
    data: str, wanted: CredentialKind, published: CredentialKind
) -> None:
    assert published_kind(data.split(), wanted) == published


@pytest.mark.parametrize(
    ("data", "wanted", "pending"),
    [
        ("next-token", "ClientSecret", "BearerToken"),
        ("next-client-secret token", "BearerToken", "ClientSecret"),
        ("next-client-secret next-token", "BearerToken", "BearerToken"),
        ("next-client-secret next-token", "ClientSecret", "ClientSecret"),
        ("next-client-secret", "WorkloadIdentity", "ClientSecret"),
        ("", "WorkloadIdentity", "BearerToken"),
    ],
)
def test_what_is_pending_has_the_kind_of_its_key(
    data: str, wanted: CredentialKind, pending: CredentialKind
) -> None:
    assert pending_kind(data.split(), wanted) == pending


def test_a_plaintext_of_another_kind_is_a_stray() -> None:
    assert has_stray_plaintext(["token", "client-secret"], "BearerToken")
    assert has_stray_plaintext(["token"], "WorkloadIdentity")
    assert not has_stray_plaintext(["token", "next-client-secret"], "BearerToken")
