"""What the token endpoint reads and writes: clients, access tokens, their ends, and kept keys, on each database."""

from datetime import timedelta

import pytest

from scim_api.contract.admin import Credential, OAuthClient, TokenRefusal, WorkloadIdentityTrust
from scim_api.store.errors import ClientIdInUse, DigestInUse
from scim_api.store.protocol import CredentialUse, IssuerKeys, Store, TokenClient
from support.database import run_sql
from support.stored import connect, credential, digest_of

DAY = timedelta(days=1)
CLIENT = OAuthClient(client_id="a-client", access_token_seconds=7200)
TRUST = WorkloadIdentityTrust(
    tenant_id="0f0e0d0c-0b0a-0908-0706-050403020100",
    subjects=("subject",),
    audiences=("audience",),
    issuers=("https://login.example/t/v2.0",),
    keys_url="https://login.example/t/keys",
)


def secret(identity: str = "s1", *, expires: timedelta = 30 * DAY) -> Credential:
    return credential(identity, expires=expires).model_copy(update={"kind": "ClientSecret"})


def trust(identity: str = "w1", value: WorkloadIdentityTrust = TRUST) -> Credential:
    changes = {"kind": "WorkloadIdentity", "trust": value, "digest": value.fingerprint(CLIENT.client_id)}
    return credential(identity, expires=30 * DAY).model_copy(update=changes)


async def client_of(store: Store) -> TokenClient:
    found = await store.token_client(CLIENT.client_id)
    assert found is not None
    return found


async def issue(store: Store, parent: str = "s1", name: str = "a1") -> bool:
    """Whether an access token was issued."""
    client = await client_of(store)
    now = (await store.connection("apps", "entra")).now
    end = await store.issue_access_token(client, parent, token_id=name, digest=digest_of(name), now=now)
    assert end is None or end == now + timedelta(seconds=CLIENT.access_token_seconds)
    return end is not None


async def opens(store: Store, name: str = "a1") -> bool:
    return await store.access(digest_of(name)) is not None


async def test_a_client_is_found_with_its_secrets_and_trusts_the_newest_first(store: Store) -> None:
    await connect(store, secret("s1"), oauth_client=CLIENT)
    await connect(store, secret("s1"), trust(), oauth_client=CLIENT)

    client = await client_of(store)

    assert (client.name, client.access_token_seconds) == ("apps/entra", 7200)
    assert {item.id: (item.kind, item.trust, item.is_revoked) for item in client.credentials} == {
        "w1": ("WorkloadIdentity", TRUST, False),
        "s1": ("ClientSecret", None, False),
    }
    assert await store.token_client("another") is None


async def test_the_connection_tells_what_it_is_known_by(store: Store) -> None:
    await connect(store, secret(), trust(), oauth_client=CLIENT)
    answer = await store.connection("apps", "entra")
    assert answer.oauth_client == CLIENT
    assert {item.id: item.kind for item in answer.credentials} == {
        "s1": "ClientSecret",
        "w1": "WorkloadIdentity",
    }
    assert next(item.trust for item in answer.credentials if item.id == "w1") == TRUST
    [listed] = (await store.connections(after=None, limit=5)).items
    assert (listed.oauth_client, listed.credentials) == (CLIENT, answer.credentials)


async def test_a_put_that_does_not_know_of_clients_leaves_it(store: Store) -> None:
    first = await connect(store, secret(), oauth_client=CLIENT)
    second = await connect(store, secret())
    assert second.oauth_client == CLIENT
    assert second.revision == first.revision, "nothing changed"


async def test_a_client_id_is_one_connections_alone(store: Store) -> None:
    await connect(store, secret("s1"), oauth_client=CLIENT)
    with pytest.raises(ClientIdInUse, match="apps/entra"):
        await connect(store, secret("s2"), name="other", oauth_client=CLIENT)
    assert not (await store.connection("apps", "other")).exists


async def test_a_client_secret_does_not_open_the_scim_api(store: Store) -> None:
    await connect(store, secret(), oauth_client=CLIENT)
    assert await store.access(digest_of("s1")) is None


async def test_an_access_token_opens_the_tenant_in_the_name_of_its_parent(store: Store) -> None:
    await connect(store, secret(), oauth_client=CLIENT)
    assert await issue(store)
    access = await store.access(digest_of("a1"))
    assert access is not None
    assert access.credential == "s1"
    await store.record_use([CredentialUse(access.credential, (await store.connection("apps", "entra")).now)])
    [told] = (await store.connection("apps", "entra")).credentials
    assert told.id == "s1", "access tokens are not listed"
    assert told.last_used_at is not None


@pytest.mark.parametrize("kind", ["secret", "trust"])
async def test_a_revocation_ends_the_access_tokens_too(store: Store, kind: str) -> None:
    parent = secret("p") if kind == "secret" else trust("p")
    await connect(store, parent, oauth_client=CLIENT)
    assert await issue(store, "p")
    before = await store.generation()
    await connect(store)
    assert not await opens(store)
    assert not await issue(store, "p", "a2")
    assert (await store.generation()).number > before.number


async def test_what_was_issued_while_its_parent_was_revoked_does_not_open_either(store: Store) -> None:
    await connect(store, secret(), oauth_client=CLIENT)
    assert await issue(store)
    await connect(store)
    # The other transaction had read the parent before, and commits after the revocation.
    await run_sql(store.url, "UPDATE credential SET revoked_at = NULL WHERE kind = 'AccessToken'")
    assert not await opens(store)


@pytest.mark.parametrize("hours", [0, 5], ids=["now", "since hours"])
async def test_a_retired_secret_leaves_its_access_tokens_to_their_end(store: Store, hours: int) -> None:
    old = secret()
    await connect(store, old, oauth_client=CLIENT)
    assert await issue(store)
    retired = (await store.connection("apps", "entra")).now - timedelta(hours=hours)
    await connect(store, old.model_copy(update={"retires_at": retired}), secret("s2"))
    assert not await issue(store, "s1", "a2"), "nothing is issued for it any more"
    await connect(store, secret("s2"))
    assert await opens(store)


async def test_deleting_the_connection_ends_all_access_tokens_for_good(store: Store) -> None:
    old = secret()
    await connect(store, old, oauth_client=CLIENT)
    assert await issue(store)
    now = (await store.connection("apps", "entra")).now
    await connect(store, old.model_copy(update={"retires_at": now}), oauth_client=CLIENT)
    await store.delete_connection("apps", "entra", if_match=None)
    assert not await opens(store)
    assert await store.token_client(CLIENT.client_id) is None
    await connect(store, secret("s3"), oauth_client=CLIENT)
    assert not await opens(store), "nor does it when the connection is made anew"


async def test_pruning_leaves_a_parent_that_access_tokens_need(store: Store) -> None:
    await connect(store, secret(), oauth_client=CLIENT)
    assert await issue(store)
    past = "2001-01-01T00:00:00.000000Z"
    await run_sql(store.url, f"UPDATE credential SET expires_at = '{past}' WHERE id = 's1'")
    await store.purge()
    assert await opens(store), "it was accepted, and its time is not over"
    await run_sql(store.url, f"UPDATE credential SET expires_at = '{past}' WHERE id = 'a1'")
    await store.purge()
    await store.purge()
    [[left]] = await run_sql(store.url, "SELECT count(*) FROM credential")
    assert left == 0


async def test_a_trust_is_not_changed_under_its_id(store: Store) -> None:
    await connect(store, trust(), oauth_client=CLIENT)
    wider = TRUST.model_copy(update={"subjects": ("subject", "another")})
    sneaked = trust().model_copy(update={"trust": wider})
    with pytest.raises(DigestInUse):
        await connect(store, sneaked)


async def test_the_last_refusal_is_told_and_forgotten(store: Store) -> None:
    await connect(store, secret(), oauth_client=CLIENT)
    at = (await store.connection("apps", "entra")).now
    refusal = TokenRefusal(at=at, check="aud", expected="audience", received="another")
    await store.record_token_refusals({CLIENT.client_id: refusal, "unknown": refusal})
    assert (await store.connection("apps", "entra")).last_refusal == refusal
    await store.record_token_refusals({CLIENT.client_id: None})
    assert (await store.connection("apps", "entra")).last_refusal is None


async def test_the_newest_keys_of_an_issuer_are_kept(store: Store) -> None:
    now = (await store.connection("apps", "entra")).now
    assert await store.issuer_keys("https://login.example/keys") is None
    newest = IssuerKeys("https://login.example/keys", '{"keys": []}', now)
    await store.keep_issuer_keys(newest)
    await store.keep_issuer_keys(IssuerKeys(newest.url, '{"keys": [1]}', now - DAY))
    assert await store.issuer_keys(newest.url) == newest
