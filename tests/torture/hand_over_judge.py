"""Puts together what Entra sent, what Secrets published and what statuses say, and keeps the promises that broke."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from torture.edits import Known
from torture.hand_over_rules import (
    Quarantines,
    Succession,
    ended_early,
    judge_entra,
    may_have_ended,
    outlasting,
)
from torture.rules import Answer, Fault, Token, Violation
from torture.wire import Sent

MAX_KEPT: Final = 50


class HandOverJudge:
    """Judges what it is shown; times are POSIX seconds.

    Args:
        names: of the ScimTokens that hand over.
        known: all credentials that were seen in Secrets, which grows.

    Attributes:
        answers: how many were judged.
        refused: how many of these were refusals.
        used: when Entra first came with a credential that it held, by plaintext.
        quarantines: of each ScimToken's job.
    """

    def __init__(self, names: Iterable[str], known: Sequence[Known]) -> None:
        self._known = known
        self._unjudged: list[Sent] = []
        self._listed: set[str] = set()
        self._found: list[Violation] = []
        self.answers = self.refused = 0
        self.used: dict[str, float] = {}
        self.quarantines = {name: Quarantines(name) for name in names}

    def take(self, sent: Iterable[Sent]) -> None:
        """What Entra sent meanwhile."""
        for one in sent:
            self._unjudged.append(one)
            if one.is_use:
                self.used.setdefault(one.plaintext, one.sent)

    def judge(self, before: float) -> None:
        """Judge the answers up to this moment, when it is known what had become of their credentials."""
        ripe = [one for one in self._unjudged if one.answered <= before]
        self._unjudged = [one for one in self._unjudged if one.answered > before]
        by_plaintext = {known.plaintext: known for known in self._known}
        for one in ripe:
            self.answers += 1
            self.refused += one.status in (401, 403)
            known = by_plaintext.get(one.plaintext)
            if known is not None:
                self._keep(judge_entra(*_answer(one, known), self._after(known)))
            elif one.status in (401, 403):
                self._keep(Violation(Fault.REFUSED_TO_ENTRA, f"{one}: never seen in a Secret"))

    def look_at_states(self, name: str, states: Mapping[str, str], now: float) -> None:
        """The states of a ScimToken's credentials by id, as its status has them; empty when nobody answered."""
        for known in self._of(name) if states else ():
            token = known.token
            if states.get(token.id, "Revoked") != "Revoked":
                self._listed.add(token.id)
            elif token.id in self._listed:
                self._listed.discard(token.id)
                self._keep(ended_early(token, now, self._after(known)))

    def look_at_job(
        self, name: str, now: float, held: str, *, is_in_quarantine: bool, is_disturbed: bool
    ) -> None:
        """A job, and the plaintext that Entra holds for it."""
        self.quarantines[name].look(
            now,
            is_in_quarantine=is_in_quarantine,
            has_cause=is_disturbed or self._may_have_ended(name, held, now),
        )

    def violations(self) -> list[Violation]:
        """The promises that broke."""
        return [*self._found, *outlasting(self.quarantines.values())]

    def _keep(self, found: Violation | None) -> None:
        if found is not None and len(self._found) < MAX_KEPT:
            self._found.append(found)

    def _of(self, name: str) -> list[Known]:
        return [known for known in self._known if known.owner == name]

    def _may_have_ended(self, name: str, plaintext: str, now: float) -> bool:
        known = next((known for known in self._of(name) if known.plaintext == plaintext), None)
        return known is not None and may_have_ended(known.token, now, self._after(known))

    def _after(self, one: Known) -> Succession:
        published_at = one.token.published_at or 0.0
        later = [item for item in self._of(one.owner) if (item.token.published_at or 0.0) > published_at]
        uses = (self.used[item.plaintext] for item in later if item.plaintext in self.used)
        return Succession(
            min((item.token.published_at or 0.0 for item in later), default=None), min(uses, default=None)
        )


def _answer(one: Sent, known: Known) -> tuple[Answer, Token]:
    token = known.token
    if one.access_token_expires_at is not None:
        token = Token(f"{token.id}/access", one.sent, one.access_token_expires_at, parent=token)
    return Answer(token.id, "entra", one.sent, one.answered, one.status), token
