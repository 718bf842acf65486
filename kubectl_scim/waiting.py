"""Asking for a change and waiting until it is done, by a watch."""

import threading
from collections.abc import Callable
from typing import Final

from kubectl_scim.changes import Change, patch_text
from kubectl_scim.kubectl import Kubectl, KubectlError
from kubectl_scim.scimtoken import KIND, ScimToken

SECONDS: Final = 120.0
"""How long a change is waited for, unless it is said otherwise."""


class NotDone(KubectlError):
    """It was asked for, and was not done in time."""


def carry_out(
    kubectl: Kubectl, token: ScimToken, change: Change, seconds: float, say: Callable[[str], None]
) -> ScimToken:
    """Ask for a change, and wait until it is done; the ScimToken then.

    Args:
        kubectl: with the caller's rights.
        token: which.
        change: what is asked for.
        seconds: how long to wait.
        say: called with what Ready says, each time that it is something else.

    Raises:
        KubectlError: it was refused.
        NotDone: it is not done yet; the operator goes on with it.
    """
    there = ("-n", token.namespace)
    kubectl.run("patch", KIND, token.name, *there, "--type", "merge", "-p", patch_text(change))
    said = ""
    with kubectl.watching(KIND, token.name, *there) as objects:
        timer = threading.Timer(seconds, objects.end)
        timer.start()
        try:
            for body in objects:
                now = ScimToken(body)
                if change.is_done(now):
                    return now
                ready = now.condition("Ready")
                text = "waiting for the operator" if ready is None else f"{ready.reason}: {ready.message}"
                if text != said and not now.is_settled:
                    say(text)
                said = text
        finally:
            timer.cancel()
    # A connection that lies idle may be cut without either end being told.
    now = ScimToken(kubectl.get(KIND, token.name, *there))
    if change.is_done(now):
        return now
    last = f" (Ready: {said})" if said else ""
    raise NotDone(
        f"asked for, and not done within {seconds:g} s{last}; the operator goes on with it: kubectl scim status {token.name} "
        f"-n {token.namespace}"
    )
