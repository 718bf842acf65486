"""What a copy between databases is tested with: an installation that has lived, and two databases."""

import contextlib
import dataclasses
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import httpx

from scim_api.contract.admin import Credential, OAuthClient, PutConnection, TenantSettings
from scim_api.contract.tokens import digest, new_token, new_token_id
from scim_api.http.authentication import Authenticator
from scim_api.http.metrics import Metrics
from scim_api.http.public import public_app
from scim_api.http.rate_limit import RateLimiter
from scim_api.http.request import ServiceContext
from scim_api.store.change_log import CHANGE_RETENTION
from scim_api.store.factory import create_store
from scim_api.store.migrate import migrate
from scim_api.store.protocol import CredentialUse, IssuerKeys, Store
from scim_api.store.sql.transfer_tables import TABLES, Digest, Table
from scim_api.store.transfer import database_of
from scim_api.store.webhooks import SealedSecret, WebhookSettings
from support.stored import connect, credential

BASE: Final = "https://scim.test/scim/v2"
CUSTOM: Final = "urn:ietf:params:scim:schemas:extension:CustomExtensionName:2.0:User"
PATHS: Final = (
    "Users",
    "Groups",
    "Users?sortBy=userName",
    'Users?filter=title eq "Engineer"',
    "ServiceProviderConfig",
)


def unseen(_table: Table, _done: int, _total: int) -> None:
    """Nobody looks at the progress."""


@dataclasses.dataclass
class Way:
    """From where to where."""

    source: str
    target: str
    """Does not exist yet, or has nothing."""


@contextlib.asynccontextmanager
async def opened(url: str) -> AsyncIterator[Store]:
    """A store on this database."""
    store = create_store(url)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


@contextlib.asynccontextmanager
async def served(url: str) -> AsyncIterator[tuple[Store, httpx.AsyncClient]]:
    """The service on this database."""
    async with opened(url) as store:
        service = ServiceContext(store, Authenticator(store), RateLimiter(), Metrics(), BASE)
        transport = httpx.ASGITransport(public_app(service), raise_app_exceptions=True)
        async with httpx.AsyncClient(transport=transport, base_url=BASE) as client:
            yield store, client


class Life:
    """What an installation leaves in its database."""

    def __init__(self) -> None:
        self.tokens = [new_token() for _ in range(3)]
        self.ids = [new_token_id() for _ in range(3)]
        self.paths: list[str] = list(PATHS)

    def wanted(self, now: datetime, *numbers: int) -> PutConnection:
        """The connection with these of its tokens."""
        settings = TenantSettings.model_validate({"customFields": [{"name": "postalCode"}]})
        credentials = tuple(
            Credential(
                id=self.ids[number],
                digest=digest(self.tokens[number]).hex(),
                issued_at=now,
                expires_at=now.replace(year=now.year + 1, day=1),
            )
            for number in numbers
        )
        return PutConnection(tenant="contoso", settings=settings, credentials=credentials)

    async def sign_in(self, store: Store, now: datetime) -> str:
        """A client of the token endpoint; its access token, whose row is read before its parent's."""
        secret = credential("z-secret").model_copy(update={"kind": "ClientSecret"})
        await connect(store, secret, name="client", oauth_client=OAuthClient(client_id="a-client"))
        client = await store.token_client("a-client")
        assert client is not None
        token = new_token("AccessToken")
        issued = await store.issue_access_token(
            client, secret.id, token_id="a-token", digest=digest(token), now=now
        )
        assert issued is not None
        await store.keep_issuer_keys(IssuerKeys("https://login.example/keys", '{"keys": []}', now))
        return token

    async def live(self, url: str, person: Callable[..., dict[str, Any]]) -> None:
        """Connections, users, groups, changes and deletions."""
        await migrate(url)
        async with served(url) as (store, client):
            await store.claim("an-installation")
            await store.public_url(BASE)
            now = datetime.now(UTC)
            await store.put_connection("demo", "entra", self.wanted(now, 0, 1, 2), if_match=None)
            await store.put_connection("demo", "entra", self.wanted(now, 0, 1), if_match=None)  # 2 is revoked
            looked = CredentialUse(self.ids[0], now, is_inspection=True)
            await store.record_use([CredentialUse(self.ids[0], now, "Entra"), looked])
            await store.webhooks.create(
                "demo", "app", WebhookSettings("contoso", BASE), SealedSecret("v1.kid.sealed")
            )
            await connect(store, credential("other"), name="gone", tenant="fabrikam")
            await store.delete_connection("apps", "gone", if_match=None)
            self.tokens.append(await self.sign_in(store, now))
            headers = {"authorization": f"Bearer {self.tokens[0]}"}

            async def post(kind: str, body: dict[str, Any]) -> str:
                answer = await client.post(f"/{kind}", json=body, headers=headers)
                assert answer.status_code == 201, answer.text
                self.paths.append(f"{kind}/{answer.json()['id']}")
                return str(answer.json()["id"])

            ada = await post("Users", person("ada", **{CUSTOM: {"postalCode": "0815"}}))
            eve = await post("Users", person("éve 'quoted' \\ 名", nickName="\u2028 \U0001f600"))
            gone = await post("Users", person("gone"))
            await store.change_log.forget(timedelta())
            inner = await post("Groups", {"displayName": "Inner", "members": [{"value": eve}]})
            await post("Groups", {"displayName": "Staff", "members": [{"value": ada}, {"value": inner}]})
            change = {
                "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
                "Operations": [{"op": "replace", "path": "title", "value": "Countess"}],
            }
            assert (await client.patch(f"/Users/{ada}", json=change, headers=headers)).status_code == 200
            assert (await client.delete(f"/Users/{gone}", headers=headers)).status_code == 204
            [webhook] = await store.webhooks.lease("dispatcher", 60, 1)
            for _ in range(2):  # the first finds that changes are gone
                turn = await store.webhooks.turn(
                    webhook, "dispatcher", None, in_flight=frozenset(), most=1, keep=CHANGE_RETENTION
                )
            assert turn is not None
            assert turn.queued


async def content(url: str) -> dict[str, tuple[int, str]]:
    """Rows and digest of each table."""
    found = {}
    async with database_of(url).source() as source:
        for table in TABLES:
            read = Digest(table)
            async for page in source.pages(table):
                read.update(page)
            found[table.name] = (read.rows, read.hex)
    return found
