"""This operator with an API of another release: it reads the old one's answers and is understood by it. And an
operator of another release with a ScimToken of the present CRD.
"""

import json
from collections.abc import Callable
from typing import Annotated, Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import BaseModel, StringConstraints, ValidationError

from scim_api.contract.admin import Connection, PutConnection, TenantSettings
from scim_operator.adapters.admin_api import HttpAdminApi
from scim_operator.api.scimtoken import ScimToken, ScimTokenSpec
from scim_operator.planning.actions import ObservedState, Refuse
from scim_operator.planning.planner import plan
from scim_operator.planning.ports import Conflict, Key, ScimApiRejected
from support.recorded import CALLS, call, missing, with_news

KEY = Key("team", "entra")


class SpecBeforeUntilInUse(ScimTokenSpec):
    """As it was before ``overlap`` took ``untilInUse``."""

    overlap: Annotated[
        str, StringConstraints(pattern=r"^(untilExpiry|0s|[1-9][0-9]{0,8}[smhd])$", max_length=11)
    ] = "untilExpiry"


class PutConnectionBeforeAccess(BaseModel):
    """What the release before reads of a PUT, as far as ``access`` touches it."""

    tenant: str
    settings: TenantSettings = TenantSettings()


OPTIONAL = ["tenant", "settings", "settingsHash", "credentials", "revoked", "resources", "purging"]
Change = Callable[[Any], Any]


def api(answer: Any, status: int = 200, sent: list[httpx.Request] | None = None) -> HttpAdminApi:
    """A client whose API answers with this."""

    def handle(request: httpx.Request) -> httpx.Response:
        if sent is not None:
            sent.append(request)
        return httpx.Response(status, content=json.dumps(answer))

    client = httpx.AsyncClient(transport=httpx.MockTransport(handle))
    return HttpAdminApi("http://internal.test", Ed25519PrivateKey.generate(), "installation", client)


@pytest.mark.parametrize("change", [lambda same: same, with_news], ids=["older", "newer"])
async def test_answers_of_another_release_are_read(change: Change) -> None:
    read = call("a read, with a last use and a tombstone")
    found = await api(change(read["answer"])).get(KEY)
    assert [item.id for item in found.credentials] == ["0123456789abcd00"]
    assert found.credentials[0].user_agent == "Azure-AD-SCIM"
    assert found.credentials[0].last_used_at is not None
    assert found.revoked == ("0123456789abcd01",)
    assert found.settings is not None
    assert found.settings.deletion_policy == "Delete"
    page = await api(change(call("all, page by page")["answer"])).page(after=None, limit=500)
    assert [item.name for item in page.items] == ["entra"]


@pytest.mark.parametrize("absent", OPTIONAL)
async def test_an_answer_without_what_is_not_essential_is_read(absent: str) -> None:
    answer = {**call("a read, with a last use and a tombstone")["answer"]}
    del answer[absent]
    assert (await api(answer).get(KEY)).revision == answer["revision"]


@pytest.mark.parametrize("change", [lambda same: same, with_news], ids=["older", "newer"])
async def test_refusals_of_another_release_are_taken_for_what_they_are(change: Change) -> None:
    late = call("a write decided on an older revision")
    with pytest.raises(Conflict):
        await api(change(late["answer"]), late["status"]).put(KEY, PutConnection(tenant="t"), revision="0")
    conflict = call("a tenant that another opens with other settings")
    with pytest.raises(ScimApiRejected) as caught:
        await api(change(conflict["answer"]), conflict["status"]).put(
            KEY, PutConnection(tenant="t"), revision="0"
        )
    assert caught.value.code == "SettingsConflict"
    assert {"groups", "customFields", "deletionPolicy"} <= set(caught.value.fields)


@pytest.mark.parametrize("recorded", [item for item in CALLS if item["body"]], ids=lambda item: item["what"])
async def test_what_is_sent_has_all_that_the_older_api_reads(recorded: dict[str, Any]) -> None:
    sent: list[httpx.Request] = []
    answer = call("the first token")["answer"]
    wanted = PutConnection.model_validate(recorded["body"])
    _, _, namespace, name = recorded["target"].rsplit("/", 3)
    await api(answer, sent=sent).put(Key(namespace, name), wanted, revision=recorded["ifMatch"].strip('"'))
    (request,) = sent
    assert missing(recorded["body"], json.loads(request.content)) == []
    assert (request.method, request.url.raw_path.decode()) == (recorded["method"], recorded["target"])
    assert request.headers["if-match"] == recorded["ifMatch"]
    assert request.headers["content-type"] == recorded["contentType"]
    token = request.headers["authorization"].removeprefix("Bearer ")
    claims = jwt.decode(token, options={"verify_signature": False})
    assert missing(recorded["jwtClaims"], claims) == []
    assert missing(recorded["jwtHeader"], jwt.get_unverified_header(token)) == []
    for name in ("iss", "htm", "htu", "ifm"):
        assert claims[name] == recorded["jwtClaims"][name]
    assert claims["exp"] - claims["iat"] == recorded["jwtClaims"]["exp"] - recorded["jwtClaims"]["iat"]


def test_every_recorded_field_of_a_connection_still_means_something() -> None:
    """A field that the model lost would be ignored without a word."""
    answers = call("a read, with a last use and a tombstone")["answer"]
    first = {field.alias for field in Connection.model_fields.values()}
    assert set(answers) <= first
    assert {"now", "revision", "credentials", "revoked", "settings"} <= set(answers)


def test_an_older_operator_says_that_it_does_not_understand_until_in_use(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("scim_operator.api.scimtoken.ScimTokenSpec", SpecBeforeUntilInUse)
    token = ScimToken.from_object(
        {"metadata": {"name": "entra", "namespace": "team"}, "spec": {"overlap": "untilInUse"}}
    )
    assert token.spec is None
    connection = Connection.model_validate(call("a read, with a last use and a tombstone")["answer"])
    refusal = plan(ObservedState(connection, token, None), "https://scim.example.com/scim/v2")
    assert isinstance(refusal, Refuse)
    assert refusal.reason == "NotUnderstood"
    assert "spec.overlap" in refusal.message


async def test_an_api_of_the_release_before_refuses_what_it_would_let_write() -> None:
    sent: list[httpx.Request] = []
    wanted = PutConnection(tenant="t", settings=None, access="ReadOnly")
    await api(call("the first token")["answer"], sent=sent).put(KEY, wanted, revision="0")
    with pytest.raises(ValidationError):
        PutConnectionBeforeAccess.model_validate_json(sent[0].content)


def test_a_call_of_the_release_before_says_nothing_of_access() -> None:
    recorded = call("the first token")
    assert PutConnection.model_validate(recorded["body"]).access is None
    assert Connection.model_validate(recorded["answer"]).access is None
