"""Access tokens are cached, renewed before their end and after a 401, and asked for by one thread at a time."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from entra_standin.client import EntraClient
from entra_standin.errors import EntraError, Rejected
from entra_standin.sign_in import RENEW_BEFORE_SECONDS, AccessToken, AccessTokens, SecretToken
from entra_standin.token_endpoint import ClientSecret, TokenEndpoint
from support.clock import Clock
from unit.entra_standin.faulty_service import URL, Service, error
from unit.entra_standin.token_service import CLIENT_ID, CLIENT_SECRET, TOKEN_URL, TokenService, refusal


def counted(seconds: float, clock: Clock) -> AccessTokens:
    numbers = iter(range(1000))
    return AccessTokens(lambda: AccessToken(f"t{next(numbers)}", seconds), clock=clock)


def test_a_token_is_used_until_shortly_before_its_end() -> None:
    clock = Clock()
    tokens = counted(3600, clock)
    assert tokens.bearer() == "t0"
    clock.now += 3600 - RENEW_BEFORE_SECONDS - 1
    assert tokens.bearer() == "t0"
    clock.now += 1
    assert tokens.bearer() == "t1"
    assert tokens.fetched == 2


def test_a_short_token_is_renewed_when_half_of_it_is_over() -> None:
    clock = Clock()
    tokens = counted(100, clock)
    tokens.bearer()
    clock.now += 49
    assert tokens.bearer() == "t0"
    clock.now += 1
    assert tokens.bearer() == "t1"


def test_a_refused_token_is_replaced_once_whoever_was_refused_with_it() -> None:
    tokens = counted(3600, Clock())
    first = tokens.bearer()
    assert tokens.renew(first)
    assert tokens.bearer() == "t1"
    assert tokens.renew(first)  # A second thread, that was refused with the same one.
    assert tokens.bearer() == "t1"


def test_many_threads_ask_for_one_token() -> None:
    tokens = counted(3600, Clock())
    with ThreadPoolExecutor(16) as pool:
        assert set(pool.map(lambda _: tokens.bearer(), range(200))) == {"t0"}
    assert tokens.fetched == 1


def test_a_secret_token_has_no_other() -> None:
    secret = SecretToken("sct_x")
    assert not secret.renew("sct_x")
    secret.forget()
    assert secret.bearer() == "sct_x"


def test_a_granted_token_is_in_no_repr() -> None:
    assert "sca_x" not in repr(AccessToken("sca_x", 3600))


# -- the client that signs in with it ---------------------------------------------------------------
@pytest.fixture
def tokens(service: Service) -> TokenService:
    return TokenService(service)


@pytest.fixture
def oauth(service: Service, tokens: TokenService) -> Iterator[EntraClient]:
    secret = ClientSecret(CLIENT_ID, CLIENT_SECRET)
    with TokenEndpoint(TOKEN_URL, secret, transport=tokens.transport()) as endpoint:
        sign_in = AccessTokens(endpoint.fetch)
        with EntraClient(URL, sign_in, transport=service.transport()) as client:
            yield client


def test_one_access_token_serves_many_requests(oauth: EntraClient, tokens: TokenService) -> None:
    for _ in range(3):
        oauth.find_nobody()
    assert len(tokens.issued) == 1
    assert oauth.rejected == {}


def test_test_connection_signs_in_anew_and_looks_for_a_user_then_a_group(
    oauth: EntraClient, service: Service, tokens: TokenService
) -> None:
    oauth.find_nobody()
    service.requests.clear()
    oauth.test_connection()
    assert len(tokens.issued) == 2
    assert [request.url.path for request in service.requests] == ["/scim/v2/Users", "/scim/v2/Groups"]
    assert {request.headers["authorization"] for request in service.requests} == {"Bearer sca_1"}


def test_after_a_401_the_request_is_sent_once_more_with_another_token(
    oauth: EntraClient, service: Service, tokens: TokenService
) -> None:
    oauth.find_nobody()
    service.tokens.clear()
    oauth.find_nobody()
    assert len(tokens.issued) == 2
    assert oauth.rejected == {401: 1}


def test_a_second_401_is_a_refusal(oauth: EntraClient, service: Service, tokens: TokenService) -> None:
    service.fault = lambda _request, _answer: error(401)
    with pytest.raises(Rejected) as refused:
        oauth.find_nobody()
    assert refused.value.status == 401
    assert len(tokens.issued) == 2


def test_a_refusal_of_the_token_endpoint_fails_test_connection_before_the_service_is_asked(
    oauth: EntraClient, service: Service, tokens: TokenService
) -> None:
    tokens.fault = lambda _answer: refusal("invalid_client", 401, basic=True, error_description="who?")
    with pytest.raises(Rejected, match="/oauth2/token answered 401 invalid_client: who") as refused:
        oauth.test_connection()
    assert refused.value.scim_type == "invalid_client"
    assert service.requests == []


def test_groups_that_are_not_there_fail_test_connection(oauth: EntraClient, service: Service) -> None:
    service.fault = lambda request, answer: error(404) if "/Groups" in request.url.path else answer
    with pytest.raises(Rejected) as refused:
        oauth.test_connection()
    assert refused.value.status == 404


def test_an_access_token_that_the_service_reflects_is_not_in_the_message(
    oauth: EntraClient, service: Service
) -> None:
    service.fault = lambda _request, _answer: error(403, detail="not sca_0")
    with pytest.raises(EntraError) as raised:
        oauth.find_nobody()
    assert "sca_0" not in str(raised.value)
