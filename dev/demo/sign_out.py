"""An application follows the feed of changes, and signs out whom Entra, played, disables.

The application is ``examples/consumers/feed.py``; its ScimToken is that of ``feed.yaml`` beside it.
"""

import base64
import dataclasses
import datetime as dt
import functools
import json
import time
from pathlib import Path
from typing import Any, Final

import httpx

from demo import hand_over
from demo.console import Console, Kubectl, check, until
from demo.hand_over import Microsoft, ids_of
from demo.installation import Installation
from demo.processes import start_feed

EXAMPLE: Final = "examples/consumers/feed.yaml"
NAME: Final = "feed"
_SELECTOR: Final = "app.kubernetes.io/component=token"
"""Of the example's ScimToken: the rest is for a cluster with nodes."""
_KEY: Final = "radia"
_WITHIN_SECONDS: Final = 1.0
_POLL_SECONDS: Final = 0.02
_SECONDS: Final = 30.0
_OK: Final = 200
_UNAUTHORIZED: Final = 401


def tell(console: Console, installation: Installation, cloud: Microsoft) -> None:
    """The whole part.

    Args:
        console: told each step.
        installation: started.
        cloud: its only application runs a cycle each second, with the ScimToken of ``hand_over``.

    Raises:
        DemoFailed: at the first step that is not as it must be.
        ProcessFailed: the application did not become ready.
    """
    console.title("An application signs out who is disabled in Entra")
    namespace = ids_of(Path(hand_over.EXAMPLE).read_text(encoding="utf-8")).namespace
    secret = _apply(installation.kubectl, namespace)
    start = functools.partial(start_feed, endpoint=secret["endpoint"], token=secret["token"])
    with installation.beside(start) as process, httpx.Client(trust_env=False) as client:
        process.wait_ready(_SECONDS)
        application = next(cloud.applications())
        person = next(person for person in application.people if person.key == _KEY)
        session = process.ready_url.replace("/healthz", f"/session/{person.user_principal_name}")
        status = client.get(session).status_code
        check(status == _OK, f"the session of {person.display_name} answers {status} before")
        console.step(
            f"examples/consumers/feed.py runs, with a table of its own: {person.display_name} is signed in"
        )
        application.people = tuple(
            dataclasses.replace(one, active=one.active and one.key != _KEY) for one in application.people
        )
        until(
            f"{person.display_name} is signed out",
            lambda: client.get(session).status_code == _UNAUTHORIZED,
            _SECONDS,
            _POLL_SECONDS,
        )
        seconds = time.time() - _deactivated_at(client, secret)
        console.step(
            f"Entra (played) has disabled {person.display_name}: signed out of the application {seconds:.2f} s later"
        )
        check(seconds < _WITHIN_SECONDS, f"signed out after {seconds:.2f} s, where a second is the most")
    console.step("the application was stopped")


def _apply(kubectl: Kubectl, namespace: str) -> dict[str, str]:
    """A ScimToken that reads; what its Secret holds."""
    where = ("-n", namespace)
    kubectl.step("it has a ScimToken that only reads", "apply", *where, "-f", EXAMPLE, "-l", _SELECTOR)
    kubectl("wait", "--for=condition=Ready", f"sct/{NAME}", *where, f"--timeout={_SECONDS:.0f}s")
    answer = json.loads(kubectl("get", "secret", f"{NAME}-scim-token", *where, "-o", "json"))
    return {key: base64.b64decode(value).decode() for key, value in answer["data"].items()}


def _deactivated_at(client: httpx.Client, secret: dict[str, str]) -> float:
    """When the service stored the newest deactivation, as the feed says, in seconds since 1970."""
    answer = client.get(
        secret["endpoint"].removesuffix("/scim/v2") + "/changes/v1",
        params={"types": "user.deactivated", "limit": 1000},
        headers={"authorization": f"Bearer {secret['token']}"},
    )
    changes: list[dict[str, Any]] = answer.json()["changes"]
    return dt.datetime.fromisoformat(changes[-1]["at"]).timestamp()
