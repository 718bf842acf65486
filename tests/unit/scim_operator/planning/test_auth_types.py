"""``spec.auth`` through the real reconciler: the three types, changes between them, and what goes wrong on the way."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from scim_api.contract.admin import OAuthClient
from scim_operator.api.custom_object import ROTATE_ANNOTATION
from scim_operator.api.scimtoken import REVOKE_ANNOTATION
from scim_operator.planning.actions import IssueReason
from support import operator_ports
from support.auth_life import BEARER, HOUR, OAUTH, PUBLIC_OF_OAUTH, events, identity, listed, ready
from support.operator_world import CLIENT_ID, START, World, days
from support.token_life import Life, life, quiet

__all__ = ["life", "quiet"]


async def test_client_credentials_are_in_the_secret_with_where_to_use_them(life: Life) -> None:
    secret = await ready(life, **OAUTH)
    assert secret == {
        **PUBLIC_OF_OAUTH,
        "client-secret": "scs_plaintext1",
        "client-secret-id": "id1",
        "expires-at": "2026-04-01T00:00:00Z",
    }
    assert life.world.oauth_client == OAuthClient(client_id=CLIENT_ID, access_token_seconds=3600)
    assert life.world.accepts("scs_plaintext1")
    assert listed(life) == [("ClientSecret", "Active")]
    assert life.world.condition("Published")["message"].endswith(
        "token-endpoint, client-id and client-secret"
    )


async def test_a_workload_identity_has_no_secret_and_says_who_verifies_it(life: Life) -> None:
    secret = await ready(life, **identity("s1"))
    assert secret == PUBLIC_OF_OAUTH
    assert life.made == 0
    assert "verify" not in life.steps
    assert "Test Connection in Entra" in life.world.condition("Published")["message"]
    [held] = life.world.credentials.values()
    assert held.kind == "WorkloadIdentity"
    assert held.expires_at - held.issued_at == days(3650)
    assert held.trust is not None
    assert held.digest == held.trust.fingerprint(f"{CLIENT_ID}/{held.id}")
    assert life.world.object is not None
    assert life.world.object["status"].keys().isdisjoint({"expiresAt", "nextRotation"})


@pytest.mark.parametrize(
    ("auth", "seconds"),
    [
        ({"type": "OAuthClientCredentials", "oauthClientCredentials": {"accessTokenLifetime": "6h"}}, 21_600),
        (identity("s1", accessTokenLifetime="90m")["auth"], 5400),
    ],
)
async def test_another_lifetime_of_access_tokens_reaches_the_api(
    life: Life, auth: dict[str, Any], seconds: int
) -> None:
    before = await ready(life, **OAUTH)
    if auth["type"] == "WorkloadIdentity":
        before = await ready(life, **identity("s1"))
    assert await ready(life, auth=auth) == before
    assert life.world.oauth_client == OAuthClient(client_id=CLIENT_ID, access_token_seconds=seconds)


async def test_a_client_secret_is_rotated_as_a_token_is(life: Life) -> None:
    first = await ready(life, **OAUTH)
    life.world.now += days(60)
    await life.reconcile()
    second = life.world.secret()
    assert (first["client-secret"], second["client-secret"]) == ("scs_plaintext1", "scs_plaintext2")
    assert life.world.accepts("scs_plaintext1")
    assert listed(life) == [("ClientSecret", "Active"), ("ClientSecret", "Superseded")]
    life.world.annotate(ROTATE_ANNOTATION, "now")
    await life.reconcile()
    assert life.world.secret()["client-secret"] == "scs_plaintext3"
    assert life.world.cut_off.keys() == set()


async def test_a_client_secret_that_overlap_ends_leaves_its_access_tokens(life: Life) -> None:
    await ready(life, **OAUTH, overlap="0s")
    life.world.annotate(ROTATE_ANNOTATION, "now")
    await life.reconcile()
    assert not life.world.accepts("scs_plaintext1")
    assert life.world.accepts("scs_plaintext2")
    assert life.world.cut_off.keys() == set()
    life.world.now += HOUR
    await ready(life, **OAUTH, overlap="0s", rateLimit={"burst": 200})
    assert life.world.cut_off.keys() == set()


@pytest.mark.parametrize("overlap", ["0s", "untilExpiry"])
async def test_a_client_secret_that_is_revoked_takes_its_access_tokens_along(
    life: Life, overlap: str
) -> None:
    await ready(life, **OAUTH, overlap=overlap)
    life.world.annotate(REVOKE_ANNOTATION, "id1")
    await life.reconcile()
    assert life.world.secret()["client-secret-id"] == "id2"
    assert not life.world.accepts("scs_plaintext1")
    assert life.world.cut_off.keys() == {"id1"}


async def test_another_type_supersedes_the_token_and_ends_it_no_sooner(life: Life) -> None:
    token = (await ready(life))["token"]
    secret = await ready(life, **OAUTH)
    assert secret.keys().isdisjoint({"token", "token-id", "next-token", "next-client-secret"})
    assert IssueReason.AUTH_TYPE_CHANGED in events(life)
    assert listed(life) == [("ClientSecret", "Active"), ("BearerToken", "Superseded")]
    life.world.now = START + days(90) - timedelta(seconds=1)
    assert life.world.accepts(token)


async def test_the_condition_says_what_entra_still_signs_in_with(life: Life) -> None:
    token = (await ready(life))["token"]
    life.world.use(token)
    await ready(life, **OAUTH)
    message = life.world.condition()["message"]
    assert "Azure-AD-SCIM still signs in with token id1, which is accepted until 2026-04-01" in message
    assert "client-secret of Secret team/entra-scim-token" in message
    life.world.now += HOUR
    life.world.use(life.world.secret()["client-secret"])
    await life.reconcile()
    assert "still signs in" not in life.world.condition()["message"]


async def test_another_type_takes_effect_while_rotation_is_suspended(life: Life) -> None:
    await ready(life, suspend=True)
    assert "client-secret" in await ready(life, **OAUTH, suspend=True)


async def half_changed(life: Life) -> str:
    """A token is published, and a client secret stands beside it, registered and not proven."""
    token = (await ready(life))["token"]
    life.world.apply(**OAUTH)
    life.world.proof_fails = True
    await life.reconcile()
    assert life.world.secret().keys() >= {"token", "next-client-secret"}
    life.world.proof_fails = False
    return token


async def test_a_type_that_is_changed_back_midway_publishes_nothing_else(life: Life) -> None:
    token = await half_changed(life)
    secret = await ready(life)
    assert secret.keys() == {"endpoint", "token", "token-id", "expires-at"}
    assert secret["token"] == token
    assert listed(life) == [("BearerToken", "Active"), ("ClientSecret", "Superseded")]


async def test_what_was_pending_and_never_registered_is_forgotten(life: Life) -> None:
    await ready(life)
    life.world.apply(**OAUTH)
    life.world.knows_oauth = False
    await life.reconcile()
    assert "next-client-secret" in life.world.secret()
    life.world.knows_oauth = True
    await ready(life)
    assert listed(life) == [("BearerToken", "Active")]
    assert "scs_" not in str(life.world.secret())
    assert len(life.world.credentials) == 1


async def test_a_third_type_midway_is_the_one_that_is_published(life: Life) -> None:
    token = await half_changed(life)
    assert await ready(life, **identity("s1")) == PUBLIC_OF_OAUTH
    assert life.world.accepts(token)
    assert listed(life)[0] == ("WorkloadIdentity", "Active")


async def test_a_type_that_is_changed_twice_ends_nothing(life: Life) -> None:
    specs = (BEARER, OAUTH, identity("s1"), BEARER, identity("s1"), OAUTH)
    for spec in specs:
        await ready(life, **spec)
        life.world.now += HOUR
    kinds = sorted(kind for kind, _ in listed(life))
    assert kinds == ["BearerToken"] * 2 + ["ClientSecret"] * 2 + ["WorkloadIdentity"] * 2
    assert all(map(life.world.accepts, life.world.published))
    assert life.world.cut_off.keys() == set()


@pytest.mark.parametrize("spec", [BEARER, OAUTH, identity("s1")], ids=["token", "secret", "identity"])
async def test_a_lost_secret_and_a_lost_database_leave_the_client_id(
    life: Life, spec: dict[str, Any]
) -> None:
    before = await ready(life, **spec)
    life.world.secrets.clear()
    after_the_secret = await ready(life, **spec)
    life.world.lose_database()
    after_the_database = await ready(life, **spec)
    life.world.secrets.clear()
    life.world.lose_database()
    after_both = await ready(life, **spec)
    seen = (before, after_the_secret, after_the_database, after_both)
    assert len({data.get("client-id") for data in seen}) == 1
    assert all(data.keys() == before.keys() for data in seen)
    assert after_the_secret == after_the_database


async def test_a_lost_database_gets_superseded_kinds_back_with_their_client(life: Life) -> None:
    for spec in (OAUTH, identity("s1"), BEARER):
        await ready(life, **spec)
    before = {name: (item.kind, item.trust) for name, item in life.world.credentials.items()}
    life.world.lose_database()
    await ready(life)
    assert {name: (item.kind, item.trust) for name, item in life.world.credentials.items()} == before
    assert life.world.oauth_client == OAuthClient(client_id=CLIENT_ID)


@pytest.mark.parametrize("spec", [OAUTH, identity("s1")], ids=["secret", "identity"])
async def test_the_secret_moves_with_all_its_keys(life: Life, spec: dict[str, Any]) -> None:
    before = await ready(life, **spec)
    await ready(life, **spec, secret={"name": "other"})
    assert life.world.secret("other") == before
    assert life.world.secrets.keys() == {"other"}


@pytest.mark.parametrize(
    ("spec", "key"),
    [(OAUTH, "token"), (BEARER, "client-secret"), (identity("s1"), "token"), (BEARER, "client-id")],
)
async def test_a_key_that_its_type_does_not_have_is_taken_out(
    life: Life, spec: dict[str, Any], key: str
) -> None:
    before = await ready(life, **spec)
    life.world.secrets["entra-scim-token"].data[key] = "of somebody else"
    await life.reconcile()
    assert life.world.secret() == before


async def test_an_api_of_the_earlier_release_is_to_be_upgraded(life: Life) -> None:
    token = (await ready(life))["token"]
    life.world.knows_oauth = False
    life.world.apply(**OAUTH)
    for _ in range(3):
        await life.reconcile()
    ready_condition = life.world.condition()
    assert (ready_condition["status"], ready_condition["reason"]) == ("False", "AuthTypeNotSupported")
    assert ready_condition["message"].startswith("upgrade the SCIM API: ")
    assert life.world.accepts(token)
    assert life.world.secret()["token"] == token
    assert life.made == 2
    life.world.knows_oauth = True
    secret = await ready(life, **OAUTH)
    assert secret["client-secret"] == "scs_plaintext2"


async def test_an_api_that_takes_it_and_tells_of_no_client_is_not_asked_again_and_again(
    life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = World.connection
    monkeypatch.setattr(
        World, "connection", lambda world: connection(world).model_copy(update={"oauth_client": None})
    )
    life.world.apply(**OAUTH)
    await life.reconcile()
    assert life.steps.count("put-connection") == 1
    assert life.world.condition()["reason"] == "AuthTypeNotSupported"


async def test_an_api_of_the_earlier_release_still_revokes(life: Life) -> None:
    await ready(life)
    life.world.annotate(ROTATE_ANNOTATION, "now")
    await life.reconcile()
    life.world.knows_oauth = False
    life.world.apply(**OAUTH)
    life.world.annotate(REVOKE_ANNOTATION, "all-superseded")
    await life.reconcile()
    assert [life.world.accepts(f"sct_plaintext{number}") for number in (1, 2)] == [False, True]
    assert life.world.condition()["reason"] == "AuthTypeNotSupported"


@pytest.fixture
def ticking(life: Life, monkeypatch: pytest.MonkeyPatch) -> Life:
    """The API's clock goes on between two calls."""
    enter: Callable[[Any, str], Any] = operator_ports.FakeApi._enter

    async def later(api: Any, label: str) -> None:
        life.world.now += timedelta(milliseconds=3)
        await enter(api, label)

    monkeypatch.setattr(operator_ports.FakeApi, "_enter", later)
    return life


@pytest.mark.parametrize("overlap", ["0s", "1h", "untilExpiry"])
@pytest.mark.parametrize("before", [BEARER, OAUTH, identity("s1")], ids=["token", "secret", "identity"])
@pytest.mark.parametrize(
    "after", [BEARER, OAUTH, identity("s1", "s2"), identity("s2")], ids=["token", "secret", "wider", "other"]
)
async def test_a_time_that_is_counted_from_now_is_not_written_anew_with_each_answer(
    ticking: Life, before: dict[str, Any], after: dict[str, Any], overlap: str
) -> None:
    await ready(ticking, **before, overlap=overlap)
    await ready(ticking, **after, overlap=overlap)
    assert ticking.steps.count("put-connection") <= 3
    await ticking.reconcile()
    assert ticking.steps.count("put-connection") == 0


async def test_nor_is_that_of_a_token_that_a_restored_secret_has_superseded(ticking: Life) -> None:
    first = (await ready(ticking, overlap="1h"))["token"]
    ticking.world.annotate(ROTATE_ANNOTATION, "now")
    await ticking.reconcile()
    ticking.world.secrets["entra-scim-token"].data["token"] = first
    await ready(ticking, overlap="1h")
    assert ticking.steps.count("put-connection") <= 2
    assert ticking.world.secret()["token"] == first


async def test_access_tokens_of_a_former_type_live_as_long_as_they_did(life: Life) -> None:
    auth = {"type": "OAuthClientCredentials", "oauthClientCredentials": {"accessTokenLifetime": "6h"}}
    await ready(life, auth=auth)
    await ready(life)
    life.world.annotate(ROTATE_ANNOTATION, "now")
    await life.reconcile()
    assert life.world.oauth_client == OAuthClient(client_id=CLIENT_ID, access_token_seconds=21_600)
