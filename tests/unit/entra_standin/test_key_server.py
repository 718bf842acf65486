"""The keys are served over HTTP, and fail in each way that a test may ask for."""

from collections.abc import Iterator

import httpx
import pytest

from entra_standin.key_server import Behaviour, KeyServer
from entra_standin.signing_keys import SigningKeys
from unit.entra_standin.token_service import verified


@pytest.fixture
def keys() -> SigningKeys:
    return SigningKeys()


@pytest.fixture
def server(keys: SigningKeys) -> Iterator[KeyServer]:
    with KeyServer(keys, "tenant") as server:
        yield server


def get(server: KeyServer, seconds: float = 10.0) -> httpx.Response:
    return httpx.get(server.url, timeout=seconds, trust_env=False)


def test_the_keys_are_where_entras_are_and_follow_a_rotation(keys: SigningKeys, server: KeyServer) -> None:
    assert server.url == f"{server.origin}/tenant/discovery/v2.0/keys"
    assert get(server).json() == keys.jwks()
    keys.rotate()
    assert get(server).json() == keys.jwks()
    assert server.requests == 2


def test_anything_else_is_not_found(server: KeyServer) -> None:
    assert httpx.get(f"{server.origin}/other", trust_env=False).status_code == 404


def test_a_server_that_is_down_closes_the_connection(server: KeyServer) -> None:
    server.behaviour = Behaviour.DOWN
    with pytest.raises(httpx.RemoteProtocolError):
        get(server)
    server.behaviour = Behaviour.RIGHT
    assert get(server).status_code == 200


def test_a_slow_server_outlasts_a_clients_patience(server: KeyServer) -> None:
    server.behaviour = Behaviour.SLOW
    with pytest.raises(httpx.ReadTimeout):
        get(server, seconds=0.1)


def test_a_dribbling_server_sends_a_byte_at_a_time(server: KeyServer) -> None:
    server.behaviour = Behaviour.DRIBBLING
    with httpx.stream("GET", server.url, timeout=10, trust_env=False) as answer:
        received = answer.iter_raw()
        assert [next(received), next(received)] == [b"{", b'"']


def test_a_server_that_lies_has_another_key_under_the_right_id(keys: SigningKeys, server: KeyServer) -> None:
    server.behaviour = Behaviour.LYING
    lies = get(server).json()
    assert [key["kid"] for key in lies["keys"]] == [keys.kid]
    assert verified(keys.sign({"n": 1}), lies) is None


@pytest.mark.parametrize(
    ("behaviour", "status"),
    [
        (Behaviour.FAILING, 500),
        (Behaviour.REDIRECTING, 302),
        (Behaviour.HUGE, 200),
        (Behaviour.NOT_JSON, 200),
        (Behaviour.EMPTY, 200),
    ],
)
def test_a_failing_server_answers_something_else(
    keys: SigningKeys, server: KeyServer, behaviour: Behaviour, status: int
) -> None:
    server.behaviour = behaviour
    answer = get(server)
    assert answer.status_code == status
    assert keys.kid not in answer.text
    assert (len(answer.content) > 1024 * 1024) is (behaviour is Behaviour.HUGE)


def test_a_server_that_ended_is_not_there(keys: SigningKeys) -> None:
    with KeyServer(keys, "tenant") as server:
        assert get(server).status_code == 200
    with pytest.raises(httpx.ConnectError):
        get(server)
