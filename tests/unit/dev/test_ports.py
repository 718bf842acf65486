"""Ports for processes that are started with a number."""

import itertools
import socket

import pytest

from localcluster import ports


def test_no_two_callers_are_given_the_same_one_and_the_kernel_gives_none_of_them() -> None:
    given = [ports.free_port() for _ in range(50)]
    assert len(set(given)) == 50
    assert all(ports.FIRST <= port <= ports.LAST < 30_000 for port in given)


def test_one_that_somebody_listens_on_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        number = ports.free_port()
        taken.bind(("127.0.0.1", number))
        taken.listen()
        monkeypatch.setattr(ports, "_NEXT", itertools.count(number))
        assert ports.free_port() > number
