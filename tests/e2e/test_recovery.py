"""Whatever breaks beside a ScimToken: no token in its time is rejected, and all mends itself."""

import base64
import json
import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest

from support.stack import Stack, until

NAME = "entra"


@pytest.fixture
def token(stack: Stack, namespace: str) -> Iterator[str]:
    """The first token of ``entra`` in a fresh namespace."""
    stack.apply(namespace, NAME)
    yield stack.wait_ready(namespace, NAME)["token"]
    stack.kubectl("delete", "sct", "--all", "-n", namespace, "--wait=false")


def secret_token(stack: Stack, namespace: str) -> str:
    return stack.secret(namespace, f"{NAME}-scim-token").get("token", "")


def rotate(stack: Stack, namespace: str, value: str) -> str:
    """Rotate by annotation; the new token."""
    before = secret_token(stack, namespace)
    stack.kubectl("annotate", "sct", NAME, "-n", namespace, f"scim-operator.io/rotate={value}", "--overwrite")
    found: str = until(
        "the Secret has a new token",
        lambda: (now := secret_token(stack, namespace)) != before and now,
        shown=lambda: stack.story(namespace, NAME),
    )
    return found


def test_a_secret_that_was_deleted_is_back_within_seconds_and_the_old_token_still_works(
    stack: Stack, namespace: str, token: str
) -> None:
    stack.kubectl("delete", "secret", f"{NAME}-scim-token", "-n", namespace)
    fresh = until(
        "the Secret is back", lambda: secret_token(stack, namespace), 10, lambda: stack.story(namespace, NAME)
    )
    assert fresh != token
    assert (stack.ask(fresh), stack.ask(token)) == (200, 200)


def test_a_token_overwritten_by_hand_is_repaired_and_the_old_one_still_works(
    stack: Stack, namespace: str, token: str
) -> None:
    patch = {"data": {"token": base64.b64encode(b"sct_nonsense").decode()}}
    stack.kubectl(
        "patch", "secret", f"{NAME}-scim-token", "-n", namespace, "--type=merge", "-p", json.dumps(patch)
    )
    fresh = until(
        "the token is repaired",
        lambda: (now := secret_token(stack, namespace)) != "sct_nonsense" and now,
        10,
        lambda: stack.story(namespace, NAME),
    )
    assert (stack.ask(fresh), stack.ask(token), stack.ask("sct_nonsense")) == (200, 200, 401)


def test_rotation_by_annotation_happens_once_and_both_tokens_work(
    stack: Stack, namespace: str, token: str
) -> None:
    fresh = rotate(stack, namespace, "once")
    stack.wait_ready(namespace, NAME)
    assert (stack.ask(fresh), stack.ask(token)) == (200, 200)
    states = [item["state"] for item in stack.object(namespace, NAME)["status"]["tokens"]]
    assert sorted(states) == ["Active", "Superseded"]
    stack.kubectl("label", "sct", NAME, "-n", namespace, "touched=yes")
    stack.wait_ready(namespace, NAME)
    assert secret_token(stack, namespace) == fresh


def test_a_revoked_token_no_longer_works_and_the_present_one_does(
    stack: Stack, namespace: str, token: str
) -> None:
    fresh = rotate(stack, namespace, "for-revocation")
    stack.kubectl("annotate", "sct", NAME, "-n", namespace, "scim-operator.io/revoke=all-superseded")
    until(
        "the old token is refused", lambda: stack.ask(token) == 401, 10, lambda: stack.story(namespace, NAME)
    )
    assert stack.ask(fresh) == 200


def test_a_foreign_secret_is_never_touched_and_the_condition_says_so(stack: Stack, namespace: str) -> None:
    stack.kubectl("create", "secret", "generic", "theirs", "-n", namespace, "--from-literal=token=mine")
    before = json.loads(stack.kubectl("get", "secret", "theirs", "-n", namespace, "-o", "json"))
    stack.apply(namespace, "greedy", secret={"name": "theirs"})
    ready = until(
        "the condition says SecretNotOwned",
        lambda: (found := stack.condition(namespace, "greedy")).get("reason") == "SecretNotOwned" and found,
        shown=lambda: stack.story(namespace, "greedy"),
    )
    assert ready["status"] == "False"
    assert "theirs" in ready["message"]
    assert json.loads(stack.kubectl("get", "secret", "theirs", "-n", namespace, "-o", "json")) == before


def test_a_second_scimtoken_of_a_tenant_with_other_settings_is_refused_by_name(
    stack: Stack, namespace: str, token: str
) -> None:
    stack.apply(namespace, "second", tenant=NAME, groups="Disabled")
    ready = until(
        "the condition says which setting differs",
        lambda: (found := stack.condition(namespace, "second")).get("reason") == "SettingsConflict" and found,
        shown=lambda: stack.story(namespace, "second"),
    )
    assert "groups" in ready["message"]
    assert stack.ask(token) == 200


def test_the_api_down_leaves_the_secret_alone_and_the_operator_recovers(
    stack: Stack, namespace: str, token: str
) -> None:
    assert stack.api is not None
    stack.api.kill()
    stack.kubectl("annotate", "sct", NAME, "-n", namespace, "scim-operator.io/rotate=while-down")
    until(
        "a condition says that the API is unreachable",
        lambda: "ScimApiUnreachable" in json.dumps(stack.object(namespace, NAME)["status"]["conditions"]),
        shown=lambda: stack.story(namespace, NAME),
    )
    assert secret_token(stack, namespace) == token
    stack.start_api()
    fresh = until(
        "the rotation is made up for",
        lambda: (now := secret_token(stack, namespace)) != token and now,
        shown=lambda: stack.story(namespace, NAME),
    )
    stack.wait_ready(namespace, NAME)
    assert (stack.ask(fresh), stack.ask(token)) == (200, 200)


def test_a_lost_database_is_rebuilt_from_the_secrets_superseded_tokens_included(
    stack: Stack, namespace: str, token: str
) -> None:
    fresh = rotate(stack, namespace, "before-the-loss")
    stack.wait_ready(namespace, NAME)
    assert stack.api is not None
    stack.api.stop()
    for path in stack.directory.glob("scim.db*"):
        path.unlink()
    stack.start_api()
    until(
        "both work again",
        lambda: (stack.ask(fresh), stack.ask(token)) == (200, 200),
        20,
        lambda: stack.story(namespace, NAME),
    )
    assert secret_token(stack, namespace) == fresh
    ids = {item["id"] for item in stack.object(namespace, NAME)["status"]["tokens"]}
    with sqlite3.connect(stack.directory / "scim.db") as database:
        held: set[Any] = {
            row[0] for row in database.execute("SELECT id FROM credential WHERE revoked_at IS NULL")
        }
    assert ids <= held


def test_a_restarted_kube_apiserver_is_survived_by_both(stack: Stack, namespace: str, token: str) -> None:
    stack.control_plane.kill_api_server()
    assert stack.ask(token) == 200
    stack.control_plane.start_api_server()
    fresh = rotate(stack, namespace, "after-the-restart")
    assert (stack.ask(fresh), stack.ask(token)) == (200, 200)


def test_retain_revokes_on_deletion_and_a_new_scimtoken_finds_the_people(
    stack: Stack, namespace: str, token: str
) -> None:
    assert "finalizers" not in stack.object(namespace, NAME)["metadata"]
    made = people(stack, token)
    stack.kubectl("delete", "sct", NAME, "-n", namespace)
    until("the token is refused", lambda: stack.ask(token) == 401, 15)
    stack.apply(namespace, NAME)
    again = stack.wait_ready(namespace, NAME)["token"]
    assert [user["id"] for user in listed(stack, again)] == [made]


def test_delete_erases_the_people_before_the_object_goes(stack: Stack, namespace: str) -> None:
    stack.apply(namespace, "gone", deletionPolicy="Delete")
    first = stack.wait_ready(namespace, "gone")["token"]
    people(stack, first)
    assert stack.object(namespace, "gone")["metadata"]["finalizers"]
    stack.kubectl("delete", "sct", "gone", "-n", namespace, "--timeout=60s")
    assert stack.ask(first) == 401
    until("the Secret is collected", lambda: not stack.secret(namespace, "gone-scim-token"), 120)
    stack.apply(namespace, "gone", deletionPolicy="Delete")
    assert listed(stack, stack.wait_ready(namespace, "gone")["token"]) == []


def people(stack: Stack, token: str) -> str:
    """Create one person; its id."""
    import httpx

    body = {
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "userName": "ada@contoso.com",
        "emails": [{"type": "work", "value": "ada@contoso.com"}],
    }
    answer = httpx.post(
        f"{stack.scim_url}/Users", json=body, headers={"authorization": f"Bearer {token}"}, trust_env=False
    )
    assert answer.status_code == 201, answer.text
    made: str = answer.json()["id"]
    return made


def listed(stack: Stack, token: str) -> list[dict[str, Any]]:
    """All people of the token's tenant."""
    import httpx

    answer = httpx.get(
        f"{stack.scim_url}/Users", headers={"authorization": f"Bearer {token}"}, trust_env=False
    )
    found: list[dict[str, Any]] = answer.json()["Resources"]
    return found


def test_suspend_freezes_rotation_until_it_is_lifted(stack: Stack, namespace: str, token: str) -> None:
    stack.apply(namespace, NAME, suspend=True)
    stack.wait_ready(namespace, NAME)
    stack.kubectl("annotate", "sct", NAME, "-n", namespace, "scim-operator.io/rotate=asked-while-suspended")
    until(
        "the condition tells that it is suspended",
        lambda: "suspend" in stack.condition(namespace, NAME).get("message", "").lower(),
        shown=lambda: stack.story(namespace, NAME),
    )
    assert secret_token(stack, namespace) == token
    stack.apply(namespace, NAME, suspend=False)
    until("the rotation is made up for", lambda: secret_token(stack, namespace) != token, 15)
    assert stack.ask(token) == 200
