"""What is right where credentials are handed over to Entra: no clock and no I/O.

Operator settings shorten no constant of the product, so none is shortened here: the two hours of ``untilInUse`` do not
pass within a campaign, and a revocation waits for Entra for up to fifteen minutes.
"""

import dataclasses
from collections.abc import Iterable
from typing import Final

from torture.rules import SLACK, Answer, Fault, Token, Violation, judge

REVOCATION_WAIT: Final = 900.0
"""Seconds after a credential was superseded for which its revocation waits until Entra uses its successor."""
NEXT_LOOK: Final = 15.0
"""How long a quarantine may last once nothing causes it: a check period and its backoff of a second each, a lease of
four, ``Retry-After`` of two, and as much again for a machine that does everything at once."""


@dataclasses.dataclass(frozen=True, slots=True)
class Succession:
    """What is known of the credentials that came after another one."""

    published_at: float | None
    """When the first of them was seen in the Secret; None while there is none."""
    used_at: float | None
    """When Entra first came with one of them while it held it, by its own record; None while it has not."""


def may_have_ended(token: Token, at: float, after: Succession) -> bool:
    """Whether a credential may be refused at this moment.

    It may from its expiry on, and from a revocation that Entra's use of a successor came before; without such a use when
    it was superseded fifteen minutes ago.
    """
    if at >= token.expires_at - SLACK:
        return True
    if token.end_ordered_at is None or at < token.end_ordered_at:
        return False
    if after.used_at is not None and after.used_at <= at:
        return True
    return after.published_at is not None and at >= after.published_at + REVOCATION_WAIT - SLACK


def judge_entra(answer: Answer, token: Token, after: Succession) -> Violation | None:
    """Whether an answer to Entra breaks a promise: a refusal does, unless the credential had ended rightly."""
    if answer.status not in {401, 403}:
        return judge(answer, token)
    if may_have_ended(token, answer.answered, after):
        return None
    return Violation(Fault.REFUSED_TO_ENTRA, f"{answer} for {token} with {after}")


def ended_early(token: Token, at: float, after: Succession) -> Violation | None:
    """Whether a credential that was seen to have ended broke a promise by that."""
    if may_have_ended(token, at, after):
        return None
    return Violation(Fault.ENDED_EARLY, f"{token} was over at {at} with {after}")


@dataclasses.dataclass(slots=True)
class Quarantines:
    """The quarantines of one job, from looks at it."""

    job: str
    number: int = 0
    longest: float = 0.0
    """Seconds of a quarantine that nothing caused any more."""
    _is_in: bool = False
    _clear_since: float | None = None

    def look(self, now: float, *, is_in_quarantine: bool, has_cause: bool) -> None:
        """Take down how the job is.

        Args:
            now: POSIX seconds.
            is_in_quarantine: whether it is.
            has_cause: a fault goes on, or what Entra holds has ended.
        """
        self.number += is_in_quarantine and not self._is_in
        self._is_in = is_in_quarantine
        if not is_in_quarantine or has_cause:
            self._clear_since = None
        elif self._clear_since is None:
            self._clear_since = now
        else:
            self.longest = max(self.longest, now - self._clear_since)


def outlasting(jobs: Iterable[Quarantines]) -> list[Violation]:
    """Quarantines that went on although their cause was gone."""
    return [
        Violation(Fault.QUARANTINED, f"{one.job} for {one.longest:.1f} s without a cause")
        for one in jobs
        if one.longest > NEXT_LOOK
    ]


@dataclasses.dataclass(frozen=True, slots=True)
class Ending:
    """How it is with one application after everything was mended."""

    scimtoken: str
    holds_published: bool
    """Whether Entra holds the endpoint and the credential of the Secret."""
    handed_over: str
    """Status and reason of the condition HandedOver."""
    job_state: str
    """``status.code`` of the job."""
    last_cycle: str
    """State of the last cycle that began after the mending; "" while there is none."""

    @property
    def is_good(self) -> bool:
        """Whether nothing is left to do."""
        return (
            self.holds_published
            and self.handed_over == "True InUse"
            and self.job_state == "Active"
            and self.last_cycle == "Succeeded"
        )


def unfinished(endings: Iterable[Ending]) -> list[Violation]:
    """Applications that are not as they should be in the end."""
    return [Violation(Fault.NOT_HANDED_OVER, str(one)) for one in endings if not one.is_good]
