"""Comparing what we know with what the API holds: what is urgent, what can wait, what has no owner."""

import dataclasses
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scim_api.contract.admin import Connection, ConnectionPage, CredentialStatus, TokenRefusal
from scim_operator.controller.orphans import (
    Comparison,
    RegisteredConnections,
    compare,
    read_connections,
)
from scim_operator.controller.watch_events import CachedScimToken
from scim_operator.planning.ports import Key
from scim_operator.planning.sign_in_refusals import content_of

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def token(
    name: str,
    *,
    settled: bool = True,
    active: str | None = "t1",
    rotation: datetime | None = None,
    asks: bool = False,
) -> CachedScimToken:
    return CachedScimToken(Key("ns", name), f"uid-{name}", b"", settled, asks, active, rotation)


def connection(name: str, *ids: str, namespace: str = "ns") -> Connection:
    credentials = tuple(
        CredentialStatus(id=one, digest="0" * 64, issued_at=NOW, expires_at=NOW + timedelta(days=90))
        for one in ids
    )
    return Connection(
        namespace=namespace, name=name, exists=True, revision="1", now=NOW, credentials=credentials
    )


def holdings(*connections: Connection) -> RegisteredConnections:
    return RegisteredConnections(NOW, {Key(item.namespace, item.name): item for item in connections})


def compared(
    tokens: list[CachedScimToken], held: RegisteredConnections | None, namespaces: tuple[str, ...] = ()
) -> Comparison:
    return compare(tokens, held, namespaces=namespaces, now=NOW, per_second=1, rand=lambda: 0.5)


def test_what_agrees_is_looked_at_later_at_a_gentle_pace() -> None:
    comparison = compared([token("a"), token("b")], holdings(connection("a", "t1"), connection("b", "t1")))
    assert not comparison.urgent
    assert comparison.later == {Key("ns", "a"): 1.0, Key("ns", "b"): 1.0}


def test_a_rotation_that_comes_earlier_than_the_pace_is_kept() -> None:
    many = [token(str(n)) for n in range(100)] + [token("soon", rotation=NOW + timedelta(seconds=3))]
    comparison = compared(many, holdings(*(connection(item.key.name, "t1") for item in many)))
    assert comparison.later[Key("ns", "soon")] == 3


def test_an_overdue_rotation_is_due_now() -> None:
    comparison = compared(
        [token("late", rotation=NOW - timedelta(days=1))], holdings(connection("late", "t1"))
    )
    assert comparison.later == {Key("ns", "late"): 0}


@pytest.mark.parametrize(
    "held",
    [(), (connection("a"),), (connection("a", "other"),)],
    ids=["the database was lost", "no credential", "another token"],
)
def test_a_token_that_the_api_does_not_hold_is_urgent(held: tuple[Connection, ...]) -> None:
    assert compared([token("a")], holdings(*held)).urgent == {Key("ns", "a")}


def test_a_refused_sign_in_that_the_status_does_not_show_is_urgent() -> None:
    held = connection("a", "t1")
    secret = held.credentials[0].model_copy(update={"kind": "ClientSecret"})
    refusal = TokenRefusal(at=NOW, check="aud", received="api://other")
    held = held.model_copy(update={"credentials": (secret,), "last_refusal": refusal})
    unaware = token("a")
    assert compared([unaware], holdings(held)).urgent == {Key("ns", "a")}
    aware = dataclasses.replace(unaware, refused_at=NOW, refused=content_of(refusal), sign_in_refused=True)
    assert not compared([aware], holdings(held)).urgent
    signed_in = secret.model_copy(update={"last_used_at": NOW + timedelta(minutes=1)})
    after = held.model_copy(update={"credentials": (signed_in,)})
    assert compared([aware], holdings(after)).urgent == {Key("ns", "a")}


def test_a_token_that_is_not_settled_is_urgent() -> None:
    assert compared([token("a", settled=False)], holdings(connection("a", "t1"))).urgent == {Key("ns", "a")}


def test_what_annotations_ask_for_is_urgent_to_a_new_leader_and_watched_for_later() -> None:
    tokens, held = [token("a", asks=True)], holdings(connection("a", "t1"))
    assert compared(tokens, held).urgent == {Key("ns", "a")}
    again = compare(tokens, held, namespaces=(), now=NOW, per_second=1, first=False)
    assert not again.urgent


def test_without_the_api_only_the_status_decides_and_nothing_is_an_orphan() -> None:
    comparison = compared([token("a"), token("b", settled=False)], None)
    assert comparison.urgent == {Key("ns", "b")}
    assert set(comparison.later) == {Key("ns", "a")}
    assert not comparison.orphans


def test_a_connection_without_a_scim_token_is_an_orphan() -> None:
    assert compared([token("a")], holdings(connection("a", "t1"), connection("b"))).orphans == {
        Key("ns", "b")
    }


def test_connections_outside_of_the_watched_namespaces_are_left_alone() -> None:
    held = holdings(connection("b", namespace="elsewhere"), connection("c"))
    assert compared([], held, ("ns",)).orphans == {Key("ns", "c")}


def test_nothing_is_an_orphan_in_a_namespace_that_could_not_be_listed() -> None:
    held = holdings(connection("b", namespace="hidden"), connection("c"))
    found = compare([], held, namespaces=("ns", "hidden"), now=NOW, per_second=1, unlisted={"hidden"})
    assert found.orphans == {Key("ns", "c")}


@given(
    st.dictionaries(
        st.text("abc", min_size=1, max_size=3), st.tuples(st.booleans(), st.sampled_from(["t1", "x"]))
    ),
    st.dictionaries(st.text("abc", min_size=1, max_size=3), st.sampled_from(["t1", "x"])),
)
def test_every_token_is_looked_at_once_and_no_token_is_an_orphan(
    known: dict[str, tuple[bool, str]], held: dict[str, str]
) -> None:
    tokens = [token(name, settled=settled, active=active) for name, (settled, active) in known.items()]
    comparison = compared(tokens, holdings(*(connection(name, one) for name, one in held.items())))
    keys = {item.key for item in tokens}
    assert comparison.urgent | set(comparison.later) == keys
    assert not comparison.urgent & set(comparison.later)
    assert comparison.orphans == {Key("ns", name) for name in held} - keys


class Pages:
    """The admin API's paging, over a given list."""

    def __init__(self, *connections: Connection) -> None:
        self._connections = sorted(connections, key=lambda item: item.name)

    async def page(self, *, after: str | None, limit: int) -> ConnectionPage:
        rest = [item for item in self._connections if after is None or item.name > after]
        items = tuple(rest[:1])
        return ConnectionPage(now=NOW, items=items, next=items[-1].name if len(rest) > 1 else None)


async def test_all_pages_are_read() -> None:
    held = await read_connections(Pages(connection("a"), connection("b"), connection("c")))  # type: ignore[arg-type]
    assert set(held.connections) == {Key("ns", "a"), Key("ns", "b"), Key("ns", "c")}


async def test_an_empty_api_is_an_empty_page() -> None:
    assert (await read_connections(Pages())).connections == {}  # type: ignore[arg-type]
