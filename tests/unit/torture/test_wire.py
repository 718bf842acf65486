"""What Entra sent is taken down with the credential behind it, and its plaintext is in no text."""

import base64

import httpx
import pytest

from torture.wire import Wire

TOKEN, SECRET, ACCESS = "sct_token", "scs_secret", "access-token"
BASIC = "Basic " + base64.b64encode(f"client:{SECRET}".encode()).decode()


def service(request: httpx.Request) -> httpx.Response:
    if request.url.path == "/oauth2/token":
        return httpx.Response(200, json={"access_token": ACCESS, "expires_in": 3600})
    return httpx.Response(401 if "refused" in request.url.path else 200, json={})


@pytest.fixture
def held() -> set[str]:
    return set()


@pytest.fixture
def wire(held: set[str]) -> Wire:
    return Wire(lambda: held, httpx.MockTransport(service))


def send(wire: Wire, path: str, authorization: str) -> None:
    with httpx.Client(transport=wire) as client:
        client.get(f"http://service{path}", headers={"authorization": authorization})


def test_a_request_with_a_saved_token_is_a_use_and_one_with_another_is_not(
    wire: Wire, held: set[str]
) -> None:
    send(wire, "/Users", f"Bearer {TOKEN}")
    held.add(TOKEN)
    send(wire, "/Users", f"Bearer {TOKEN}")
    tried, used = wire.take()
    assert (tried.plaintext, tried.is_use, used.is_use) == (TOKEN, False, True)
    assert wire.take() == []


def test_a_refusal_is_no_use(wire: Wire, held: set[str]) -> None:
    held.add(TOKEN)
    send(wire, "/refused", f"Bearer {TOKEN}")
    (refused,) = wire.take()
    assert (refused.status, refused.is_use) == (401, False)


def test_an_access_token_counts_as_the_client_secret_it_came_from(wire: Wire, held: set[str]) -> None:
    held.add(SECRET)
    send(wire, "/oauth2/token", BASIC)
    send(wire, "/Users", f"Bearer {ACCESS}")
    signed_in, asked = wire.take()
    assert (signed_in.plaintext, signed_in.access_token_expires_at) == (SECRET, None)
    assert asked.plaintext == SECRET
    assert asked.is_use
    assert asked.access_token_expires_at is not None
    assert asked.access_token_expires_at >= signed_in.sent + 3600


def test_no_request_comes_through_while_it_is_cut(wire: Wire) -> None:
    wire.is_cut = True
    with pytest.raises(httpx.ConnectError):
        send(wire, "/Users", f"Bearer {TOKEN}")
    assert wire.take() == []


def test_a_request_without_an_answer_is_taken_down(held: set[str]) -> None:
    def broken(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("too late", request=request)

    wire = Wire(lambda: held, httpx.MockTransport(broken))
    with pytest.raises(httpx.ReadTimeout):
        send(wire, "/Users", f"Bearer {TOKEN}")
    (unanswered,) = wire.take()
    assert (unanswered.status, unanswered.is_use) == (0, False)


def test_plaintext_is_in_no_text(wire: Wire) -> None:
    send(wire, "/Users", f"Bearer {TOKEN}")
    assert TOKEN not in repr(wire.take())
