"""What stops a reconcile, as exceptions, and what of it the status says."""

from typing import Final

from scim_operator.planning.actions import Refuse
from scim_operator.planning.conditions import Failure
from scim_operator.planning.deletion_limit import Wait
from scim_operator.planning.ports import ScimApiRejected, ScimApiUnreachable, VerificationFailed

_SECRET_REASONS: Final = ("SecretNotOwned", "SecretDeleting", "TooManyTokens")


class Waiting(Exception):
    """The revocation of a connection without a ScimToken waits."""

    def __init__(self, wait: Wait) -> None:
        super().__init__()
        self.wait = wait


class Refused(Exception):
    """The planner refused; somebody has to change something."""

    def __init__(self, refusal: Refuse) -> None:
        super().__init__(refusal.message)
        self.reason, self.message, self.invalid_revoke = (
            refusal.reason,
            refusal.message,
            refusal.invalid_revoke,
        )


def failure_of(error: Exception) -> Failure:
    """An exception as condition: which stage failed, and why."""
    match error:
        case ScimApiUnreachable():
            return Failure("Registered", "ScimApiUnreachable", str(error), "Unknown")
        case ScimApiRejected():
            return Failure("Registered", error.code, error.message)
        case VerificationFailed():
            return Failure("Published", "VerificationFailed", str(error))
        case Refused(reason="NotUnderstood"):
            return Failure(None, error.reason, error.message, invalid_revoke=error.invalid_revoke)
        case Refused():
            return Failure(
                "Published" if error.reason in _SECRET_REASONS else "Registered", error.reason, error.message
            )
        case _:
            return Failure("Published", "KubernetesRejected", str(error))
