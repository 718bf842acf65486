"""``overlap: untilInUse``: whether clients have gone over to the active credential, and when to look again. Pure.

Last uses come from the SCIM API's answer, by the database's clock, and are a few seconds old at most. What the operator
does with a credential itself is no use of it.
"""

from datetime import datetime, timedelta
from typing import Final

from scim_api.contract.admin import CredentialStatus

IDLE_BEFORE_END: Final = timedelta(hours=2)
"""Not used for so long, and its successor used, a superseded credential ends. Entra comes every 40 minutes."""
LOOK_INTERVAL: Final = timedelta(minutes=30)
"""How soon to look again once a superseded credential was idle for that long, and its successor not used yet: no event
reports a use."""


def is_followed(old: CredentialStatus, since: datetime, active: CredentialStatus, now: datetime) -> bool:
    """Whether clients have gone over from a superseded credential to the active one, so that it may end.

    A last use that has not come is of a clock that was set back, and says nothing.

    Args:
        old: the superseded credential.
        since: when it was superseded.
        active: what the Secret publishes.
        now: the database's clock.
    """
    used = active.last_used_at
    return (
        active.issued_at >= old.issued_at
        and used is not None
        and since < used <= now
        and (old.last_used_at is None or old.last_used_at < used)
        and idle_until(old, since) <= now
    )


def idle_until(old: CredentialStatus, since: datetime) -> datetime:
    """Up to when a superseded credential stays at least, as far as it is known to be used.

    Args:
        old: the superseded credential.
        since: when it was superseded.
    """
    return max(since, old.last_used_at or since) + IDLE_BEFORE_END


def next_look(old: CredentialStatus, since: datetime, now: datetime) -> datetime:
    """When to look again at a superseded credential that clients have not left: not before it may end.

    Args:
        old: the superseded credential.
        since: when it was superseded.
        now: the database's clock.
    """
    earliest = idle_until(old, since)
    return earliest if earliest > now else now + LOOK_INTERVAL
