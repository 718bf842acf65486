"""What is right: one answer, one token's life, one verdict. No clock and no I/O.

Times are POSIX seconds of one machine's clock. ``SLACK`` is the second that the documentation allows for a
revocation to reach every replica, and for the difference of clocks.
"""

import dataclasses
import enum
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

SLACK: Final = 1.0
SEEN: Final = 2.0
"""Secrets and statuses are looked at every now and then: what is published may be seen so much later."""
MENDED: Final = 30.0
"""How long a Secret may have no valid token beyond that. Nobody can rotate while etcd, the Kubernetes API or the
SCIM API are down, and the faults keep one of them down for longer than the half of a token's minute that
``rotateBefore`` leaves, when they come one upon the other on a busy machine."""
UNAVAILABLE: Final = frozenset({0, 503})
"""0 stands for no answer at all: refused, reset, timed out."""


class Fault(enum.StrEnum):
    """A broken promise."""

    REJECTED = "a token in its time was rejected"
    ACCEPTED = "a token that is over was accepted"
    FAILED = "the service failed otherwise"
    LOST = "an acknowledged write is lost"
    STUCK = "a token was not rotated in its time"
    REFUSED_TO_ENTRA = "what Entra holds was refused"
    ENDED_EARLY = "a credential ended before Entra used its successor"
    QUARANTINED = "a quarantine outlasted its cause"
    NOT_HANDED_OVER = "in the end Entra lacks the credential, or its job does not run"


@dataclasses.dataclass
class Token:
    """What is known of one token or client secret; its plaintext is not needed to judge."""

    id: str
    published_at: float | None
    """When it was first seen in a Secret, or issued for a client secret; None for one that never was valid."""
    expires_at: float = 0.0
    revoke_ordered_at: float | None = None
    """From here on it may be refused."""
    revoked_at: float | None = None
    """When the ScimToken's status said that it is revoked: from here on, plus SLACK, it must be refused."""
    client_id: str | None = None
    """Of a client secret, which the token endpoint takes; None for what the SCIM API takes."""
    parent: "Token | None" = None
    """Of an access token: the client secret that it was issued for. It ends when that is revoked, and not when that
    expires."""

    @property
    def end_ordered_at(self) -> float | None:
        """From when on a revocation may hold."""
        return self.revoke_ordered_at if self.parent is None else self.parent.revoke_ordered_at

    @property
    def ends_at(self) -> float:
        """Its expiry, or the revocation that came before."""
        revoked_at = self.revoked_at if self.parent is None else self.parent.revoked_at
        return min(self.expires_at, self.expires_at if revoked_at is None else revoked_at)

    def must_be_accepted(self, sent: float, answered: float) -> bool:
        """Whether a request between these two moments has a right to be served."""
        return (
            self.published_at is not None
            and sent >= self.published_at
            and answered < self.expires_at - SLACK
            and (self.end_ordered_at is None or answered < self.end_ordered_at)
        )

    def must_be_refused(self, sent: float) -> bool:
        """Whether a request sent at this moment must not be served."""
        return self.published_at is None or sent > self.ends_at + SLACK


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """One request with a token, and what came back."""

    token: str
    replica: str
    sent: float
    answered: float
    status: int
    """HTTP status, or 0 when there was no answer."""


@dataclasses.dataclass(frozen=True, slots=True)
class Violation:
    """A broken promise with its evidence."""

    fault: Fault
    detail: str


def judge(answer: Answer, token: Token) -> Violation | None:
    """Whether an answer breaks a promise. Unavailability breaks none; a wrong answer does."""
    evidence = f"{answer} for {token}"
    if answer.status in UNAVAILABLE:
        return None
    if answer.status in {401, 403}:
        wrong = token.must_be_accepted(answer.sent, answer.answered)
        return Violation(Fault.REJECTED, evidence) if wrong else None
    if answer.status >= 500:
        return Violation(Fault.FAILED, evidence)
    return Violation(Fault.ACCEPTED, evidence) if token.must_be_refused(answer.sent) else None


@dataclasses.dataclass
class Person:
    """What was written of one user: the value that was acknowledged last, and those whose fate is open."""

    id: str
    acknowledged: str
    open: set[str] = dataclasses.field(default_factory=set)
    """Sent after it without an answer: either is right."""


def lost(people: Iterable[Person], found: Mapping[str, str | None]) -> list[Violation]:
    """Acknowledged writes that are gone in the end.

    Args:
        people: those whose creation was acknowledged.
        found: what is there now, by id; None for nobody.
    """
    return [
        Violation(Fault.LOST, f"{person} reads {found.get(person.id)!r}")
        for person in people
        if found.get(person.id) not in {person.acknowledged, *person.open}
    ]


@dataclasses.dataclass(frozen=True, slots=True)
class Gap:
    """A time within which a Secret held no valid token."""

    begin: float
    end: float

    @property
    def seconds(self) -> float:
        """How long."""
        return self.end - self.begin


def gaps(tokens: Sequence[Token], until: float) -> list[Gap]:
    """Times within which no published token was valid, between the first publication and ``until``."""
    lives = sorted(
        (token.published_at, min(token.expires_at, token.revoked_at or token.expires_at))
        for token in tokens
        if token.published_at is not None
    )
    found: list[Gap] = []
    covered = lives[0][1] if lives else until
    for begin, end in [*lives[1:], (until, until)]:
        if begin > covered + SEEN:
            found.append(Gap(covered, begin))
        covered = max(covered, end)
    return found


def stuck(found: Iterable[Gap]) -> list[Violation]:
    """Those that were not mended in time."""
    return [
        Violation(Fault.STUCK, f"nothing valid was published from {gap.begin} to {gap.end}")
        for gap in found
        if gap.seconds > MENDED
    ]
