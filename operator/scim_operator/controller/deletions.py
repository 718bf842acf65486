"""Keeps count of the connections that lost their ScimToken, and holds their revocation while they are many.

Asked right before a connection is revoked; the decision is ``planning.deletion_limit``. In memory alone: a new leader
counts anew, from what has no ScimToken then.
"""

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from scim_operator.api.custom_object import Key
from scim_operator.api.scimtoken import ScimToken
from scim_operator.planning import deletion_limit
from scim_operator.planning.deletion_limit import (
    CONFIRM_DELETION_ANNOTATION,
    WINDOW,
    DeletionLimit,
    Loss,
    Wait,
)

log = structlog.get_logger(__name__)
EXAMPLES: Final = 5
"""ScimTokens that the log names."""


class Deletions:
    """The losses of one leader.

    Args:
        limit: how many may be lost within a minute; None: any number.
        hold: how long those beyond it wait.
        lease: ``namespace/name`` of the operator's Lease, for the remedy.
        kind: of the objects that are lost, for messages.
        now: the operator's clock, UTC.
    """

    def __init__(
        self,
        limit: DeletionLimit | None,
        hold: timedelta = timedelta(),
        *,
        lease: tuple[str, str] = ("", ""),
        kind: str = "ScimToken",
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._limit, self._hold, self._lease, self._now = limit, hold, lease, now
        self._kind = kind
        self._connections = 0
        self._since: dict[Key, datetime] = {}
        """When the last loss of each was noticed; those that came back count on for as long as a hold takes."""
        self._moments: list[datetime] = []
        """The values of ``_since``, in order."""
        self._open: set[Key] = set()
        """Those that have no ScimToken now and are not revoked."""
        self._held: set[Key] = set()
        self._confirmed: set[Key] = set()
        """Those that are to go: once gone, they count no more."""
        self._confirmed_until: datetime | None = None
        self._confirmation = ""

    @property
    def held(self) -> frozenset[Key]:
        """Whose revocation waits because they are many."""
        return frozenset(self._held)

    def count_scimtokens(self, number: int) -> None:
        """So many ScimTokens are there now: there are at least as many connections, or were before a loss."""
        self._connections = max(self._connections, number)

    def count_connections(self, number: int) -> None:
        """The SCIM API has so many connections; forgets earlier numbers."""
        self._connections = number

    def wait(self, key: Key, token: ScimToken | None) -> Wait | None:
        """Whether the revocation of ``key`` waits; counts its loss.

        Args:
            key: whose connection would be revoked; read live, or what is revoked already would count again.
            token: it, while it is being deleted; None when it is gone.
        """
        if self._limit is None:
            return None
        now = self._now()
        since = self._add(key, now)
        confirmed = deletion_limit.is_confirmed(token) or (
            self._confirmed_until is not None and since <= self._confirmed_until
        )
        if confirmed:
            self._confirmed.add(key)
        loss = Loss(since, deletion_limit.deletion_time(token) or since, confirmed)
        decision = deletion_limit.decide(
            loss, self._moments, limit=self._limit, connections=self._connections, hold=self._hold, now=now
        )
        if decision is None or not decision.is_held:
            self._held.discard(key)
            return decision
        was_quiet = not self._held
        self._held.add(key)
        if was_quiet:
            self._log(self._open)
        return decision

    def resolve(self, key: Key) -> None:
        """It has a ScimToken, or no connection any more."""
        self._open.discard(key)
        self._held.discard(key)
        if key in self._confirmed:
            self._confirmed.discard(key)
            self._remove(key)

    def confirm(self, text: str) -> frozenset[Key]:
        """Take the Lease's annotation; returns what to reconcile because of it.

        A time that has not come yet counts as now, so that nobody confirms what nobody has seen.
        """
        if text == self._confirmation:
            return frozenset()
        self._confirmation = text
        moment = deletion_limit.read_time(text) if text else None
        if text and moment is None:
            log.warning(
                "the Lease's annotation is no time; write one such as 2026-11-23T14:00:00Z",
                annotation=CONFIRM_DELETION_ANNOTATION,
            )
        self._confirmed_until = None if moment is None else min(moment, self._now())
        return self.held

    def report(self) -> None:
        """Log what is held; nothing when nothing is."""
        if self._held:
            self._log(self._held)

    def message(self, key: Key, wait: Wait) -> str:
        """What the status of a ScimToken that is held says, with the remedy."""
        namespace, name = key
        return (
            f"the deletion waits until {wait.until:%Y-%m-%dT%H:%M:%SZ}, because many ScimTokens were deleted within a "
            f"minute; its tokens are accepted until then. If it is to go: kubectl annotate sct/{name} -n {namespace} "
            f"{CONFIRM_DELETION_ANNOTATION}=true, or for all of them: {self._remedy()}"
        )

    def _add(self, key: Key, moment: datetime) -> datetime:
        """Note a loss, unless it is noted already; returns since when."""
        if key in self._open:
            return self._since[key]
        self._forget_before(moment - self._hold - WINDOW)
        self._remove(key)
        self._open.add(key)
        self._since[key] = moment
        insort(self._moments, moment)
        return moment

    def _remove(self, key: Key) -> None:
        before = self._since.pop(key, None)
        if before is not None:
            del self._moments[bisect_left(self._moments, before)]

    def _forget_before(self, moment: datetime) -> None:
        while self._moments and self._moments[0] < moment:
            oldest = next(iter(self._since))
            if oldest in self._open:
                return
            self._remove(oldest)

    def _remedy(self) -> str:
        namespace, name = self._lease
        return (
            f"kubectl annotate lease/{name} -n {namespace} --overwrite "
            f"{CONFIRM_DELETION_ANNOTATION}=$(date -u +%Y-%m-%dT%H:%M:%SZ)"
        )

    def _log(self, keys: Iterable[Key]) -> None:
        examples = sorted(keys)
        message = (
            f"deletions held: many connections lost their {self._kind} within a minute; none of these was revoked. If that "
            f"is a mistake, create the {self._kind}s again; if they are to go, annotate the Lease"
        )
        log.error(
            message,
            held=len(examples),
            connections=self._connections,
            examples=[str(key) for key in examples[:EXAMPLES]],
            hold_seconds=self._hold.total_seconds(),
            remedy=self._remedy(),
        )
