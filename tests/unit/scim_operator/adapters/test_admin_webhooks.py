"""Webhooks at the admin port: what is asked for, and what each answer is taken for."""

import json
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from scim_api.contract.admin import AdminError
from scim_api.contract.signing_secret import new_secret, secret_id
from scim_api.contract.webhooks import PutWebhook, SigningSecret, Webhook, WebhookPage
from scim_operator.adapters.admin_webhooks import HttpWebhookApi
from scim_operator.api.custom_object import Key
from scim_operator.planning.ports import Conflict, ScimApiRejected, ScimApiUnreachable

KEY = Key("team", "app")
NOW = datetime(2026, 11, 30, tzinfo=UTC)
ANSWER = Webhook(namespace="team", name="app", exists=True, revision="7.2", now=NOW)
WANTED = PutWebhook(
    tenant="contoso",
    url="https://app.example/hook",
    secrets=(SigningSecret(id=secret_id(new_secret()), sealed="v1.x.y", issued_at=NOW),),
    owner_uid="u-1",
    namespace_uid="n-1",
)


class Api:
    """Answers each call with one response, and keeps the requests."""

    def __init__(self, status: int = 200, body: Any = ANSWER) -> None:
        self.requests: list[httpx.Request] = []
        self._status, self._body = status, body

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return httpx.Response(self._status, content=self._body.model_dump_json(by_alias=True))

    def webhooks(self) -> HttpWebhookApi:
        client = httpx.AsyncClient(transport=httpx.MockTransport(self))
        return HttpWebhookApi("http://scim-api", Ed25519PrivateKey.generate(), "installation-1", client)


async def test_one_is_read_written_and_deleted_by_its_name_at_a_revision() -> None:
    api = Api()
    webhooks = api.webhooks()
    assert await webhooks.get(KEY) == ANSWER
    assert await webhooks.put(KEY, WANTED, revision="7.1") == ANSWER
    assert await webhooks.delete(KEY, revision="7.2") == ANSWER
    assert [(one.method, one.url.path, one.headers.get("if-match")) for one in api.requests] == [
        ("GET", "/admin/v1/webhooks/team/app", None),
        ("PUT", "/admin/v1/webhooks/team/app", '"7.1"'),
        ("DELETE", "/admin/v1/webhooks/team/app", '"7.2"'),
    ]
    assert PutWebhook.model_validate(json.loads(api.requests[1].content)) == WANTED


async def test_the_list_is_read_in_pages() -> None:
    api = Api(body=WebhookPage(now=NOW, items=(ANSWER,), next="team/app"))
    page = await api.webhooks().page(after="a b/c", limit=100)
    assert page.next == "team/app"
    assert api.requests[0].url.raw_path == b"/admin/v1/webhooks?limit=100&after=a%20b%2Fc"


@pytest.mark.parametrize(
    ("status", "code", "error", "said"),
    [
        (412, "RevisionMismatch", Conflict, "read it again"),
        (409, "TenantNotFound", ScimApiRejected, "read it again"),
        (404, "NotFound", ScimApiRejected, "a release without webhooks: upgrade it"),
        (503, "Unavailable", ScimApiUnreachable, "503"),
    ],
)
async def test_each_refusal_is_what_it_is(status: int, code: Any, error: type[Exception], said: str) -> None:
    api = Api(status, AdminError(code=code, message="read it again"))
    with pytest.raises(error, match=said):
        await api.webhooks().get(KEY)
