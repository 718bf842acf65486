"""The admin API: only the operator's signed, fenced calls change what is accepted."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from api.conftest import Scim
from scim_api.contract.admin import UNKNOWN_REVISION
from scim_api.contract.signing import key_id, public_pem
from scim_api.contract.tokens import digest, new_token
from scim_api.store.errors import Unavailable

PATH = "/admin/v1/connections/team/entra"


def put_body(*tokens: str, tenant: str = "contoso", **settings: Any) -> bytes:
    now = datetime.now(UTC)
    return json.dumps(
        {
            "tenant": tenant,
            "settings": settings,
            "unknownFieldOfANewerOperator": 1,
            "credentials": [
                {
                    "id": digest(token).hex()[:16],
                    "digest": digest(token).hex(),
                    "issuedAt": now.isoformat(),
                    "expiresAt": (now + timedelta(days=1)).isoformat(),
                }
                for token in tokens
            ],
        }
    ).encode()


async def accepted(scim: Scim, token: str) -> bool:
    answer = await scim.client.get("/Users?count=0", headers={"authorization": f"Bearer {token}"})
    assert answer.status_code in {200, 401}
    return answer.status_code == 200


async def test_a_connection_that_never_was_has_the_first_revision(scim: Scim) -> None:
    body = (await scim.admin_call("GET", PATH)).json()
    assert (body["exists"], body["revision"], body["credentials"]) == (False, UNKNOWN_REVISION, [])
    assert datetime.fromisoformat(body["now"]).tzinfo is not None


async def test_a_put_makes_tokens_work_at_once_and_a_missing_one_is_revoked_at_once(scim: Scim) -> None:
    one, two = new_token(), new_token()
    first = await scim.admin_call("PUT", PATH, body=put_body(one), revision=UNKNOWN_REVISION)
    assert first.status_code == 200, first.text
    assert await accepted(scim, one)
    second = await scim.admin_call("PUT", PATH, body=put_body(one, two), revision=first.json()["revision"])
    assert await accepted(scim, one)
    assert await accepted(scim, two)
    third = await scim.admin_call("PUT", PATH, body=put_body(two), revision=second.json()["revision"])
    assert third.status_code == 200
    assert not await accepted(scim, one)
    assert await accepted(scim, two)
    assert third.json()["revoked"] == [digest(one).hex()[:16]]
    back = await scim.admin_call("PUT", PATH, body=put_body(one, two), revision=third.json()["revision"])
    assert (back.status_code, back.json()["code"]) == (409, "CredentialRevoked")


async def test_a_write_decided_on_an_older_revision_changes_nothing(scim: Scim) -> None:
    one, two = new_token(), new_token()
    first = await scim.admin_call("PUT", PATH, body=put_body(one), revision=UNKNOWN_REVISION)
    stale = await scim.admin_call("PUT", PATH, body=put_body(two), revision=UNKNOWN_REVISION)
    assert (stale.status_code, stale.json()["code"]) == (412, "RevisionMismatch")
    stale = await scim.admin_call("DELETE", PATH, revision=UNKNOWN_REVISION)
    assert stale.status_code == 412
    assert await accepted(scim, one)
    assert not await accepted(scim, two)
    gone = await scim.admin_call("DELETE", PATH, revision=first.json()["revision"])
    assert (gone.status_code, gone.json()["exists"]) == (200, False)
    late = await scim.admin_call("PUT", PATH, body=put_body(two), revision=UNKNOWN_REVISION)
    assert late.status_code == 412, "a deleted connection does not come back by an old call"
    assert not await accepted(scim, one)


async def test_a_write_without_if_match_is_refused(scim: Scim) -> None:
    answer = await scim.admin_call("PUT", PATH, body=put_body(new_token()))
    assert (answer.status_code, answer.json()["code"]) == (400, "Invalid")


async def test_the_same_state_again_keeps_the_revision(scim: Scim) -> None:
    body = put_body(new_token())
    first = await scim.admin_call("PUT", PATH, body=body, revision=UNKNOWN_REVISION)
    again = await scim.admin_call("PUT", PATH, body=body, revision=first.json()["revision"])
    assert again.json()["revision"] == first.json()["revision"]


async def test_a_body_is_json_whatever_its_content_type_says(scim: Scim) -> None:
    revision = UNKNOWN_REVISION
    for content_type in ("application/json", "text/plain", "application/x-www-form-urlencoded", None):
        body = put_body(new_token())
        headers = {} if content_type is None else {"content-type": content_type}
        response = await scim.admin_call("PUT", PATH, body=body, revision=revision, headers=headers)
        assert response.status_code == 200, content_type
        revision = response.json()["revision"]


async def test_every_connection_is_answered_with_its_revision_as_its_entity_tag(scim: Scim) -> None:
    put = await scim.admin_call("PUT", PATH, body=put_body(new_token()), revision=UNKNOWN_REVISION)
    get = await scim.admin_call("GET", PATH)
    delete = await scim.admin_call("DELETE", PATH, revision=put.json()["revision"])
    for response in (put, get, delete):
        assert response.headers["etag"] == f'"{response.json()["revision"]}"'


async def test_requests_are_counted_by_method_and_code_and_refusals_are_logged(scim: Scim) -> None:
    with structlog.testing.capture_logs() as events:
        await scim.admin_call("GET", PATH)
        await scim.admin.get(PATH)
        await scim.admin_call("PUT", PATH, body=put_body(new_token()), revision="stale")
    counted = {
        (sample.labels["method"], sample.labels["code"]): sample.value
        for metric in scim.service.metrics.admin_calls.collect()
        for sample in metric.samples
        if sample.name.endswith("_total")
    }
    assert counted == {("GET", "OK"): 1, ("GET", "Unauthorized"): 1, ("PUT", "RevisionMismatch"): 1}
    assert [(event["event"], event["method"], event["path"], event["code"]) for event in events] == [
        ("admin request refused", "GET", PATH, "Unauthorized"),
        ("admin request refused", "PUT", PATH, "RevisionMismatch"),
    ]


async def test_a_database_that_does_not_answer_is_unavailable(
    scim: Scim, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def down(*_arguments: Any, **_options: Any) -> None:
        raise Unavailable("down")

    assert (await scim.admin_call("GET", PATH)).status_code == 200
    monkeypatch.setattr(type(scim.service.store), "connection", down)
    response = await scim.admin_call("GET", PATH)
    assert (response.status_code, response.json()["code"]) == (503, "Unavailable")


async def test_a_renewed_operator_key_is_found_without_a_restart(scim: Scim, monkeypatch: Any) -> None:
    assert (await scim.admin_call("GET", PATH)).status_code == 200
    monkeypatch.setattr("scim_api.http.admin.trusted_keys.REREAD_SECONDS", 0.0)
    renewed = Ed25519PrivateKey.generate()
    assert (await scim.admin_call("GET", PATH, key=renewed)).status_code == 401
    (scim.keys_dir / f"{key_id(renewed.public_key())}.pem").write_text(public_pem(renewed))
    assert (await scim.admin_call("GET", PATH, key=renewed)).status_code == 200


async def test_a_second_connection_of_a_tenant_with_other_settings_is_refused_by_name(scim: Scim) -> None:
    other = "/admin/v1/connections/team/other"
    await scim.admin_call("PUT", PATH, body=put_body(new_token()), revision=UNKNOWN_REVISION)
    answer = await scim.admin_call(
        "PUT", other, body=put_body(token := new_token(), groups="Disabled"), revision=UNKNOWN_REVISION
    )
    assert (answer.status_code, answer.json()["code"]) == (409, "SettingsConflict")
    assert answer.json()["fields"] == ["groups"]
    assert not await accepted(scim, token)


async def test_matching_cannot_change(scim: Scim) -> None:
    first = await scim.admin_call("PUT", PATH, body=put_body(token := new_token()), revision=UNKNOWN_REVISION)
    answer = await scim.admin_call(
        "PUT", PATH, body=put_body(token, matching="userName"), revision=first.json()["revision"]
    )
    assert (answer.status_code, answer.json()["code"]) == (409, "MatchingImmutable")


async def test_a_tenant_of_a_namespace_that_is_gone_is_refused_with_what_to_do(scim: Scim) -> None:
    def owned(token: str, owner: str, namespace: str) -> bytes:
        uids = {"ownerUid": owner, "namespaceUid": namespace}
        return json.dumps(json.loads(put_body(token)) | uids).encode()

    first = owned(new_token(), "u1", "n1")
    held = await scim.admin_call("PUT", PATH, body=first, revision=UNKNOWN_REVISION)
    assert (held.status_code, held.json()["ownerUid"]) == (200, "u1")
    gone = await scim.admin_call("DELETE", PATH, revision=held.json()["revision"])
    body = owned(token := new_token(), "u2", "n2")
    answer = await scim.admin_call("PUT", PATH, body=body, revision=gone.json()["revision"])
    assert (answer.status_code, answer.json()["code"]) == (409, "NamespaceMismatch")
    assert "scim-api connection release-namespace" in answer.json()["message"]
    assert not await accepted(scim, token)


async def test_broken_admin_bodies_are_400_with_the_field(scim: Scim) -> None:
    for body in (
        b"",
        b"{",
        b"[]",
        b"\xff",
        b'{"tenant": 5}',
        b'{"tenant": "UPPER"}',
        b'{"tenant": "a", "credentials": [{}]}',
    ):
        answer = await scim.admin_call("PUT", PATH, body=body, revision=UNKNOWN_REVISION)
        assert (answer.status_code, answer.json()["code"]) == (400, "Invalid"), body
    assert (await scim.admin_call("GET", "/admin/v1/connections/Team/entra")).status_code == 400
    assert (await scim.admin_call("GET", "/admin/v1/connections?limit=0")).status_code == 400


async def test_all_connections_are_read_in_pages(scim: Scim) -> None:
    for number in range(5):
        path = f"/admin/v1/connections/team/c{number}"
        await scim.admin_call(
            "PUT", path, body=put_body(new_token(), tenant=f"t{number}"), revision=UNKNOWN_REVISION
        )
    seen, after = [], None
    while True:
        path = "/admin/v1/connections?limit=2" + (f"&after={after}" if after else "")
        page = (await scim.admin_call("GET", path)).json()
        seen += [item["name"] for item in page["items"]]
        after = page.get("next")
        if after is None:
            break
    assert seen == [f"c{number}" for number in range(5)]


async def test_health_readiness_and_metrics_are_on_the_internal_port_only(scim: Scim) -> None:
    for path in ("/healthz", "/readyz", "/metrics"):
        assert (await scim.admin.get(path)).status_code == 200
        assert (await scim.client.get(f"https://scim.test{path}")).status_code == 404
    assert (await scim.client.get(f"https://scim.test{PATH}")).status_code == 404
    assert "scim_api_requests_total" in (await scim.admin.get("/metrics")).text
