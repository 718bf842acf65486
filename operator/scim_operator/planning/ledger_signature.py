"""The signature of a token ledger: an annotation that anybody may have edited is believed only when it is ours.

Who may patch a Secret could otherwise write the digest of a token of his own into its ledger, and the operator
would register it as one that it issued. The signature is HMAC-SHA256 (RFC 2104) with a key that only the operator
has, over the ScimToken's namespace and name and the ledger's canonical JSON.
"""

import dataclasses
import hashlib
import hmac
import json
from typing import Any, Final

from scim_operator.api.custom_object import Key
from scim_operator.planning.token_ledger import TokenLedger

_MEMBER: Final = "hmac"


@dataclasses.dataclass(frozen=True, slots=True)
class LedgerSigner:
    """Writes and reads the annotation ``scim-operator.io/tokens``. ``repr`` never shows the key."""

    key: bytes = dataclasses.field(repr=False)
    """At least 32 bytes."""

    def to_text(self, owner: Key, ledger: TokenLedger) -> str:
        """The annotation's text: the ledger's JSON with its signature, the same for the same content."""
        content: dict[str, Any] = json.loads(ledger.to_text())
        return _canonical({**content, _MEMBER: self._signature(owner, content)})

    def from_text(self, owner: Key, text: str | None) -> TokenLedger:
        """Read it. One that is damaged, edited, another ScimToken's or signed with another key counts as lost."""
        try:
            content = json.loads(text or "{}")
            given = str(content.pop(_MEMBER, ""))
            if not hmac.compare_digest(given.encode(), self._signature(owner, content).encode()):
                return TokenLedger()
        except (ValueError, TypeError, AttributeError, RecursionError):
            return TokenLedger()
        return TokenLedger.from_text(_canonical(content))

    def _signature(self, owner: Key, content: dict[str, Any]) -> str:
        message = f"{owner}\n{_canonical(content)}".encode()
        return hmac.new(self.key, message, hashlib.sha256).hexdigest()


def _canonical(content: dict[str, Any]) -> str:
    return json.dumps(content, separators=(",", ":"), sort_keys=True)
