"""The port ``Graph`` over HTTP: which requests each call makes, when it tries again, and when it does not ask at all."""

import asyncio
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from scim_operator.adapters.entra_login import EntraLogin
from scim_operator.adapters.entra_pace import EntraPace
from scim_operator.adapters.graph import GraphClient
from scim_operator.planning.entra.clouds import Clouds
from scim_operator.planning.entra.ports import (
    BearerCredentials,
    EntraError,
    Graph,
    Job,
    Obstacle,
    OnDemandResult,
    RestartScope,
)
from scim_operator.planning.ports import NotLeading
from support.microsoft import (
    APPLICATION,
    BEARER,
    JOB,
    JOB_ID,
    NOW,
    OAUTH,
    PRINCIPAL,
    REQUEST_ID,
    SECRET,
    Microsoft,
    graph_error,
    sign_in_error,
)

SCHEMA = {"synchronizationRules": [{"id": "rule-1", "objectMappings": [{"sourceObjectName": "User"}]}]}
DONE = {"key": json.dumps({"result": "Success", "details": {}}), "value": "{}"}
Call = Callable[[Graph], Any]
WRITES: dict[str, Call] = {
    "save": lambda graph: graph.save(APPLICATION, SECRET, OAUTH),
    "start": lambda graph: graph.start(APPLICATION, SECRET, JOB_ID),
    "restart": lambda graph: graph.restart(APPLICATION, SECRET, JOB_ID, RestartScope.QUARANTINE_STATE),
    "provisionOnDemand": lambda graph: graph.provision_on_demand(APPLICATION, SECRET, JOB_ID, "object"),
}
READS: dict[str, Call] = {
    "jobs": lambda graph: graph.jobs(APPLICATION, SECRET),
    "job": lambda graph: graph.job(APPLICATION, SECRET, JOB_ID),
    "validate": lambda graph: graph.validate(APPLICATION, SECRET, JOB, BEARER),
}
EACH = pytest.mark.parametrize("call", [*WRITES.values(), *READS.values()], ids=[*WRITES, *READS])
EACH_WRITE = pytest.mark.parametrize("call", WRITES.values(), ids=WRITES)


class World:
    """A Graph client with Microsoft's side, the clock and leadership in the test's hands."""

    def __init__(self) -> None:
        self.microsoft, self.now, self.leading = Microsoft(), 1000.0, True
        self.guarded_after: list[int] = []
        self.counted: list[tuple[str, str]] = []
        self.microsoft.graph = self.usual
        client = self.microsoft.client()
        pace = EntraPace(1000, clock=lambda: self.now)
        login = EntraLogin(
            client,
            self.no_account,
            Clouds(),
            pace,
            requested=self.count,
            clock=lambda: self.now,
            now=lambda: NOW,
        )
        self.graph: Graph = GraphClient(
            client, login, Clouds(), pace, guard=self.guard, requested=self.count, now=lambda: NOW
        )

    async def no_account(self, _namespace: str, _name: str, _audience: str) -> str:
        raise AssertionError("nobody signs in as a ServiceAccount here")

    def count(self, operation: str, outcome: str) -> None:
        self.counted.append((operation, outcome))

    def guard(self) -> None:
        self.guarded_after.append(len(self.microsoft.requests))
        if not self.leading:
            raise NotLeading("lost")

    @staticmethod
    def usual(request: httpx.Request) -> httpx.Response:
        contents: dict[str, Any] = {
            "jobs": {"value": [{"id": JOB_ID}]},
            JOB_ID: {"id": JOB_ID},
            "schema": SCHEMA,
            "provisionOnDemand": DONE,
        }
        last = request.url.path.rpartition("/")[2]
        return httpx.Response(200, json=contents[last]) if last in contents else httpx.Response(204)

    def answers(self, status: int, content: Any = None, **headers: str) -> None:
        """Graph answers everything so."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.microsoft.graph = lambda _request: httpx.Response(status, json=content, headers=named)

    async def refused(self, call: Call) -> EntraError:
        with pytest.raises(EntraError) as told:
            await call(self.graph)
        return told.value


@pytest.fixture
def world() -> World:
    return World()


async def test_jobs_are_read(world: World) -> None:
    assert await world.graph.jobs(APPLICATION, SECRET) == [Job(JOB_ID, "", "", "")]
    assert await world.graph.job(APPLICATION, SECRET, JOB_ID) == Job(JOB_ID, "", "", "")
    request = world.microsoft.requests[1]
    assert str(request.url) == (
        f"https://graph.microsoft.com/v1.0/servicePrincipals/{PRINCIPAL}/synchronization/jobs"
    )
    assert request.headers["authorization"] == "Bearer access-1"
    assert request.headers["client-request-id"]
    assert world.guarded_after == []


async def test_each_request_is_counted_with_what_came_of_it(world: World) -> None:
    await world.graph.jobs(APPLICATION, SECRET)
    assert world.counted == [("sign-in", "success"), ("jobs", "success")]
    world.counted.clear()
    world.answers(401, graph_error("UnknownError"))
    refused = (await world.refused(READS["job"])).obstacle.value
    assert world.counted == [("job", refused), ("sign-in", "success"), ("job", refused)]
    world.counted.clear()
    world.microsoft.login = lambda _request: httpx.Response(401, json=sign_in_error(7000222))
    refused = (await world.refused(READS["jobs"])).obstacle.value
    assert world.counted == [("sign-in", refused)]
    world.counted.clear()
    world.microsoft.login = out_of_reach
    await world.refused(READS["jobs"])
    assert world.counted == [("sign-in", Obstacle.UNREACHABLE.value)]


def out_of_reach(_request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("no")


async def test_a_bearer_token_is_saved_after_a_look_at_what_is_saved(world: World) -> None:
    await world.graph.save(APPLICATION, SECRET, BEARER)
    assert world.microsoft.asked == ["GET secrets", "PUT secrets"]
    assert json.loads(world.microsoft.requests[-1].content) == {
        "value": [
            {"key": "BaseAddress", "value": BEARER.endpoint},
            {"key": "SecretToken", "value": BEARER.token},
        ]
    }


async def test_a_bearer_token_after_oauth_is_saved_with_the_way_to_sign_in(world: World) -> None:
    saved = {"value": [{"key": "AuthenticationType", "value": "OAuth2ClientCredentialsGrant"}]}
    world.answers(200, saved)
    await world.graph.save(APPLICATION, SECRET, BEARER)
    assert world.microsoft.asked == ["GET secrets", "PATCH connectivityParameters"]
    assert "/beta/" in world.microsoft.requests[-1].url.path


async def test_client_credentials_are_saved_with_one_request(world: World) -> None:
    await world.graph.save(APPLICATION, SECRET, OAUTH)
    assert world.microsoft.asked == ["PATCH connectivityParameters"]


async def test_a_job_is_validated_started_and_restarted(world: World) -> None:
    await world.graph.validate(APPLICATION, SECRET, JOB, None)
    await world.graph.start(APPLICATION, SECRET, JOB_ID)
    await world.graph.restart(APPLICATION, SECRET, JOB_ID, RestartScope.QUARANTINE_STATE)
    assert world.microsoft.asked == [
        f"POST jobs/{JOB_ID}/{verb}" for verb in ("validateCredentials", "start", "restart")
    ]


async def test_the_rule_for_users_is_looked_up_once(world: World) -> None:
    for _ in range(2):
        result = await world.graph.provision_on_demand(APPLICATION, SECRET, JOB_ID, "object")
        assert result == OnDemandResult("Success", "no details")
    assert world.microsoft.asked == [
        f"GET jobs/{JOB_ID}/schema",
        f"POST jobs/{JOB_ID}/provisionOnDemand",
        f"POST jobs/{JOB_ID}/provisionOnDemand",
    ]
    assert json.loads(world.microsoft.requests[-1].content)["parameters"][0]["ruleId"] == "rule-1"


async def test_a_rule_that_graph_refuses_is_looked_up_again(world: World) -> None:
    await world.graph.provision_on_demand(APPLICATION, SECRET, JOB_ID, "object")
    world.answers(400, graph_error("BadRequest", "ruleId"))
    assert (await world.refused(WRITES["provisionOnDemand"])).obstacle is Obstacle.REQUEST_REFUSED
    world.microsoft.graph = world.usual
    await world.graph.provision_on_demand(APPLICATION, SECRET, JOB_ID, "object")
    assert world.microsoft.asked.count(f"GET jobs/{JOB_ID}/schema") == 2


async def test_a_job_without_a_mapping_for_users_is_told(world: World) -> None:
    world.answers(200, {"synchronizationRules": []})
    error = await world.refused(WRITES["provisionOnDemand"])
    assert error.obstacle is Obstacle.REQUEST_REFUSED
    assert "Provision Microsoft Entra ID Users" in error.message


async def test_a_sixth_provisioning_on_demand_at_once_is_not_sent(world: World) -> None:
    for _ in range(5):
        await world.graph.provision_on_demand(APPLICATION, SECRET, JOB_ID, "object")
    before = len(world.microsoft.requests)
    error = await world.refused(WRITES["provisionOnDemand"])
    assert (error.obstacle, error.retry_after) == (Obstacle.UNREACHABLE, timedelta(seconds=2))
    assert len(world.microsoft.requests) == before


@EACH_WRITE
async def test_every_write_asks_whether_this_process_leads_right_before_it(world: World, call: Call) -> None:
    await call(world.graph)
    assert world.guarded_after == [len(world.microsoft.requests) - 1]


@EACH_WRITE
async def test_nothing_is_written_by_a_process_that_does_not_lead(world: World, call: Call) -> None:
    world.leading = False
    with pytest.raises(NotLeading):
        await call(world.graph)
    assert [asked for asked in world.microsoft.asked if not asked.startswith("GET")] == []


async def test_leadership_is_asked_after_the_wait_for_the_rate(world: World) -> None:
    async def lose_the_lease(seconds: float) -> None:
        world.now += seconds
        world.leading = False

    client = world.microsoft.client()
    pace = EntraPace(1, clock=lambda: world.now, sleep=lose_the_lease)
    fast = EntraPace(1000, clock=lambda: world.now)
    login = EntraLogin(client, world.no_account, Clouds(), fast, clock=lambda: world.now)
    graph = GraphClient(client, login, Clouds(), pace, guard=world.guard)
    await graph.start(APPLICATION, SECRET, JOB_ID)
    with pytest.raises(NotLeading):
        await graph.start(APPLICATION, SECRET, JOB_ID)


async def test_leadership_is_asked_again_before_a_write_is_sent_again(world: World) -> None:
    await world.graph.jobs(APPLICATION, SECRET)

    def refuse(_request: httpx.Request) -> httpx.Response:
        world.leading = False
        return httpx.Response(401, json=graph_error("UnknownError"))

    world.microsoft.graph = refuse
    with pytest.raises(NotLeading):
        await world.graph.start(APPLICATION, SECRET, JOB_ID)
    assert world.microsoft.asked == ["GET jobs", f"POST jobs/{JOB_ID}/start"]


@EACH
@pytest.mark.parametrize("status", [401, 403])
async def test_a_cached_token_that_is_refused_is_fetched_anew_once(
    world: World, call: Call, status: int
) -> None:
    await world.graph.jobs(APPLICATION, SECRET)

    def only_a_new_one(request: httpx.Request) -> httpx.Response:
        if request.headers["authorization"] == "Bearer access-1":
            return httpx.Response(status, json=graph_error("UnknownError"))
        return world.usual(request)

    world.microsoft.graph = only_a_new_one
    await call(world.graph)
    assert world.microsoft.issued == 2


async def test_a_missing_grant_costs_one_try_with_a_new_token_each_time(world: World) -> None:
    world.answers(401, graph_error("UnknownError"))
    for times in (1, 2, 3):
        error = await world.refused(READS["jobs"])
        assert error.obstacle is Obstacle.PERMISSION_MISSING
        assert (world.microsoft.issued, len(world.microsoft.asked)) == (times, times)


async def test_a_cached_token_and_a_missing_grant_cost_two_tries_and_no_more(world: World) -> None:
    await world.graph.jobs(APPLICATION, SECRET)
    world.answers(403, graph_error("Authorization_RequestDenied"))
    assert (await world.refused(READS["jobs"])).obstacle is Obstacle.PERMISSION_MISSING
    assert world.microsoft.asked == ["GET jobs"] * 3


@EACH
@pytest.mark.parametrize("status", [302, 409, 500, 503])
async def test_nothing_else_is_tried_again_here(world: World, call: Call, status: int) -> None:
    world.answers(status, retry_after="7")
    error = await world.refused(call)
    assert (error.obstacle, error.retry_after) == (Obstacle.UNREACHABLE, timedelta(seconds=7))
    assert len(world.microsoft.asked) == 1


async def test_a_429_pauses_all_of_the_tenant_until_retry_after(world: World) -> None:
    world.answers(429, graph_error("TooManyRequests"), retry_after="30")
    assert (await world.refused(READS["jobs"])).retry_after == timedelta(seconds=30)
    world.microsoft.graph = world.usual
    world.now += 10
    assert (await world.refused(WRITES["start"])).retry_after == timedelta(seconds=20)
    assert len(world.microsoft.asked) == 1
    world.now += 20
    await world.graph.jobs(APPLICATION, SECRET)


async def test_test_connection_that_does_not_pass_is_told_without_the_credentials(world: World) -> None:
    for credentials, secret in ((BEARER, BEARER.token), (OAUTH, OAUTH.client_secret)):
        inner = {"code": "InvalidCredentials", "message": f"{secret} was refused"}
        world.answers(400, graph_error("CredentialValidationUnavailable", inner))
        with capture_logs() as logs, pytest.raises(EntraError) as told:
            await world.graph.validate(APPLICATION, SECRET, JOB, credentials)
        assert (told.value.obstacle, told.value.request_id) == (Obstacle.CREDENTIALS_REFUSED, REQUEST_ID)
        assert secret not in f"{told.value!r} {told.value} {logs}"


async def test_neither_access_token_nor_credentials_are_repeated(world: World) -> None:
    strange = BearerCredentials(BEARER.endpoint, "a token of another form")
    world.answers(400, graph_error("BadRequest", f"access-1 {SECRET.secret} {strange.token} end"))
    error = await world.refused(lambda graph: graph.validate(APPLICATION, SECRET, JOB, strange))
    assert "[hidden] [hidden] [hidden] end" in error.message


async def test_what_is_not_graph_is_told_with_the_setting(world: World) -> None:
    for call in (*READS.values(), WRITES["provisionOnDemand"]):
        world.microsoft.graph = lambda _request: httpx.Response(
            200, content=b"<html>sign in to the hotel</html>"
        )
        if call is READS["validate"]:
            continue
        error = await world.refused(call)
        assert "provisioning job has no mapping" in error.message or "ENTRA_GRAPH_URL" in error.message


async def test_a_write_is_logged_with_microsofts_id_and_no_value(world: World) -> None:
    world.answers(204, request_id=REQUEST_ID)
    with capture_logs() as logs:
        await world.graph.save(APPLICATION, SECRET, OAUTH)
    changed = [entry for entry in logs if entry["event"] == "changed in Entra"]
    assert [(entry["call"], entry["request_id"]) for entry in changed] == [("save", REQUEST_ID)]
    assert OAUTH.client_secret not in str(logs)
    assert "access-1" not in str(logs)


async def test_no_answer_of_graph_is_told_with_its_host(world: World) -> None:
    def refuse(_request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectTimeout("x")

    world.microsoft.graph = refuse
    error = await world.refused(READS["jobs"])
    assert error.obstacle is Obstacle.UNREACHABLE
    assert error.message.startswith("graph.microsoft.com does not answer")


@settings(max_examples=60, deadline=None)
@given(
    status=st.integers(200, 599),
    body=st.binary()
    | st.recursive(
        st.none() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["value", "error", "id"]), inner)
        ),
    ).map(lambda content: json.dumps(content).encode()),
    retry_after=st.text(st.characters(min_codepoint=32, max_codepoint=126)),
    login=st.booleans(),
)
def test_nothing_but_errors_of_ours_comes_of_any_answer(
    status: int, body: bytes, retry_after: str, login: bool
) -> None:
    def anything(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(status, content=body, headers={"retry-after": retry_after})

    async def try_all() -> None:
        for call in (*READS.values(), *WRITES.values()):
            world = World()
            if login:
                world.microsoft.login = anything
            else:
                world.microsoft.graph = anything
            try:
                await call(world.graph)
            except EntraError as error:
                assert error.message

    asyncio.run(try_all())
