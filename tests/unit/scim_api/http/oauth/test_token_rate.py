"""A burst at once, then one token each so many seconds, for each client by itself."""

from scim_api.http.oauth.token_rate import BURST, SECONDS_PER_TOKEN, TokenRate


class Clock:
    """A clock that is set by hand."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_and_then_one_each_so_many_seconds() -> None:
    clock = Clock()
    rate = TokenRate(clock)
    assert [rate.wait_seconds("a") for _ in range(BURST)] == [0.0] * BURST
    wait = rate.wait_seconds("a")
    assert 0 < wait <= SECONDS_PER_TOKEN
    clock.now += wait + 0.001
    assert rate.wait_seconds("a") == 0.0
    assert rate.wait_seconds("a") > 0.0


def test_a_client_that_asks_too_often_leaves_others_alone() -> None:
    rate = TokenRate(Clock())
    while not rate.wait_seconds("a"):
        pass
    assert rate.wait_seconds("b") == 0.0


def test_a_refusal_costs_nothing() -> None:
    clock = Clock()
    rate = TokenRate(clock)
    while not rate.wait_seconds("a"):
        pass
    waits = {round(rate.wait_seconds("a"), 6) for _ in range(100)}
    assert len(waits) == 1


def test_no_more_than_so_many_clients_are_remembered_those_that_asked_last() -> None:
    rate = TokenRate(Clock(), limit=2)
    for client in ("a", "b"):
        while not rate.wait_seconds(client):
            pass
    assert rate.wait_seconds("a") > 0
    assert rate.wait_seconds("c") == 0.0
    assert rate.wait_seconds("a") > 0
    assert rate.wait_seconds("b") == 0.0, "it is the one that was forgotten"


def test_a_client_that_never_stops_has_a_bounded_number_of_tokens_an_hour() -> None:
    clock = Clock()
    rate = TokenRate(clock)
    issued = 0
    for _ in range(3600):
        issued += rate.wait_seconds("a") == 0.0
        clock.now += 1
    assert issued <= BURST + 3600 / SECONDS_PER_TOKEN
