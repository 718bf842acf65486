"""A change is asked for once, waited for by a watch, and given up in time."""

from pathlib import Path

import pytest

from kubectl_scim import changes
from kubectl_scim.kubectl import Forbidden, Kubectl
from kubectl_scim.scimtoken import ScimToken
from kubectl_scim.waiting import NotDone, carry_out
from support.played_kubectl import PlayedKubectl
from support.scimtoken_objects import NOW, condition, credential, scimtoken

BEFORE = scimtoken()
UNDER_WAY = scimtoken(condition("Ready", "False", "VerificationFailed", "it answered 503"))
AFTER = scimtoken(credentials=(credential("t2"), credential("t1", "Superseded")))


@pytest.fixture
def played(tmp_path: Path) -> PlayedKubectl:
    return PlayedKubectl(tmp_path)


def rotated(played: PlayedKubectl, said: list[str], seconds: float = 20) -> ScimToken:
    token = ScimToken(BEFORE)
    kubectl = Kubectl((), str(played.program))
    return carry_out(kubectl, token, changes.rotate(token, NOW), seconds, said.append)


def test_it_tells_what_is_in_the_way_and_ends_when_it_is_done(played: PlayedKubectl) -> None:
    import json

    states = "".join(json.dumps(one, indent=4) + "\n" for one in (BEFORE, UNDER_WAY, UNDER_WAY, AFTER))
    played.answer("patch")
    played.answer("--watch", out=states, hang=True)
    said: list[str] = []
    done = rotated(played, said)
    assert done.active is not None
    assert done.active.id == "t2"
    assert said == ["VerificationFailed: it answered 503"]
    patched = played.calls[0]
    assert patched[:2] == ["patch", "scimtokens.scim-operator.io"]
    assert patched[patched.index("-n") + 1] == "team"


def test_what_is_not_done_in_time_is_told_with_what_the_operator_says_and_how_to_look(
    played: PlayedKubectl,
) -> None:
    played.answer("patch")
    played.answer("--watch", out=UNDER_WAY, hang=True)
    played.answer("get", out=UNDER_WAY)
    with pytest.raises(NotDone, match="kubectl scim status entra -n team") as refused:
        rotated(played, [], 2)
    assert "it answered 503" in str(refused.value)


def test_what_a_watch_did_not_tell_is_seen_in_the_end(played: PlayedKubectl) -> None:
    played.answer("patch")
    played.answer("--watch", out=UNDER_WAY, hang=True)
    played.answer("get", out=AFTER)
    done = rotated(played, [], 2)
    assert done.active is not None
    assert done.active.id == "t2"


def test_a_refusal_is_told_and_nothing_is_waited_for(played: PlayedKubectl) -> None:
    played.answer("patch", err="Error from server (Forbidden): cannot patch", code=1)
    with pytest.raises(Forbidden, match="cannot patch"):
        rotated(played, [])
    assert len(played.calls) == 1
