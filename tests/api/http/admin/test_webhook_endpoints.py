"""Webhooks at the admin API: the operator's signed, fenced calls, and nobody else's."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.conftest import Scim
from scim_api.contract.admin import UNKNOWN_REVISION, AdminError
from scim_api.contract.webhooks import Webhook, WebhookPage
from scim_api.store.errors import Unavailable
from scim_api.store.webhooks import AttemptResults
from support.change_rows import ChangeRow, add_change_row
from support.database import run_sql

PATH: Final = "/admin/v1/webhooks/demo/app"
SEALED: Final = "v1.0123456789abcdef.c2VhbGVk"


def body(**changes: Any) -> dict[str, Any]:
    return {
        "tenant": "contoso",
        "url": "https://app.example/hook",
        "secrets": [{"id": "a" * 16, "sealed": SEALED, "issuedAt": "2026-11-23T14:00:00Z"}],
        "ownerUid": "owner",
        "namespaceUid": "namespace",
        "unknownFieldOfANewerOperator": 1,
        **changes,
    }


async def put(
    scim: Scim, wanted: Any = None, revision: str = UNKNOWN_REVISION, path: str = PATH
) -> httpx.Response:
    content = json.dumps(body() if wanted is None else wanted).encode()
    return await scim.admin_call("PUT", path, body=content, revision=revision)


def refused(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, AdminError.model_validate_json(response.content).code


@pytest.fixture
async def made(scim: Scim, entra: dict[str, str]) -> Webhook:
    """A webhook of the tenant that a connection has made."""
    response = await put(scim)
    assert response.status_code == 200, response.text
    return Webhook.model_validate_json(response.content)


async def test_one_that_does_not_exist_has_the_first_revision(scim: Scim) -> None:
    answer = (await scim.admin_call("GET", PATH)).json()
    assert (answer["exists"], answer["revision"], answer["secrets"]) == (False, UNKNOWN_REVISION, [])
    assert datetime.fromisoformat(answer["now"]).tzinfo is not None


async def test_what_was_written_is_read_without_what_is_sealed(scim: Scim, made: Webhook) -> None:
    response = await scim.admin_call("GET", PATH)
    read = Webhook.model_validate_json(response.content)
    assert read == made.model_copy(update={"now": read.now})
    assert (read.namespace, read.name, read.tenant, read.url) == (
        "demo", "app", "contoso", "https://app.example/hook",
    )  # fmt: skip
    [secret] = response.json()["secrets"]
    assert (secret["id"], secret["keyId"]) == ("a" * 16, "0123456789abcdef")
    assert SEALED not in response.text


async def test_every_webhook_is_answered_with_its_revision_as_its_entity_tag(
    scim: Scim, made: Webhook
) -> None:
    answers = [
        await scim.admin_call("GET", PATH),
        await put(scim, body(suspended=True), made.revision),
    ]
    revision = answers[1].json()["revision"]
    answers.append(await scim.admin_call("DELETE", PATH, revision=revision))
    assert revision != made.revision
    for response in answers:
        assert response.headers["etag"] == f'"{response.json()["revision"]}"'
    assert answers[2].json()["exists"] is False
    assert (await scim.admin_call("GET", PATH)).json()["exists"] is False


async def test_a_write_decided_on_another_revision_changes_nothing(scim: Scim, made: Webhook) -> None:
    for revision in (UNKNOWN_REVISION, "1", made.revision + "1"):
        assert refused(await put(scim, body(suspended=True), revision)) == (412, "RevisionMismatch")
        deleted = await scim.admin_call("DELETE", PATH, revision=revision)
        assert refused(deleted) == (412, "RevisionMismatch")
    assert (await scim.admin_call("GET", PATH)).json()["revision"] == made.revision


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
async def test_a_write_without_if_match_is_refused(scim: Scim, made: Webhook, method: str) -> None:
    content = json.dumps(body()).encode() if method == "PUT" else b""
    assert refused(await scim.admin_call(method, PATH, body=content)) == (400, "Invalid")


@pytest.mark.parametrize(
    ("changes", "code", "message"),
    [
        ({"tenant": "fabrikam"}, "TenantImmutable", "make another for another tenant"),
        ({"namespaceUid": "made-anew"}, "NamespaceMismatch", "release-namespace"),
        (
            {"secrets": [{"id": "b" * 16, "issuedAt": "2026-11-23T14:00:00Z"}]},
            "SigningSecretNotFound",
            "send that, or leave it out",
        ),
    ],
)
async def test_a_state_that_can_not_be_is_refused_with_what_to_do(
    scim: Scim, made: Webhook, changes: dict[str, Any], code: str, message: str
) -> None:
    await run_sql(scim.service.store.url, "UPDATE tenant SET namespace_uid = 'namespace'")
    response = await put(scim, body(**changes), made.revision)
    assert refused(response) == (409, code)
    assert message in response.json()["message"]
    assert response.json()["fields"] == (["b" * 16] if code == "SigningSecretNotFound" else [])


async def test_another_namespaces_tenant_is_none_of_its_own(scim: Scim, entra: dict[str, str]) -> None:
    response = await put(scim, path="/admin/v1/webhooks/other/app")
    assert refused(response) == (409, "TenantNotFound")
    assert "a ScimToken of this namespace" in response.json()["message"]


async def test_nor_one_that_is_being_deleted(scim: Scim, entra: dict[str, str]) -> None:
    await run_sql(scim.service.store.url, "UPDATE tenant SET state = 'purging'")
    assert refused(await put(scim)) == (409, "TenantPurging")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_a_call_that_the_operator_did_not_sign_is_refused_and_changes_nothing(
    scim: Scim, made: Webhook, method: str
) -> None:
    content = json.dumps(body(suspended=True)).encode() if method == "PUT" else b""
    revision = None if method == "GET" else made.revision
    taken = await scim.admin_call("GET", PATH)
    sent = {"if-match": f'"{made.revision}"'}
    stolen = sent | {"authorization": taken.request.headers["authorization"]}
    for answer in (
        await scim.admin.request(method, PATH, content=content, headers=sent),
        await scim.admin.request(method, PATH, content=content, headers=stolen),
        await scim.admin_call(
            method, PATH, body=content, revision=revision, key=Ed25519PrivateKey.generate()
        ),
        await scim.admin_call(method, PATH, body=content, revision=revision, signed_path=f"{PATH}2"),
    ):
        assert refused(answer) == (401, "Unauthorized")
    assert refused(await scim.admin.get("/admin/v1/webhooks")) == (401, "Unauthorized")
    assert (await scim.admin_call("GET", PATH)).json()["revision"] == made.revision


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"tenant": "UPPER"}, "tenant"),
        ({"url": "ftp://app.example"}, "url"),
        ({"url": "https://app.example/" + "x" * 2048}, "url"),
        ({"types": ["user.renamed"]}, "types.0"),
        ({"content": "Fat"}, "content"),
        ({"timeoutSeconds": 0}, "timeoutSeconds"),
        ({"timeoutSeconds": 61}, "timeoutSeconds"),
        ({"secrets": []}, "secrets"),
        ({"secrets": [{"id": "x", "issuedAt": "2026-11-23T14:00:00Z"}]}, "secrets.0.id"),
        ({"secrets": [{"id": "a" * 16, "issuedAt": "yesterday"}]}, "secrets.0.issuedAt"),
        ({"ping": ""}, "ping"),
        ({"ping": "x" * 257}, "ping"),
        ({"redelivery": {"request": "r"}}, "redelivery.since"),
        ({"ownerUid": None}, "ownerUid"),
    ],
)
async def test_a_broken_field_is_named(scim: Scim, changes: dict[str, Any], field: str) -> None:
    response = await put(scim, body(**changes))
    assert refused(response) == (400, "Invalid")
    assert response.json()["message"].startswith(f"{field}: ")


async def test_a_refusal_shows_nothing_that_is_sealed(scim: Scim) -> None:
    wanted = body(secrets=[{"id": "x", "sealed": SEALED, "issuedAt": "yesterday"}])
    assert SEALED not in (await put(scim, wanted)).text


async def test_broken_bodies_names_and_limits_are_400(scim: Scim) -> None:
    for content in (b"", b"{", b"[]", b"\xff", b"null", b'{"tenant": 5}'):
        answer = await scim.admin_call("PUT", PATH, body=content, revision=UNKNOWN_REVISION)
        assert refused(answer) == (400, "Invalid"), content
    assert refused(await scim.admin_call("GET", "/admin/v1/webhooks/Demo/app")) == (400, "Invalid")
    for limit in ("0", "101", "-1", "x", "1" * 30, ""):
        answer = await scim.admin_call("GET", f"/admin/v1/webhooks?limit={limit}")
        assert refused(answer) == (400, "Invalid"), limit
        assert answer.json()["message"] == "limit: must be between 1 and 100"


async def test_text_that_no_database_takes_is_refused_by_both(scim: Scim, made: Webhook) -> None:
    response = await put(scim, body(ping="a\0b"), made.revision)
    assert refused(response) == (400, "Invalid")
    assert response.json()["message"] == "body: U+0000 can't be stored; leave it out"
    assert refused(await scim.admin_call("GET", "/admin/v1/webhooks?after=a%00/b")) == (400, "Invalid")


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
async def test_any_time_that_json_can_tell_is_taken(scim: Scim, made: Webhook, moment: str) -> None:
    secrets = [
        {"id": "a" * 16, "issuedAt": moment},
        {"id": "b" * 16, "sealed": SEALED, "issuedAt": moment, "until": moment},
    ]
    wanted = body(secrets=secrets, redelivery={"request": "r", "since": moment})
    assert (await put(scim, wanted, made.revision)).status_code == 200


JSON: Final = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.datetimes().map(str),
    lambda some: st.lists(some, max_size=3) | st.dictionaries(st.text(), some, max_size=3),
    max_leaves=4,
)
FIELDS: Final = (*body(), "types", "content", "timeoutSeconds", "suspended", "ping", "redelivery")


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(field=st.sampled_from(FIELDS), value=JSON)
async def test_a_nearly_right_body_is_taken_or_refused_with_a_reason(
    scim: Scim, made: Webhook, field: str, value: Any
) -> None:
    revision = (await scim.admin_call("GET", PATH)).json()["revision"]
    response = await put(scim, body(**{field: value}), revision)
    if response.status_code != 200:
        assert refused(response)[0] in {400, 409}
        assert response.json()["message"]


async def test_all_are_read_in_pages(scim: Scim, made: Webhook) -> None:
    for number in range(4):
        answer = await put(scim, path=f"/admin/v1/webhooks/demo/w{number}")
        assert answer.status_code == 200
    seen, after = [], None
    while True:
        target = "/admin/v1/webhooks?limit=2" + (f"&after={after}" if after else "")
        page = WebhookPage.model_validate_json((await scim.admin_call("GET", target)).content)
        seen += [item.name for item in page.items]
        assert len(page.items) <= 2
        if (after := page.next) is None:
            break
    assert seen == ["app", "w0", "w1", "w2", "w3"]


async def test_how_it_does_is_told_with_the_log_as_far_back_as_it_is_kept(scim: Scim, made: Webhook) -> None:
    store = scim.service.store
    [[webhook, (tenant, _)]] = (await store.webhooks.lease("one", 60, 1)).items()
    results = AttemptResults(failure="HTTP 500: oops", pause_level=1, pause_seconds=60)
    await store.webhooks.turn(webhook, "one", results, in_flight=frozenset(), most=1, keep=timedelta(days=90))
    old = (datetime.now(UTC) - timedelta(days=84)).isoformat(timespec="microseconds").replace("+00:00", "Z")
    await add_change_row(store, ChangeRow(old, tenant, "user.created", "u1"))
    for target in (PATH, "/admin/v1/webhooks"):
        answer = (await scim.admin_call("GET", target)).json()
        [found] = answer.get("items", [answer])
        assert (found["failure"], found["isDispatched"]) == ("HTTP 500: oops", True)
        assert found["backlog"]["events"] == 1
        ends = datetime.fromisoformat(found["losesEventsAt"]) - datetime.now(UTC)
        assert timedelta(days=5) < ends < timedelta(days=7)


@pytest.mark.parametrize("name", ["get", "put", "delete_at", "page"])
async def test_a_database_that_does_not_answer_is_unavailable(
    scim: Scim, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    async def down(*_arguments: Any, **_options: Any) -> None:
        raise Unavailable("down")

    assert (await scim.admin_call("GET", PATH)).status_code == 200
    monkeypatch.setattr(type(scim.service.store.webhooks), name, down)
    method = {"put": "PUT", "delete_at": "DELETE"}.get(name, "GET")
    content = json.dumps(body()).encode() if method == "PUT" else b""
    target = "/admin/v1/webhooks" if name == "page" else PATH
    revision = None if method == "GET" else UNKNOWN_REVISION
    response = await scim.admin_call(method, target, body=content, revision=revision)
    assert refused(response) == (503, "Unavailable")


async def test_webhooks_are_not_on_the_public_port(scim: Scim) -> None:
    for path in ("/admin/v1/webhooks", PATH):
        assert (await scim.client.get(f"https://scim.test{path}")).status_code == 404
