"""A ScimToken, or its whole namespace, is made anew under the old name: what was before ends, whoever slept."""

import base64
import json
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from scim_api.contract.tokens import digest, new_token
from support.stack import Stack, until

NAME = "entra"
SECRET = f"{NAME}-scim-token"


def ready_with_another(stack: Stack, namespace: str, former: Sequence[str]) -> str:
    """The token of the present ScimToken."""
    found: str = until(
        "the present ScimToken is Ready with a token of its own",
        lambda: (
            stack.condition(namespace, NAME).get("status") == "True"
            and (now := stack.secret(namespace, SECRET).get("token")) not in (None, *former)
            and now
        ),
        60,
        lambda: stack.story(namespace, NAME),
    )
    return found


def test_replaced_by_force_again_and_again_only_the_last_token_is_accepted(
    stack: Stack, namespace: str
) -> None:
    manifest = {
        "apiVersion": "scim-operator.io/v1alpha1",
        "kind": "ScimToken",
        "metadata": {"name": NAME, "namespace": namespace},
        "spec": {},
    }
    stack.apply(namespace, NAME)
    former = [stack.wait_ready(namespace, NAME)["token"]]
    for _ in range(6):
        stack.kubectl("replace", "--force", "-f", "-", input=json.dumps(manifest))
        former.append(ready_with_another(stack, namespace, former))
        until(
            "those before are refused",
            lambda: [stack.ask(token) for token in former] == [*[401] * (len(former) - 1), 200],
            15,
            lambda: stack.story(namespace, NAME),
        )


def test_a_namespace_made_anew_gets_the_users_of_the_old_one_only_by_an_administrators_word(
    stack: Stack, doomed: str
) -> None:
    stack.apply(doomed, NAME)
    former = stack.wait_ready(doomed, NAME)["token"]
    stack.kubectl("delete", "namespace", doomed, "--timeout=60s")
    until("the former token is refused", lambda: stack.ask(former) == 401, 15)
    stack.kubectl("create", "namespace", doomed)
    stack.apply(doomed, NAME)
    until(
        "it is refused, with the reason",
        lambda: stack.condition(doomed, NAME).get("reason") == "NamespaceMismatch",
        shown=lambda: stack.story(doomed, NAME),
    )
    message = stack.condition(doomed, NAME)["message"]
    assert "scim-api connection release-namespace" in message
    assert stack.secret(doomed, SECRET).get("token") is None
    stack.apply(doomed, "other", tenant="another")
    stack.wait_ready(doomed, "other")

    command = [
        sys.executable,
        "-m",
        "scim_api.cli.main",
        "connection",
        "release-namespace",
        doomed,
        "--database-url",
    ]
    done = subprocess.run(
        [*command, stack.database_url or f"sqlite:///{stack.directory / 'scim.db'}"],
        check=True, timeout=60, capture_output=True, text=True,
    )  # fmt: skip
    assert f"{doomed}/{NAME}" in done.stdout
    assert stack.ask(stack.wait_ready(doomed, NAME, 90)["token"]) == 200
    stack.kubectl("delete", "namespace", doomed, "--wait=false")


@pytest.mark.parametrize("part", ["token", "next-token", None])
def test_who_may_patch_secrets_cannot_have_a_token_of_his_own_accepted(
    stack: Stack, namespace: str, part: str | None
) -> None:
    stack.apply(namespace, NAME)
    token = stack.wait_ready(namespace, NAME)["token"]
    item = json.loads(stack.kubectl("get", "secret", SECRET, "-n", namespace, "-o", "json"))
    ledger = json.loads(item["metadata"]["annotations"]["scim-operator.io/tokens"])
    own, now = new_token(), datetime.now(UTC)
    ledger["tokens"].append(
        {
            "id": "own",
            "digest": digest(own).hex(),
            "issuedAt": now.isoformat(),
            "expiresAt": (now + timedelta(days=3650)).isoformat(),
        }
    )
    patch = {"metadata": {"annotations": {"scim-operator.io/tokens": json.dumps(ledger)}}}
    data = {} if part is None else {"data": {part: base64.b64encode(own.encode()).decode()}}
    stack.kubectl("patch", "secret", SECRET, "-n", namespace, "--type=merge", "-p", json.dumps(patch | data))

    def mended() -> bool:
        found = json.loads(stack.kubectl("get", "secret", SECRET, "-n", namespace, "-o", "json"))
        text = found["metadata"]["annotations"]["scim-operator.io/tokens"]
        return "own" not in text and "next-token" not in found["data"]

    until("the ledger is mended", mended, shown=lambda: stack.story(namespace, NAME))
    assert stack.ask(own) == 401
    assert stack.ask(token) == 200
    assert stack.ask(stack.secret(namespace, SECRET)["token"]) == 200


def test_made_anew_while_no_operator_runs_the_old_token_is_refused_as_soon_as_one_is_back(
    lonely: Stack, doomed: str
) -> None:
    lonely.start_operator()
    lonely.apply(doomed, NAME)
    former = lonely.wait_ready(doomed, NAME)["token"]
    lonely.operators[-1].stop()
    lonely.kubectl("delete", "sct", NAME, "-n", doomed)
    lonely.apply(doomed, NAME)
    assert lonely.ask(former) == 200
    lonely.start_operator()
    until(
        "the former token is refused",
        lambda: lonely.ask(former) == 401,
        15,
        lambda: lonely.story(doomed, NAME),
    )
    assert lonely.ask(ready_with_another(lonely, doomed, [former])) == 200
    lonely.kubectl("delete", "namespace", doomed, "--wait=false")
