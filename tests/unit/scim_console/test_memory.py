"""What is remembered, and when it is not."""

import pytest

from scim_console.memory import Memory
from scim_console.model import Missing, Unreachable
from support.played_source import PlayedSource, token


def test_what_was_said_last_is_known_without_asking() -> None:
    source = PlayedSource(token("a"), token("b"))
    memory = Memory(source)
    assert memory.last_tokens() is None
    assert memory.last_token("team", "a") is None
    memory.warm()
    source.all = Unreachable("gone")
    assert [one.name for one in memory.last_tokens() or ()] == ["a", "b"]
    assert memory.last_token("team", "a") == token("a")
    with pytest.raises(Unreachable):
        memory.tokens()


def test_one_that_was_asked_for_is_renewed_and_one_that_is_gone_forgotten() -> None:
    source = PlayedSource(token("a"), token("b"))
    memory = Memory(source)
    memory.tokens()
    source.all = (token("a", tenant="other"),)
    assert memory.token("team", "a").tenant == "other"
    with pytest.raises(Missing):
        memory.token("team", "b")
    assert memory.last_tokens() == [token("a", tenant="other")]


def test_one_alone_does_not_pass_for_all() -> None:
    memory = Memory(PlayedSource(token("a"), token("b")))
    memory.token("team", "a")
    assert memory.last_tokens() is None


def test_warming_up_fails_in_silence() -> None:
    source = PlayedSource()
    source.all = Unreachable("gone")
    memory = Memory(source)
    memory.warm()
    assert memory.last_tokens() is None
