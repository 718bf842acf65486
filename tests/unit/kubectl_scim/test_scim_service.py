"""The SCIM service as people ask it: what is sent, what an answer means, and what is told when there is none."""

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest

from kubectl_scim.credential import Credential
from kubectl_scim.scim_service import USER_AGENT, Connection, ScimService
from scim_console.model import Denied, Directory, HistoryQuery, Missing, Unreachable

BEARER = Credential("team", "entra", "entra-scim-token", False, "https://x/scim/v2", token="sct_1")
CLIENT = Credential(
    "team", "entra", "entra-scim-token", False, "https://x/scim/v2", client_id="c", client_secret="s"
)
Handler = Callable[[httpx.Request], httpx.Response]


class World:
    """A service that answers what a test says, and what it was asked."""

    def __init__(self) -> None:
        self.requests: list[httpx.Request] = []
        self.answers: list[httpx.Response | Exception] = []
        self.credentials: list[Credential] = [BEARER]
        self.slept: list[float] = []
        self.roots = 0

    def handle(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def wait(self, timeout: float | None = None) -> bool:
        self.slept.append(timeout or 0)
        return False

    def root(self) -> str:
        self.roots += 1
        return "http://127.0.0.1:1"

    def credential(self) -> Credential:
        return self.credentials.pop(0)

    def connection(self, **more: Any) -> Connection:
        return Connection(
            self.root,
            self.credential,
            transport=httpx.MockTransport(self.handle),
            sleep=self.slept.append,
            **more,
        )

    @property
    def queries(self) -> list[dict[str, str]]:
        return [
            {key: value[0] for key, value in parse_qs(one.url.query.decode()).items()}
            for one in self.requests
        ]

    @property
    def tokens(self) -> list[str]:
        return [one.headers["authorization"] for one in self.requests]


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def service(world: World) -> ScimService:
    return ScimService(world.connection())


def answer(status: int = 200, body: Any = None, **headers: str) -> httpx.Response:
    return httpx.Response(
        status, json=body, headers={key.replace("_", "-"): value for key, value in headers.items()}
    )


def error(status: int, detail: str, scim_type: str | None = None) -> httpx.Response:
    return answer(status, {"status": str(status), "detail": detail, "scimType": scim_type})


def listed(*resources: Any, total: int | None = None) -> httpx.Response:
    return answer(
        200, {"totalResults": len(resources) if total is None else total, "Resources": list(resources)}
    )


def test_it_is_a_directory(service: ScimService) -> None:
    directory: Directory = service
    assert directory is service


def test_each_request_names_the_plugin_and_has_the_credential(world: World, service: ScimService) -> None:
    world.answers = [listed({"id": "1"}, total=7)]
    page = service.users('userName co "ada"', 11, 10)
    assert (page.total, page.resources) == (7, [{"id": "1"}])
    [request] = world.requests
    assert request.headers["user-agent"] == USER_AGENT
    assert USER_AGENT.startswith("kubectl-scim/0")
    assert world.tokens == ["Bearer sct_1"]
    assert request.url.path == "/scim/v2/Users"
    assert world.queries == [
        {"filter": 'userName co "ada"', "startIndex": "11", "count": "10", "sortBy": "userName"}
    ]


def test_groups_come_without_members_and_by_name(world: World, service: ScimService) -> None:
    world.answers = [listed()]
    assert service.groups(None, 1, 5).resources == []
    assert world.requests[0].url.path == "/scim/v2/Groups"
    assert world.queries == [
        {"startIndex": "1", "count": "5", "sortBy": "displayName", "excludedAttributes": "members"}
    ]


def test_too_many_to_sort_come_as_they_are(world: World, service: ScimService) -> None:
    world.answers = [error(400, "too many", "tooMany"), listed({"id": "1"})]
    assert service.users(None, 1, 5).total == 1
    assert "sortBy" not in world.queries[1]


def test_a_filter_that_is_none_is_told_as_the_service_says(world: World, service: ScimService) -> None:
    world.answers = [error(400, "nam is no attribute", "invalidFilter")]
    with pytest.raises(ValueError, match="nam is no attribute"):
        service.users("nam eq 1", 1, 5)


def test_one_is_read_by_an_id_that_stays_one_segment(world: World, service: ScimService) -> None:
    world.answers = [answer(200, {"id": "a/b"}), answer(200, {"id": "g"}), error(404, "no such user")]
    assert service.user("a/b")["id"] == "a/b"
    assert service.group("g")["id"] == "g"
    with pytest.raises(Missing, match="no such user"):
        service.user("?")
    assert [one.url.raw_path for one in world.requests] == [
        b"/scim/v2/Users/a%2Fb",
        b"/scim/v2/Groups/g",
        b"/scim/v2/Users/%3F",
    ]


def test_the_history_is_asked_for_what_is_wanted_and_no_more(world: World, service: ScimService) -> None:
    world.answers = [
        answer(200, {"changes": [{"id": "1"}], "next": "n"}),
        answer(200, {"changes": [], "next": None}),
    ]
    full = HistoryQuery(
        "u", "e", "t1", frozenset({"user.deleted", "user.created"}), datetime(2026, 11, 1, tzinfo=UTC),
        datetime(2026, 11, 2, tzinfo=UTC), "a", 7,
    )  # fmt: skip
    page = service.history(full)
    assert (page.changes, page.next) == ([{"id": "1"}], "n")
    assert service.history(HistoryQuery()).next is None
    assert world.requests[0].url.path == "/changes/v1/history"
    assert world.queries == [
        {
            "resourceId": "u", "externalId": "e", "credential": "t1", "types": "user.created,user.deleted",
            "since": "2026-11-01T00:00:00+00:00", "until": "2026-11-02T00:00:00+00:00", "after": "a", "limit": "7",
        },
        {"limit": "100"},
    ]  # fmt: skip


def test_a_service_without_history_is_told(world: World, service: ScimService) -> None:
    world.answers = [answer(404)]
    with pytest.raises(Unreachable, match="there is no /changes/v1/history"):
        service.history(HistoryQuery())


def test_the_feed_is_followed_from_now_on_and_gone_on_with_after_a_failure(
    world: World, service: ScimService
) -> None:
    stop = threading.Event()
    world.answers = [
        answer(200, {"changes": [], "next": "c1", "hasMore": False}),
        answer(200, {"changes": [{"id": "1"}, {"id": "2"}], "next": "c2", "hasMore": False}),
        answer(503),
        answer(200, {"changes": [{"id": "3"}], "next": "c3", "hasMore": False}),
    ]
    stop.wait = world.wait  # type: ignore[method-assign]
    found = service.follow(stop, frozenset({"user.created"}))
    assert len(world.queries) == 1, "what comes after the call is told, however late it is read"
    assert [next(found)["id"] for _ in range(3)] == ["1", "2", "3"]
    stop.set()
    assert list(found) == []
    assert world.queries == [
        {"after": "now"},
        *({"after": cursor, "types": "user.created", "wait": "10"} for cursor in ("c1", "c2", "c2")),
    ]
    assert world.slept == [1.0]


def test_a_feed_that_fails_again_and_again_is_told(world: World, service: ScimService) -> None:
    stop = threading.Event()
    stop.wait = world.wait  # type: ignore[method-assign]
    once = answer(200, {"changes": [], "next": "c"})
    world.answers = [answer(503), once, *(answer(503) for _ in range(6))]
    with pytest.raises(Unreachable, match="503"):
        list(service.follow(stop))
    assert world.slept == [1.0, 2.0, 4.0, 8.0, 16.0]


def test_the_feed_is_followed_from_a_cursor_that_was_taken_before(world: World, service: ScimService) -> None:
    world.answers = [
        answer(200, {"changes": [], "next": "c1"}),
        answer(200, {"changes": [{"id": "1"}], "next": "c2"}),
        error(410, "expired", "expiredCursor"),
    ]
    head = service.head()
    found = service.follow(threading.Event(), after=head)
    assert next(found) == {"id": "1"}
    assert [one["after"] for one in world.queries] == ["now", "c1"]


def test_a_cursor_that_leads_nowhere_is_told(world: World, service: ScimService) -> None:
    world.answers = [error(410, "expired", "expiredCursor")]
    with pytest.raises(Unreachable, match="begin again"):
        service.head()


def test_a_credential_that_was_rotated_is_read_again(world: World, service: ScimService) -> None:
    world.credentials.append(
        Credential("team", "entra", "entra-scim-token", False, "https://x/scim/v2", token="sct_2")
    )
    world.answers = [answer(401), listed(), listed()]
    service.users(None, 1, 1)
    service.users(None, 1, 1)
    assert world.tokens == ["Bearer sct_1", "Bearer sct_2", "Bearer sct_2"]


def test_one_that_is_not_accepted_is_told_with_what_to_type(world: World, service: ScimService) -> None:
    world.credentials.append(BEARER)
    world.answers = [answer(401), answer(401)]
    with pytest.raises(Denied, match=r"Secret entra-scim-token.*kubectl scim rotate entra -n team") as raised:
        service.users(None, 1, 1)
    assert "sct_1" not in str(raised.value)


def test_an_access_token_is_fetched_in_the_plugins_name_and_again_when_it_has_ended(
    world: World, service: ScimService
) -> None:
    world.credentials = [CLIENT, CLIENT]
    world.answers = [
        answer(200, {"access_token": "sca_1"}), listed(), answer(401), answer(200, {"access_token": "sca_2"}), listed(),
    ]  # fmt: skip
    service.users(None, 1, 1)
    service.users(None, 1, 1)
    assert [one.url.path for one in world.requests] == [
        "/oauth2/token", "/scim/v2/Users", "/scim/v2/Users", "/oauth2/token", "/scim/v2/Users",
    ]  # fmt: skip
    assert world.requests[0].headers["user-agent"] == USER_AGENT
    assert world.requests[0].content == b"grant_type=client_credentials"
    assert world.tokens[1::3] == ["Bearer sca_1", "Bearer sca_2"]
    assert world.tokens[0].startswith("Basic ")


@pytest.mark.parametrize(("status", "raises"), [(401, Denied), (400, Denied), (404, Unreachable)])
def test_a_token_endpoint_that_refuses_is_told(
    world: World, service: ScimService, status: int, raises: type[Exception]
) -> None:
    world.credentials, world.answers = [CLIENT], [answer(status, {"error": "invalid_client"})]
    with pytest.raises(raises):
        service.users(None, 1, 1)


def test_it_waits_as_long_as_it_is_told_to(world: World, service: ScimService) -> None:
    world.answers = [answer(429, retry_after="3"), answer(429), listed()]
    service.users(None, 1, 1)
    assert world.slept == [3.0, 1.0]


def test_it_does_not_wait_for_ever(world: World, service: ScimService) -> None:
    world.answers = [answer(429, retry_after="25") for _ in range(3)]
    with pytest.raises(Unreachable, match="rateLimit"):
        service.users(None, 1, 1)
    assert world.slept == [25.0, 25.0]


def test_a_way_that_has_ended_is_opened_again_once(world: World, service: ScimService) -> None:
    world.answers = [httpx.ReadError("gone"), listed()]
    assert service.users(None, 1, 1).total == 0
    assert world.roots == 2
    world.answers = [httpx.ConnectError("refused"), httpx.ConnectError("refused")]
    with pytest.raises(Unreachable, match=r"127\.0\.0\.1:1 does not answer \(refused\): kubectl get pods"):
        service.users(None, 1, 1)


def test_a_write_is_sent_again_only_when_nobody_has_taken_it(world: World) -> None:
    connection = world.connection()
    world.answers = [httpx.ConnectError("refused"), answer(201, {"id": "1"})]
    assert connection.send("POST", "/scim/v2/Users", body={"a": 1}).status == 201
    assert json.loads(world.requests[-1].content) == {"a": 1}
    assert world.requests[-1].headers["content-type"] == "application/scim+json"
    world.answers = [httpx.ReadTimeout("late")]
    with pytest.raises(Unreachable, match="late"):
        connection.send("POST", "/scim/v2/Users", body={})


def test_a_certificate_of_a_strange_authority_is_told_with_the_remedy(
    world: World, service: ScimService
) -> None:
    failure = ssl.SSLCertVerificationError("[SSL: CERTIFICATE_VERIFY_FAILED] unable to get local issuer")
    world.answers = [httpx.ConnectError(str(failure)), httpx.ConnectError(str(failure))]
    with pytest.raises(Unreachable, match="SSL_CERT_FILE"):
        service.users(None, 1, 1)


@pytest.mark.parametrize(
    ("response", "raises", "said"),
    [
        (error(403, "ReadOnly"), Denied, "ReadOnly"),
        (error(503, "the database does not answer"), Unreachable, "the database does not answer"),
        (httpx.Response(502, text="<html>bad gateway"), Unreachable, "502"),
        (httpx.Response(200, text="<html>hello"), Unreachable, "what answers is not the SCIM API"),
        (answer(302, location="https://elsewhere"), Unreachable, "what answers is not the SCIM API"),
    ],
)
def test_what_is_no_answer_is_told(
    world: World, service: ScimService, response: httpx.Response, raises: type[Exception], said: str
) -> None:
    world.answers = [response]
    with pytest.raises(raises, match=said):
        service.users(None, 1, 1)


@pytest.fixture
def without_proxies(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    yield


def test_a_port_of_this_machine_is_asked_without_the_machines_proxy(
    world: World, without_proxies: None
) -> None:
    assert not world.connection()._http.trust_env
    assert world.connection(over_network=True)._http.trust_env
