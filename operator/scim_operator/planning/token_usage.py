"""Who still comes with a token that was replaced, and when that has to be told. Pure.

Entra goes on with the old token until somebody pastes the new one; what is forgotten shows only when the old
one ends and every request is refused. All is judged from the last uses in the API's answer, by its clock.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from scim_api.contract.admin import CredentialStatus

MAX_WARNING_PERIOD: Final = timedelta(days=7)
"""How long before its end a superseded token that is in use is told of, at most."""
WARNING_SHARE: Final = 4
"""... and never more than this part of the time it has as a superseded one."""
MAX_IDLE_PERIOD: Final = timedelta(days=2)
"""Unused for so long, a token counts as left behind; a job in Entra's quarantine comes once a day."""
MIN_IDLE_PERIOD: Final = timedelta(hours=2)
"""Entra comes every 40 minutes: two hours without it say something."""
REEVALUATION_FRACTIONS: Final = (1, 2, 4, 8)
"""Looks at the beginning of the notice and when a half, a quarter and an eighth of it is left: somebody may
come with the old token for the first time meanwhile, and nobody tells the operator of a use."""


@dataclasses.dataclass(frozen=True, slots=True)
class SupersededToken:
    """A token that another has replaced in the Secret."""

    id: str
    since: datetime
    ends_at: datetime

    @property
    def warning_period(self) -> timedelta:
        """How long before its end its use is worth telling."""
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


def superseded_tokens_in_use(
    superseded: Iterable[SupersededToken], credentials: Sequence[CredentialStatus], now: datetime
) -> tuple[SupersededTokenInUse, ...]:
    """Those whose end is near and that somebody has not left behind; the first to end first.

    Args:
        superseded: live tokens that the Secret does not show any more.
        credentials: what the API knows, with last uses.
        now: the database's clock.
    """
    known = {item.id: item for item in credentials}
    found = []
    for item in superseded:
        use = known.get(item.id)
        if (
            use is None
            or use.last_used_at is None
            or not item.ends_at - item.warning_period <= now < item.ends_at
        ):
            continue
        recent = item.since < use.last_used_at and now - use.last_used_at < item.idle_period
        if recent and not _moved_on(use, known):
            found.append(
                SupersededTokenInUse(item.id, item.since, item.ends_at, use.last_used_at, use.user_agent)
            )
    return tuple(sorted(found, key=lambda item: (item.ends_at, item.id)))


def _moved_on(old: CredentialStatus, known: Mapping[str, CredentialStatus]) -> bool:
    """Whether the same client has come with a newer token, and not with this one for a while."""
    assert old.last_used_at is not None  # noqa: S101 (asked only of those that were used)
    return any(
        item.issued_at > old.issued_at
        and item.last_used_at is not None
        and item.last_used_at - old.last_used_at >= MIN_IDLE_PERIOD
        and (item.user_agent is None or old.user_agent in (None, item.user_agent))
        for item in known.values()
    )


def reevaluation_times(
    superseded: Iterable[SupersededToken], in_use: Iterable[SupersededTokenInUse], now: datetime
) -> list[datetime]:
    """Moments after ``now`` at which ``still_used`` may answer otherwise although nothing is told."""
    superseded = list(superseded)
    moments = [
        item.ends_at - item.warning_period / part for item in superseded for part in REEVALUATION_FRACTIONS
    ]
    silence = {item.id: item.idle_period for item in superseded}
    moments += [item.last_used_at + silence[item.id] for item in in_use]
    return [moment for moment in moments if moment > now]
