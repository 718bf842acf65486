"""Connections by hand: what a new token opens, and what becomes of those before it."""

from datetime import timedelta

import pytest

from scim_api.cli import issuance
from scim_api.cli.issuance import Issued
from scim_api.cli.mistake import ConnectionMistake
from scim_api.cli.sign_in import AuthType, BearerToken, ClientCredentials, SignIn, WorkloadIdentity
from scim_api.contract.admin import (
    Connection,
    ConnectionPage,
    CustomField,
    PutConnection,
    RateLimit,
    TenantSettings,
    WorkloadIdentityTrust,
)
from scim_api.contract.oauth import client_id_of
from scim_api.contract.tokens import digest, kind_of
from scim_api.store.protocol import Store
from support.stored import connect, credential

ENDPOINT = "https://scim.test/scim/v2"
DAY = timedelta(days=1)
BEARER = BearerToken(DAY)
HOURS = ClientCredentials(DAY, access_token_seconds=7200)
TRUST = WorkloadIdentityTrust(
    tenant_id="5e1f0c7a-2b6d-4c38-9a41-7d3e8f60b9c2",
    subjects=("3c0f0a2e-0d0f-4b0a-9a55-2d6a0e6f1d11",),
    audiences=("api://app",),
    issuers=("https://login.microsoftonline.com/5e1f0c7a-2b6d-4c38-9a41-7d3e8f60b9c2/v2.0",),
    keys_url="https://login.microsoftonline.com/5e1f0c7a-2b6d-4c38-9a41-7d3e8f60b9c2/discovery/v2.0/keys",
)
FEDERATED = WorkloadIdentity(TRUST, access_token_seconds=3600)
SETTINGS = TenantSettings(groups="Disabled", custom_fields=(CustomField(name="costCenter"),))


async def create(
    store: Store, name: str = "entra", *, tenant: str = "contoso", sign_in: SignIn = BEARER
) -> Issued:
    return await issuance.create(
        store, "demo", name, tenant=tenant, settings=SETTINGS, sign_in=sign_in, endpoint=ENDPOINT
    )


async def rotate(
    store: Store, name: str = "entra", *, revoke_others: bool = False, lifetime: timedelta = 2 * DAY
) -> Issued:
    return await issuance.rotate(
        store, "demo", name, lifetime=lifetime, revoke_others=revoke_others, endpoint=ENDPOINT
    )


def plaintext(issued: Issued) -> str:
    assert issued.plaintext is not None
    return issued.plaintext


async def opens(store: Store, issued: Issued) -> bool:
    return await store.access(digest(plaintext(issued))) is not None


async def test_a_new_connections_token_opens_its_tenant_for_its_lifetime(store: Store) -> None:
    issued = await create(store)

    access = await store.access(digest(plaintext(issued)))
    assert access is not None
    assert (access.credential, access.settings) == (issued.credential_id, SETTINGS)
    held = await store.connection("demo", "entra")
    assert held.tenant == "contoso"
    [token] = held.credentials
    assert (token.id, token.expires_at) == (issued.credential_id, issued.expires_at)
    assert token.expires_at - token.issued_at == DAY
    assert abs(token.issued_at - held.now) < timedelta(minutes=1)  # the database's clock
    assert issued.endpoint == ENDPOINT


async def test_a_connection_that_exists_keeps_its_tokens_and_the_way_to_another_one_is_told(
    store: Store,
) -> None:
    first = await create(store)
    with pytest.raises(ConnectionMistake, match="`scim-api connection rotate demo/entra`"):
        await create(store)
    assert await opens(store, first)
    assert len((await store.connection("demo", "entra")).credentials) == 1


async def test_a_connection_that_was_deleted_can_be_made_again(store: Store) -> None:
    first = await create(store)
    await store.delete_connection("demo", "entra", if_match=None)
    again = await create(store)
    assert not await opens(store, first)
    assert await opens(store, again)


async def test_a_tenant_without_a_proper_name_is_one_line(store: Store) -> None:
    with pytest.raises(ConnectionMistake) as told:
        await create(store, tenant="Not A Name")
    assert str(told.value).startswith("--tenant 'Not A Name': write ")
    assert "\n" not in str(told.value)
    assert not (await store.connection("demo", "entra")).exists


async def test_rotating_adds_a_token_and_leaves_the_others_their_time(store: Store) -> None:
    first = await create(store)
    before = (await store.connection("demo", "entra")).credentials

    second = await rotate(store)

    held = await store.connection("demo", "entra")
    assert {token.id for token in held.credentials} == {first.credential_id, second.credential_id}
    assert before[0] in held.credentials
    assert second.expires_at > first.expires_at
    assert await opens(store, first)
    assert await opens(store, second)
    assert (held.tenant, held.settings) == ("contoso", SETTINGS)


async def test_rotating_can_end_all_earlier_tokens_at_once(store: Store) -> None:
    earlier = [await create(store), await rotate(store)]
    last = await rotate(store, revoke_others=True)
    assert [await opens(store, one) for one in (*earlier, last)] == [False, False, True]


async def test_a_seventeenth_token_is_refused_with_the_way_out(store: Store) -> None:
    await connect(
        store, *(credential(f"t{number}") for number in range(16)), namespace="demo", settings=SETTINGS
    )
    with pytest.raises(ConnectionMistake) as told:
        await rotate(store)
    assert str(told.value).startswith("demo/entra has 16 live tokens")
    assert "--revoke-others" in str(told.value)
    assert "\n" not in str(told.value)
    assert await opens(store, await rotate(store, revoke_others=True))


async def test_a_connection_that_is_not_there_is_neither_rotated_nor_made(store: Store) -> None:
    await create(store, "other")
    await store.delete_connection("demo", "other", if_match=None)
    for attempt in (rotate(store), issuance.existing(store, "demo", "other")):
        with pytest.raises(ConnectionMistake, match="`scim-api connection list` shows all"):
            await attempt
    assert not (await store.connection("demo", "entra")).exists


async def test_everything_is_all_pages_in_order(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("e", "c", "a", "d", "b"):
        await connect(store, credential(name), name=name, tenant=name)
    kept = store.connections
    pages: list[ConnectionPage] = []

    async def short(*, after: str | None, limit: int) -> ConnectionPage:
        pages.append(await kept(after=after, limit=2))
        return pages[-1]

    monkeypatch.setattr(store, "connections", short)
    found: list[Connection] = await issuance.all_connections(store)
    assert [one.name for one in found] == ["a", "b", "c", "d", "e"]
    assert len(pages) == 3


def test_a_token_does_not_show_in_what_may_be_logged() -> None:
    issued = Issued(
        ENDPOINT, AuthType.BEARER_TOKEN, "t1", credential().expires_at, "sct_secret", None, "ReadWrite"
    )
    assert "sct_secret" not in repr(issued)
    assert "sct_secret" not in str(issued)


# -- clients of the token endpoint ------------------------------------------------------------------
async def test_a_client_has_a_secret_for_the_token_endpoint_that_opens_nothing_itself(store: Store) -> None:
    issued = await create(store, sign_in=HOURS)
    assert issued.client_id is not None
    assert kind_of(plaintext(issued)) == "ClientSecret"
    assert not await opens(store, issued)

    client = await store.token_client(issued.client_id)
    assert client is not None
    assert (client.name, client.access_token_seconds) == ("demo/entra", 7200)
    [secret] = client.credentials
    assert (secret.id, secret.kind) == (issued.credential_id, "ClientSecret")
    assert secret.digest == digest(plaintext(issued))
    [held] = (await store.connection("demo", "entra")).credentials
    assert held.expires_at - held.issued_at == DAY


async def test_a_workload_identity_is_a_trust_of_its_client_without_any_secret(store: Store) -> None:
    issued = await create(store, sign_in=FEDERATED)
    assert issued.plaintext is None
    assert issued.client_id is not None
    client = await store.token_client(issued.client_id)
    assert client is not None
    [held] = client.credentials
    assert (held.kind, held.trust) == ("WorkloadIdentity", TRUST)
    assert held.digest.hex() == TRUST.fingerprint(issued.client_id)
    [credential_] = (await store.connection("demo", "entra")).credentials
    assert credential_.expires_at - credential_.issued_at == 3650 * DAY


@pytest.mark.parametrize("sign_in", [HOURS, FEDERATED], ids=["secret", "identity"])
async def test_a_client_stands_beside_a_bearer_token_of_the_same_tenant(
    store: Store, sign_in: SignIn
) -> None:
    bearer = await create(store)
    beside = await create(store, "beside", sign_in=sign_in)
    access = await store.access(digest(plaintext(bearer)))
    assert access is not None
    held = await store.connection("demo", "beside")
    assert held.exists
    assert held.tenant == "contoso"
    assert bearer.client_id is None
    assert beside.client_id is not None


async def test_a_client_id_is_random_unless_an_operator_uses_the_database(store: Store) -> None:
    ids = [(await create(store, name, sign_in=HOURS)).client_id for name in ("a", "b")]
    assert len(set(ids)) == 2
    assert client_id_of("", "demo", "a") not in ids
    await store.claim("cluster-one")
    issued = await create(store, sign_in=HOURS)
    assert issued.client_id == client_id_of("cluster-one", "demo", "entra")


async def test_another_secret_leaves_the_client_its_id_and_the_first_secret_its_time(store: Store) -> None:
    first = await create(store, sign_in=HOURS)
    second = await rotate(store)
    assert second.client_id == first.client_id
    assert (second.auth, kind_of(plaintext(second))) == (AuthType.OAUTH_CLIENT_CREDENTIALS, "ClientSecret")
    held = await store.connection("demo", "entra")
    assert [one.id for one in held.credentials] == [first.credential_id, second.credential_id]
    assert held.oauth_client is not None
    assert held.oauth_client.access_token_seconds == 7200

    third = await rotate(store, revoke_others=True)
    held = await store.connection("demo", "entra")
    assert [one.id for one in held.credentials] == [third.credential_id]


async def test_a_client_without_a_live_secret_gets_one_again(store: Store) -> None:
    first = await create(store, sign_in=HOURS)
    held = await store.connection("demo", "entra")
    assert held.tenant is not None
    await store.put_connection(
        "demo", "entra", PutConnection(tenant=held.tenant, settings=held.settings), if_match=None
    )
    again = await rotate(store)
    assert (again.client_id, again.auth) == (first.client_id, AuthType.OAUTH_CLIENT_CREDENTIALS)


async def test_a_workload_identity_has_nothing_to_rotate_and_the_way_to_another_trust_is_told(
    store: Store,
) -> None:
    await create(store, sign_in=FEDERATED)
    with pytest.raises(ConnectionMistake) as told:
        await rotate(store, revoke_others=True)
    assert "demo/entra has no secret that could be rotated" in str(told.value)
    assert "create a second connection with the same --tenant" in str(told.value)
    assert "\n" not in str(told.value)
    assert len((await store.connection("demo", "entra")).credentials) == 1


async def test_a_tenant_with_other_settings_is_told_with_the_options_to_repeat(store: Store) -> None:
    await create(store)
    others = TenantSettings(rate_limit=RateLimit(requests_per_second=99))
    with pytest.raises(ConnectionMistake) as told:
        await issuance.create(
            store, "demo", "beside", tenant="contoso", settings=others, sign_in=HOURS, endpoint=ENDPOINT
        )
    assert str(told.value).startswith("demo/entra has the same tenant with other settings: repeat its --")
    for option in ("--custom-field", "--groups", "--requests-per-second and --burst"):
        assert option in str(told.value)
    assert "\n" not in str(told.value)
    assert not (await store.connection("demo", "beside")).exists
