"""The token ledger: what a Secret's annotation holds of the tokens still in their time. Ids, digests, times; no plaintext.

From it a lost API database is rebuilt, superseded tokens included; ``ledger_signature`` tells whether it is ours.
The handled value of the rotate annotation stands beside it, because it must be written together with the token
that answers it.
"""

import dataclasses
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Self

from pydantic import TypeAdapter

from scim_api.contract.admin import Credential, Sha256Hex, TokenId, WorkloadIdentityTrust
from scim_operator.api.durations import LONGEST
from scim_operator.api.status import CredentialKind

_ID: Final = TypeAdapter(TokenId)
_DIGEST: Final = TypeAdapter(Sha256Hex)
_KIND: Final = TypeAdapter(CredentialKind)


@dataclasses.dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One credential: which, never what."""

    id: str
    digest: str
    """SHA-256, 64 hexadecimal digits."""
    issued_at: datetime
    expires_at: datetime
    superseded_at: datetime | None = None
    """When another token took its place in the Secret."""
    kind: CredentialKind = "BearerToken"
    trust: WorkloadIdentityTrust | None = None
    """Of kind WorkloadIdentity, and of no other."""

    def to_json(self) -> dict[str, Any]:
        """As a JSON object with RFC 3339 times. A bearer token's has no kind, as before there were others."""
        content: dict[str, Any] = {
            "id": self.id, "digest": self.digest,
            "issuedAt": _text(self.issued_at), "expiresAt": _text(self.expires_at),
        }  # fmt: skip
        if self.superseded_at is not None:
            content["supersededAt"] = _text(self.superseded_at)
        if self.kind != "BearerToken":
            content["kind"] = self.kind
        if self.trust is not None:
            content["trust"] = self.trust.model_dump(mode="json", by_alias=True)
        return content

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """Read what ``to_json`` wrote. Raises ``ValueError``, ``KeyError``, ``TypeError`` or ``OverflowError``."""
        superseded, trust = content.get("supersededAt"), content.get("trust")
        entry = cls(
            _ID.validate_python(content["id"], strict=True), _DIGEST.validate_python(content["digest"], strict=True),
            _moment(content["issuedAt"]), _moment(content["expiresAt"]),
            None if superseded is None else _moment(superseded),
            _KIND.validate_python(content.get("kind", "BearerToken"), strict=True),
            None if trust is None else WorkloadIdentityTrust.model_validate(trust),
        )  # fmt: skip
        if (entry.trust is not None) != (entry.kind == "WorkloadIdentity"):
            raise ValueError("a trust goes with its kind")
        if not timedelta(0) < entry.expires_at - entry.issued_at <= LONGEST:
            raise ValueError("no token is issued for such a time")
        return entry

    def to_credential(self, retires_at: datetime | None) -> Credential:
        """As the admin API takes it.

        Args:
            retires_at: an earlier end than its own.
        """
        return Credential(
            id=self.id,
            kind=self.kind,
            digest=self.digest,
            issued_at=self.issued_at,
            expires_at=self.expires_at,
            retires_at=retires_at,
            trust=self.trust,
        )


@dataclasses.dataclass(frozen=True, slots=True)
class TokenLedger:
    """The whole annotation."""

    tokens: tuple[LedgerEntry, ...] = ()
    rotate: str | None = None
    """The value of the rotate annotation that the newest token answered."""
    rotated_at: datetime | None = None
    """When a token was issued last because that annotation asked for it."""

    def to_text(self) -> str:
        """JSON, the same for the same content."""
        content: dict[str, Any] = {"tokens": [token.to_json() for token in self.tokens]}
        if self.rotate is not None:
            content["rotate"] = self.rotate
        if self.rotated_at is not None:
            content["rotatedAt"] = _text(self.rotated_at)
        return json.dumps(content, separators=(",", ":"), sort_keys=True)

    @classmethod
    def from_text(cls, text: str | None) -> Self:
        """Read it. What somebody has damaged counts as missing, entry by entry: the API knows the tokens too."""
        try:
            content = json.loads(text or "{}")
            rotate, entries = content.get("rotate"), list(content.get("tokens", ()))
        except (ValueError, TypeError, AttributeError, RecursionError):
            return cls()
        tokens = tuple(token for token in map(_entry, entries) if token is not None)
        return cls(tokens, rotate if isinstance(rotate, str) else None, _time(content.get("rotatedAt")))


def _entry(content: Any) -> LedgerEntry | None:
    try:
        return LedgerEntry.from_json(content)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
        return None


def _time(text: object) -> datetime | None:
    try:
        return _moment(text)
    except (ValueError, TypeError, OverflowError):
        return None


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _moment(text: object) -> datetime:
    if not isinstance(text, str):
        raise TypeError("a time is text")
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a time names its zone")
    return moment.astimezone(UTC)
