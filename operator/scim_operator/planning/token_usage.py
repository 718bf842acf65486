"""Superseded tokens that are still in use, and when to warn of them. Pure.

Entra goes on with the old token until somebody pastes the new one; what is forgotten shows only when the old
one ends and every request is refused. All is judged from the last uses in the API's answer, by its clock.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from scim_api.contract.admin import CredentialStatus
from scim_operator.api.status import CredentialKind

MAX_WARNING_PERIOD: Final = timedelta(days=7)
"""How long before its end a superseded token in use is warned of, at most."""
WARNING_SHARE: Final = 4
"""... and never more than this part of the time it has as a superseded one."""
MAX_IDLE_PERIOD: Final = timedelta(days=2)
"""Unused for so long, a token counts as left behind; a job in Entra's quarantine comes once a day."""
MIN_IDLE_PERIOD: Final = timedelta(hours=2)
"""Entra comes every 40 minutes: two hours without it say something."""
REEVALUATION_FRACTIONS: Final = (1, 2, 4, 8)
"""Evaluated at the beginning of the warning period and when a half, a quarter and an eighth of it is left: a client
may use the old token for the first time meanwhile, and no event reports a use."""


@dataclasses.dataclass(frozen=True, slots=True)
class SupersededToken:
    """A token that another has replaced in the Secret."""

    id: str
    since: datetime
    ends_at: datetime

    @property
    def warning_period(self) -> timedelta:
        """How long before its end its use is warned of."""
        return min(MAX_WARNING_PERIOD, max(timedelta(0), self.ends_at - self.since) / WARNING_SHARE)

    @property
    def idle_period(self) -> timedelta:
        """For how long it must not have been used to count as left behind."""
        return min(MAX_IDLE_PERIOD, max(MIN_IDLE_PERIOD, (self.ends_at - self.since) / WARNING_SHARE))


@dataclasses.dataclass(frozen=True, slots=True)
class SupersededTokenInUse:
    """A superseded token that somebody uses and that ends soon."""

    id: str
    since: datetime
    ends_at: datetime
    last_used_at: datetime
    client: str | None
    """Family of the client that came with it last, such as ``Azure-AD-SCIM``."""
    kind: CredentialKind = "BearerToken"


def superseded_tokens_in_use(
    superseded: Iterable[SupersededToken], credentials: Sequence[CredentialStatus], now: datetime
) -> tuple[SupersededTokenInUse, ...]:
    """Those whose end is near and that somebody has not left behind; the first to end first.

    Args:
        superseded: live tokens that the Secret does not show any more.
        credentials: as the API has them, with last uses.
        now: the database's clock.
    """
    registered = {item.id: item for item in credentials}
    in_use = []
    for item in superseded:
        use = registered.get(item.id)
        if (
            use is None
            or use.last_used_at is None
            or not item.ends_at - item.warning_period <= now < item.ends_at
        ):
            continue
        recent = item.since < use.last_used_at and now - use.last_used_at < item.idle_period
        if recent and not _moved_on(use, registered):
            in_use.append(
                SupersededTokenInUse(
                    item.id, item.since, item.ends_at, use.last_used_at, use.user_agent, use.kind
                )
            )
    return tuple(sorted(in_use, key=lambda item: (item.ends_at, item.id)))


def _moved_on(old: CredentialStatus, registered: Mapping[str, CredentialStatus]) -> bool:
    """Whether the same client has come with a newer token, and not with this one for a while."""
    assert old.last_used_at is not None  # noqa: S101 (asked only of those that were used)
    return any(
        item.issued_at > old.issued_at
        and item.last_used_at is not None
        and item.last_used_at - old.last_used_at >= MIN_IDLE_PERIOD
        and (item.user_agent is None or old.user_agent in (None, item.user_agent))
        for item in registered.values()
    )


def reevaluation_times(
    superseded: Iterable[SupersededToken], in_use: Iterable[SupersededTokenInUse], now: datetime
) -> list[datetime]:
    """Moments after ``now`` at which ``superseded_tokens_in_use`` may change without any event."""
    superseded = list(superseded)
    moments = [
        item.ends_at - item.warning_period / part for item in superseded for part in REEVALUATION_FRACTIONS
    ]
    silence = {item.id: item.idle_period for item in superseded}
    moments += [item.last_used_at + silence[item.id] for item in in_use]
    return [moment for moment in moments if moment > now]
