"""The service with its fast paths answers as it does without them: status, headers and bodies."""

import dataclasses
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import quote, quote_plus

import httpx
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.types import ASGIApp, Receive, Scope, Send

from api.conftest import Scim
from scim_api.core.messages import search_request
from scim_api.http.public import DirectRouter, public_app
from scim_api.http.request import ScimRequest
from scim_api.http.response import ScimResponse
from scim_api.http.scim import lists
from support import grammar
from support.conversation import Conversation, raw_request
from support.grammar import Request
from support.nearly_right import CUSTOM_FIELDS, mostly
from support.shared_scim import SHARED, Connect, connect, scim

__all__ = ["connect", "scim"]
pytestmark = SHARED

BOUNDED: Final = settings(
    max_examples=120,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
PREFIX: Final = "/scim/v2"
NAMES: Final = ("ada", "Zoë", "O'Brien", "a+b", "100%", "(x) y", "tab")
UUID: Final = re.compile(rb"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
DIFFERS: Final = re.compile(
    rb'(?:20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z)|(?:(?<="nextCursor":")[^"]*)',
)
"""What is another at each run: moments, and cursors, which hold keys of the database."""


async def _never(call: ScimRequest) -> ScimResponse | None:
    return None


@contextmanager
def plain_queries() -> Iterator[None]:
    """Every query takes the plain path."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lists, "_entra_fast_path", _never)
        yield


def respelled(app: ASGIApp, prefix: str) -> ASGIApp:
    """The application as it is reached under another spelling of ``/scim/v2``."""

    async def other(scope: Scope, receive: Receive, send: Send) -> None:
        path = prefix + scope["path"].removeprefix(PREFIX)
        await app({**scope, "path": path, "raw_path": path.encode()}, receive, send)

    return other


@dataclasses.dataclass
class Twice:
    """A service with and without its fast paths, and a tenant's people."""

    fast: ASGIApp
    plain: ASGIApp
    conversation: Conversation
    ids: dict[str, str]

    async def send(self, request: Request, *, fast: bool, prefix: str = PREFIX) -> httpx.Response:
        headers = [*self.conversation.headers.items(), *request.headers]
        if fast:
            app = respelled(self.fast, prefix)
            return await raw_request(app, request.method, request.target, headers, request.body)
        with plain_queries():
            app = respelled(self.plain, prefix)
            return await raw_request(app, request.method, request.target, headers, request.body)

    async def check(self, request: Request, prefix: str = PREFIX) -> httpx.Response:
        """A request that changes nothing is answered alike, byte for byte."""
        request = request.filled(self.ids)
        fast = await self.send(request, fast=True, prefix=prefix)
        plain = await self.send(request, fast=False, prefix=prefix)
        assert whole(fast) == whole(plain)
        return fast


def whole(answer: httpx.Response) -> tuple[int, Sequence[tuple[bytes, bytes]], bytes]:
    return answer.status_code, answer.headers.raw, answer.content


async def twice_of(scim: Scim, connect: Connect, people: Sequence[str] = NAMES) -> Twice:
    """A tenant of its own."""
    conversation = await connect(customFields=CUSTOM_FIELDS)
    ids = {}
    for number, name in enumerate(people):
        body = {
            "userName": name,
            "externalId": f"Ext {name}",
            "title": 'a "quote" \\ é',
            "emails": [{"type": "work", "value": f"{name}@x"}],
        }
        ids[f"u{number}"] = (await conversation.create(body))["id"]
    for number in range(2):
        ids[f"g{number}"] = (await conversation.create_group(f"group {number}", ids["u0"]))["id"]
    return Twice(public_app(scim.service), public_app(scim.service, shortcut=False), conversation, ids)


@pytest_asyncio.fixture(loop_scope="module")
async def twice(scim: Scim, connect: Connect) -> Twice:
    return await twice_of(scim, connect)


# -- requests that change nothing -------------------------------------------------------------------
_equalities = st.builds(
    lambda name, value, encode: "filter=" + encode(f'{name} eq "{value}"'),
    st.sampled_from(["userName", "externalId", 'emails[type eq "work"].value', "username", "id", "title"]),
    st.one_of(
        st.sampled_from(
            [*NAMES, "ADA", "ada@x", "Ext ada", "ext ada", "nobody", "", 'a "quote" \\ é', "\\u0061da"]
        ),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
    ),
    st.sampled_from([quote, quote_plus, lambda text: text.replace(" ", "+"), lambda text: text]),
)
_numbers = mostly(
    st.integers(0, 12).map(str),
    st.sampled_from(["007", "-1", "", "x", "1001", "1002", "999999999", "9" * 12]),
)
_pages = st.builds("startIndex={}&count={}".format, _numbers, _numbers)
_queries = st.builds(
    lambda query, more: query + more,
    st.one_of(_equalities, _pages),
    mostly(
        st.just(""),
        st.sampled_from(
            [
                "&attributes=userName",
                "&cursor=",
                "&count=1",
                "&sortBy=userName",
                "&x",
                "%ff",
                "&filter=title+pr",
            ]
        ),
    ),
)
_lists = st.builds(
    lambda method, path, query: Request(method, f"{path}?{query}"),
    mostly(st.just("GET"), st.sampled_from(["HEAD", "OPTIONS", "BREW"]), 10),
    mostly(st.just("/Users"), st.sampled_from(["/Groups", "/users", "//Users", "/Users/", "/Users//", ""])),
    _queries,
)
_paths = st.sampled_from(
    [
        "/Users/{u0}", "/Users/{u1}", "/Groups/{g0}", "/Groups/{u0}", "/Users/{g0}", "/users/{u0}", "/USERS/{u0}",
        "//Users//{u0}", "/Users/{u0}/", "/Users/{u0}//", "/Users/{u0}/x", "/Users/", "/Groups//", "/Users/.search",
        "/Users/.SEARCH", "/Groups/.Search", "/Users/.", "/Users/..", "/Users/.x", "/.search", "/Users/%2E",
        "/Users/%2Esearch", "/Users/%2F", "/Users/{u0}%2F", "/%55sers/{u0}", "/Users/%20", "/Users/a%0A", "/Users/%0A",
        "/Users/%00", "/Users/%ff", "/Users/{u0}%0A", "/Users/{u0};x=y", "/Users/users", "/Users/Me", "/Unknown",
        "/Unknown/{u0}", "/Userss", "/User", "/Users/{u0}?attributes=userName", "/Groups/{g0}?excludedAttributes=members",
        "/Users/{u0}?attributes=groups", "/Users/{u0}?", "/Groups?", "", "/", "/Schemas", "/Me", "/Users\u00e9",
    ]
)  # fmt: skip
_shouted = st.builds(
    lambda path, at: path[:at] + path[at : at + 3].swapcase() + path[at + 3 :], _paths, st.integers(0, 9)
)
_strays = st.builds(
    Request,
    mostly(st.just("GET"), st.sampled_from(["HEAD", "OPTIONS", "POST", "PUT", "PATCH", "BREW", "get"]), 2),
    mostly(_paths, _shouted, 4),
    mostly(
        st.just(()),
        st.sampled_from(
            [
                (("if-none-match", 'W/"1"'),), (("if-match", 'W/"9"'),), (("content-type", "text/plain"),),
                (("authorization", "Bearer nothing"),), (("transfer-encoding", "chunked"),),
            ]
        ),
    ),
    st.sampled_from([b"", b"", b"{", b"[]", b"null", b'{"schemas":[]}', b'{"filter":"userName eq 1"}']),
)  # fmt: skip
_prefixes = mostly(
    st.just(PREFIX), st.sampled_from(["/SCIM/V2", "/scim//v2", "//scim/v2", "/scim", "", "/scim/v2/"])
)


@BOUNDED
@given(requests=st.lists(st.tuples(st.one_of(_lists, _lists, _strays), _prefixes), min_size=4, max_size=8))
async def test_what_changes_nothing_is_answered_alike(
    twice: Twice, requests: list[tuple[Request, str]]
) -> None:
    for request, prefix in requests:
        await twice.check(request, prefix)


@BOUNDED
@given(requests=st.lists(grammar.reads, min_size=4, max_size=8))
async def test_any_read_is_answered_alike(twice: Twice, requests: list[Request]) -> None:
    for request in requests:
        await twice.check(request)


# -- stories that change something ------------------------------------------------------------------
def masked(answers: list[httpx.Response]) -> list[Any]:
    """Answers without what two tenants cannot have in common: ids count up in the order they appear in."""
    seen: dict[bytes, bytes] = {}

    def known(found: re.Match[bytes]) -> bytes:
        return seen.setdefault(found[0], b"id-%d" % len(seen))

    def mask(text: bytes) -> bytes:
        return DIFFERS.sub(b"#", UUID.sub(known, text))

    return [
        (one.status_code, [(name, mask(value)) for name, value in one.headers.raw], mask(one.content))
        for one in answers
    ]


@settings(BOUNDED, max_examples=60)
@given(
    requests=st.lists(
        st.one_of(
            grammar.creates_and_replaces, grammar.changes, grammar.deletions, grammar.strays, _lists, _strays
        ),
        min_size=2,
        max_size=6,
    )
)
async def test_two_tenants_live_through_a_story_alike(
    scim: Scim, connect: Connect, requests: list[Request]
) -> None:
    stories = []
    for fast in (True, False):
        tenant = await twice_of(scim, connect, ("u0", "u1"))
        answers = [await tenant.send(Request("GET", "/Users"), fast=fast)]
        for request in (*requests, Request("GET", "/Users?startIndex=1&count=50"), Request("GET", "/Groups")):
            answers.append(await tenant.send(request.filled(tenant.ids), fast=fast))
        stories.append(masked(answers))
    assert stories[0] == stories[1]


# -- the fast paths are taken -----------------------------------------------------------------------
async def _nobody(scope: Scope, receive: Receive, send: Send) -> None:
    raise AssertionError("this request is not to come here")


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("GET", "/Users", 200),
        ("GET", "/Users?count=1", 200),
        ("GET", "/Users/{u0}", 200),
        ("GET", "/Users/nobody", 404),
        ("POST", "/Users", 400),
        ("PUT", "/Users/{u0}", 400),
        ("PATCH", "/Users/{u0}", 400),
        ("DELETE", "/Users/nobody", 404),
        ("GET", "/Groups", 200),
        ("GET", "/Groups/{g0}", 200),
        ("PATCH", "/Groups/{g0}", 400),
        ("BREW", "/Users", 405),
    ],
)
async def test_requests_in_the_rfcs_spelling_take_the_shortcut(
    twice: Twice, method: str, target: str, status: int
) -> None:
    assert isinstance(twice.fast, DirectRouter)
    twice.fast._app = _nobody
    answer = await twice.send(Request(method, target, (), b"").filled(twice.ids), fast=True)
    assert answer.status_code == status


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("filter=userName+eq+%22ADA%22", 1),
        ("filter=userName%20eq%20%22nobody%22", 0),
        ("filter=externalId%20eq%20%22Ext%20ada%22", 1),
        ("filter=externalId+eq+%22ext+ada%22", 0),
        ("filter=emails%5Btype+eq+%22work%22%5D.value+eq+%22Zo%C3%AB%40x%22", 1),
        ("filter=userName%20eq%20%22a+b%22", 1),
        ("filter=userName+eq+%22a+b%22", 0),
        ("startIndex=1&count=100", len(NAMES)),
        ("startIndex=3&count=2", 2),
    ],
)
async def test_entras_queries_are_quick(
    twice: Twice, monkeypatch: pytest.MonkeyPatch, query: str, found: int
) -> None:
    await twice.check(Request("GET", f"/Users?{query}"))
    monkeypatch.delattr(lists, "read_query")

    answer = await twice.send(Request("GET", f"/Users?{query}"), fast=True)

    assert answer.status_code == 200
    assert len(answer.json()["Resources"]) == found


async def test_more_people_with_one_external_id_than_a_page_holds_take_the_plain_path(
    scim: Scim, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    twice = await twice_of(scim, connect, ("u0",))
    for number in range(3):
        mail = [{"type": "work", "value": f"{number}@x"}]
        await twice.conversation.create({"userName": f"n{number}", "externalId": "same", "emails": mail})
    query = Request("GET", "/Users?filter=externalId+eq+%22same%22")

    for most in (2, 3):
        for module in (lists, search_request):
            monkeypatch.setattr(module, "DEFAULT_RESULTS", most)
        body = (await twice.check(query)).json()
        assert (body["totalResults"], len(body["Resources"])) == (3, most)


async def test_a_page_far_in_and_an_empty_one_take_the_plain_path(
    twice: Twice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lists, "NEAR_OFFSET", 2)
    for start in (1, 2, 3, 4, 5, len(NAMES), len(NAMES) + 1):
        for count in (0, 1, 100):
            answer = await twice.check(Request("GET", f"/Users?startIndex={start}&count={count}"))
            body = json.loads(answer.content)
            assert body["totalResults"] == len(NAMES)
            assert len(body["Resources"]) == min(count, max(0, len(NAMES) + 1 - start))
