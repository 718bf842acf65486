"""Every fault that Entra would stumble over is found; what is right passes; the token stays inside."""

import traceback
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from entra_standin.checks import ERROR_SCHEMA
from entra_standin.client import EntraClient
from entra_standin.dialects import Dialect
from entra_standin.directory import Person, six_people
from entra_standin.errors import EntraError, Finding, Rejected, Unreachable
from entra_standin.mapping import Matching, create_body
from unit.entra_standin.faulty_service import (
    TOKEN,
    URL,
    Fault,
    Service,
    error,
    header,
    instead,
    listing,
    on,
    scim,
)

ADA = six_people()[0]
Act = Callable[[EntraClient], object]


def changed(**values: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda body: {**body, **values}


def without(name: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda body: {key: value for key, value in body.items() if key != name}


def inside(change: Callable[[dict[str, Any]], Any]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """A fault in each of a list's resources."""
    return lambda body: {**body, "Resources": [change(user) for user in body["Resources"]]}


def plain_text() -> httpx.Response:
    return httpx.Response(200, text="hello", headers={"content-type": "text/plain"})


def gateway() -> httpx.Response:
    return httpx.Response(502, text="<html>", headers={"content-type": "text/html"})


def try_connection(client: EntraClient) -> None:
    client.test_connection()


def find(client: EntraClient) -> None:
    client.find("ada@contoso.example")


def get(client: EntraClient) -> None:
    client.get("id-ada")


def create(client: EntraClient) -> None:
    client.create(Person("bob", "bob@contoso.example", "bob@contoso.example", "Bob"))


def patch(client: EntraClient) -> None:
    client.patch("id-ada", {"title": "Countess"})


def disable(client: EntraClient) -> None:
    client.disable("id-ada")


def delete(client: EntraClient) -> None:
    client.delete("id-ada")


def resend(client: EntraClient) -> None:
    client.resend(ADA)


FAULTS: list[tuple[Act, Fault, str]] = [
    (try_connection, instead("GET", lambda: listing([{**create_body(ADA), "id": "x"}])), "found somebody"),
    (find, on("GET", inside(changed(schemas=[]))), "the User schema"),
    (find, on("GET", inside(without("meta"))), "meta.resourceType"),
    (get, on("GET", changed(meta={"resourceType": "Group"})), "meta.resourceType"),
    (get, header("GET", "etag", None), "ETag"),
    (get, header("GET", "etag", 'W/"2"'), "ETag"),
    (get, on("GET", changed(meta={"resourceType": "User"})), "ETag"),
    (patch, header("PATCH", "etag", 'W/"2"'), "ETag"),
    (create, header("POST", "location", None), "Location header is missing"),
    (create, header("POST", "location", f"{URL}/Users/other"), "not meta.location"),
    (create, on("POST", changed(id="other")), "does not lead to the id"),
    (try_connection, instead("GET", plain_text), "content type"),
    (try_connection, instead("GET", gateway), "502: the content type"),
    (try_connection, instead("GET", lambda: httpx.Response(302)), "expected 200"),
    (try_connection, instead("GET", lambda: scim(200, [])), "not a JSON object"),
    (try_connection, on("GET", without("Resources")), "Resources is not a list"),
    (try_connection, on("GET", changed(Resources=None)), "Resources is not a list"),
    (try_connection, on("GET", without("totalResults")), "totalResults is not a number"),
    (try_connection, on("GET", changed(totalResults="0")), "totalResults is not a number"),
    (try_connection, on("GET", changed(itemsPerPage=None)), "itemsPerPage is not a number"),
    (try_connection, on("GET", changed(itemsPerPage=7)), "do not fit"),
    (try_connection, on("GET", changed(startIndex=True)), "startIndex is not a number"),
    (try_connection, on("GET", without("schemas")), "ListResponse"),
    (find, on("GET", changed(totalResults=0)), "do not fit"),
    (find, on("GET", inside(without("id"))), "no id"),
    (find, on("GET", inside(changed(active="True"))), "active is not a JSON boolean"),
    (find, on("GET", inside(changed(emails=[]))), "value of the filter"),
    (find, on("GET", inside(changed(emails="none"))), "value of the filter"),
    (find, on("GET", inside(lambda _: "ada")), "not a JSON object"),
    (find, on("GET", lambda body: {**body, "Resources": body["Resources"] * 2, "itemsPerPage": 2,
                                   "totalResults": 2}), "same matching value"),
    (get, instead("GET", lambda: httpx.Response(200, content=b"{", headers={
        "content-type": "application/scim+json"})), "not JSON"),
    (get, on("GET", changed(id="id-bob")), "another id"),
    (get, on("GET", without("active")), "active is not a JSON boolean"),
    (get, on("GET", without("userName")), "no userName"),
    (create, on("POST", changed(id=7)), "no id"),
    (create, on("POST", changed(active=1)), "active is not a JSON boolean"),
    (create, instead("POST", lambda: scim(200, {})), "expected 201"),
    (create, instead("POST", lambda: scim(409, {"detail": "taken"})), "SCIM Error"),
    (create, instead("POST", lambda: scim(409, {"schemas": [ERROR_SCHEMA], "status": 409})), "as a string"),
    (create, instead("POST", lambda: scim(500, {"message": "oops"}, "application/json")), "content type"),
    (create, instead("POST", lambda: error(429)), "Retry-After"),
    (patch, on("PATCH", changed(id="id-bob")), "another id"),
    (patch, instead("PATCH", lambda: httpx.Response(204, content=b"{}")), "carries no body"),
    (patch, instead("PATCH", lambda: httpx.Response(202)), "expected 200 or 204"),
    (disable, on("GET", changed(active=True)), "still active"),
    (delete, instead("DELETE", lambda: httpx.Response(204, content=b"{}")), "carries no body"),
    (delete, instead("DELETE", lambda: httpx.Response(200)), "expected 204"),
    (resend, instead("POST", lambda: scim(201, {})), "is not refused"),
    (resend, instead("POST", lambda: error(409)), "409 uniqueness"),
    (resend, instead("POST", lambda: error(400, "uniqueness")), "409 uniqueness"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("act", "fault", "message"), FAULTS, ids=[f"{a.__name__}: {m}" for a, _, m in FAULTS]
)
def test_a_planted_fault_is_found(
    client: EntraClient, service: Service, act: Act, fault: Fault, message: str
) -> None:
    client.create(ADA)
    service.fault = fault
    with pytest.raises(Finding, match=message):
        act(client)


@pytest.mark.parametrize(
    "act", [try_connection, find, get, create, patch, disable, delete, resend], ids=lambda act: act.__name__
)
def test_a_right_answer_is_no_finding(client: EntraClient, act: Act) -> None:
    client.create(ADA)
    act(client)


def test_a_patch_may_be_answered_with_204(client: EntraClient, service: Service) -> None:
    client.create(ADA)
    service.fault = instead("PATCH", lambda: httpx.Response(204))
    assert client.patch("id-ada", {"title": "Countess"}) is None


def test_nobody_is_found_where_nobody_is(client: EntraClient) -> None:
    assert client.find("nobody@contoso.example") is None


def test_a_search_is_by_the_matching_attribute_with_quotes_escaped(service: Service) -> None:
    with EntraClient(URL, TOKEN, matching=Matching.USER_NAME, transport=service.transport()) as client:
        client.find('a"b\\c')
    assert service.requests[0].url.params["filter"] == r'userName eq "a\"b\\c"'


@pytest.mark.parametrize(
    ("url", "dialect", "query"),
    [
        (URL, Dialect.CLASSIC, {}),
        (URL + "/", Dialect.AAD_OPT_SCIM, {"aadOptscim062020": ""}),
        (URL + "?aadOptscim062020", Dialect.AAD_OPT_SCIM, {"aadOptscim062020": ""}),
        (URL + "?AzureAdScimPatch2017", Dialect.CLASSIC, {"AzureAdScimPatch2017": ""}),
    ],
)
def test_the_tenant_urls_flag_goes_along_with_every_request(
    service: Service, url: str, dialect: Dialect, query: dict[str, str]
) -> None:
    with EntraClient(url, TOKEN, dialect, transport=service.transport()) as client:
        client.create(ADA)
        client.find("ada@contoso.example")
    posted, asked = service.requests
    assert dict(posted.url.params) == query
    assert posted.url.path == "/scim/v2/Users"
    assert dict(asked.url.params) == {
        **query,
        "filter": 'emails[type eq "work"].value eq "ada@contoso.example"',
    }


def test_requests_and_refusals_are_counted(client: EntraClient) -> None:
    client.create(ADA)
    client.resend(ADA)
    for _ in range(2):
        with pytest.raises(Rejected) as refused:
            client.get("nobody")
        assert refused.value.status == 404
    assert client.sent == 4
    assert client.rejected == {409: 1, 404: 2}


def test_a_service_without_versions_is_no_finding(client: EntraClient, service: Service) -> None:
    client.create(ADA)
    unversioned = {**service.users["id-ada"], "meta": {"resourceType": "User"}}
    service.fault = instead("GET", lambda: scim(200, unversioned))
    assert client.get("id-ada")["id"] == "id-ada"


def test_bodies_come_as_either_content_type_and_a_get_carries_one_too(
    client: EntraClient, service: Service
) -> None:
    client.create(ADA)
    client.find("ada@contoso.example")
    client.patch("id-ada", {"title": "Countess"})
    assert [request.headers["content-type"] for request in service.requests] == [
        "application/scim+json; charset=utf-8",
        "application/scim+json",
        "application/json; charset=utf-8",
    ]


def test_the_url_is_written_as_entra_writes_it(service: Service) -> None:
    url = URL + "?aadOptscim062020"
    with EntraClient(url, TOKEN, Dialect.AAD_OPT_SCIM, transport=service.transport()) as client:
        client.find("ada+x&y@contoso.example (Z3)")
    assert service.requests[0].url.raw_path == (
        b"/scim/v2/Users?aadOptscim062020"
        b"&filter=emails%5Btype%20eq%20%22work%22%5D.value%20eq%20%22ada%2Bx%26y@contoso.example%20(Z3)%22"
    )


def test_an_id_with_a_slash_stays_one_path_segment(client: EntraClient, service: Service) -> None:
    with pytest.raises(Rejected):
        client.get("a/../b?c")
    assert service.requests[0].url.raw_path == b"/scim/v2/Users/a%2F..%2Fb%3Fc"


def shown(error: BaseException) -> str:
    return "".join(traceback.format_exception(error)) + repr(error)


@pytest.mark.parametrize(
    "answer",
    [
        lambda: error(403, detail=f"{TOKEN} is not welcome"),
        lambda: httpx.Response(200, text="x", headers={"content-type": TOKEN}),
    ],
)
def test_a_token_that_the_service_reflects_is_not_in_the_message(
    client: EntraClient, service: Service, answer: Callable[[], httpx.Response]
) -> None:
    service.fault = instead("GET", answer)
    with pytest.raises(EntraError) as raised:
        client.get("id-ada")
    assert "[token]" in str(raised.value)
    assert TOKEN not in shown(raised.value)


def test_the_token_is_not_in_the_clients_repr(client: EntraClient) -> None:
    assert TOKEN not in repr(client)
    assert "scim.test" in repr(client)


def test_a_service_that_does_not_answer_is_unreachable_without_the_token() -> None:
    def fail(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError(f"refused {request.headers['authorization']}")

    with (
        EntraClient(URL, TOKEN, transport=httpx.MockTransport(fail)) as client,
        pytest.raises(Unreachable) as raised,
    ):
        client.test_connection()
    assert TOKEN not in shown(raised.value)
    assert client.sent == 0


@pytest.mark.parametrize("token", ["", "two words", "line\nbreak", "t\u00f6ken"])
def test_a_token_that_no_header_can_hold_is_refused_without_showing_it(token: str) -> None:
    with pytest.raises(ValueError, match="bearer token can't have") as refused:
        EntraClient(URL, token)
    assert not token or token not in str(refused.value)
