"""What a reconcile has read so far, plaintext included; the planner sees it without."""

import dataclasses

from scim_api.contract import oauth, tokens
from scim_api.contract.admin import Connection
from scim_operator.api.custom_object import MANAGED_BY, MANAGED_BY_LABEL
from scim_operator.api.scimtoken import REPLACES_ANNOTATION, TOKEN_LABEL, TOKENS_ANNOTATION, ScimToken
from scim_operator.planning.actions import IssueReason, ObservedSecret, ObservedState, Refuse
from scim_operator.planning.connection_ownership import belongs_to, belongs_to_predecessor
from scim_operator.planning.entra.in_use import entra_uses_published
from scim_operator.planning.ledger_signature import LedgerSigner
from scim_operator.planning.ports import (
    ScimApiRejected,
    SecretSnapshot,
)
from scim_operator.planning.secret_layout import (
    KEYS,
    PUBLIC,
    has_stray_plaintext,
    pending_kind,
    published_kind,
)
from scim_operator.planning.secret_moves import newest_secret, owned_secrets
from scim_operator.planning.secret_ownership import is_proven
from scim_operator.planning.token_ledger import LedgerEntry, TokenLedger


@dataclasses.dataclass(frozen=True, slots=True)
class IssuedToken:
    """A credential that was written into the Secret as pending."""

    entry: LedgerEntry
    reason: IssueReason
    message: str
    """Why it was issued, for people."""


@dataclasses.dataclass(slots=True)
class State:
    """The views a pass works on; a successful write puts its answer in the place of the older view."""

    signer: LedgerSigner
    connection: Connection
    token: ScimToken | None
    secret: SecretSnapshot | None
    orphaned_secrets: list[SecretSnapshot] = dataclasses.field(default_factory=list)
    rejected_settings: ScimApiRejected | None = None
    """Why the API did not take the wanted settings; the tokens go on without them."""
    namespace_uid: str | None = None
    """Of the ScimToken's namespace, where it was read."""
    keeps_predecessor: bool = False
    """The tokens of an earlier ScimToken of this name go on, although this one has another uid."""
    refused_name: Refuse | None = None
    """Why the wanted Secret can't be written; the tokens go on in the one under its former name."""
    not_supported: Refuse | None = None
    """What of the spec the API is too old to take."""
    installation_id: str = ""
    issued: IssuedToken | None = None
    """What this reconcile has issued and no Event has told of yet: one Event tells that it is published, and why."""

    @property
    def client_id(self) -> str:
        """The ScimToken's, at the token endpoint."""
        return "" if self.token is None else oauth.client_id_of(self.installation_id, *self.token.key)

    @property
    def deletes_connection(self) -> bool:
        """Whether its ScimToken is gone, being deleted or another by now, so that the connection is to be revoked."""
        if not self.connection.exists:
            return False
        if self.token is None or self.token.deleting:
            return True
        if self.token.spec is None or belongs_to(self.connection, self.token):
            return False  # before the observation, which takes digests and a signature: it is asked before each step
        return belongs_to_predecessor(self.observed())

    def observed(self) -> ObservedState:
        """The same without plaintext."""
        secret = observed_secret(self.token, self.secret, self.signer)
        return ObservedState(
            self.connection,
            self.token,
            secret,
            self._observed_orphans(),
            self.rejected_settings is not None,
            self.namespace_uid,
            self.keeps_predecessor,
            self.client_id,
            self.not_supported,
            entra_uses_published(self.token, secret),
        )

    def orphaned_secret(self, name: str) -> SecretSnapshot:
        """One of the Secrets under other names."""
        return next(view for view in self.orphaned_secrets if view.name == name)

    def fall_back(self, refusal: Refuse) -> bool:
        """Go on with our Secret under its former name while the wanted one can't be written; whether there is one."""
        others = owned_secrets(self._observed_orphans())
        name = newest_secret(
            {name: item for name, item in others.items() if not item.deleting}, self.connection
        )
        if self.token is None or name is None:
            return False
        self.refused_name = dataclasses.replace(
            refusal, message=f"{refusal.message}. Until then the token stays in Secret {name}"
        )
        self.token, self.secret = self.token.with_secret_name(name), self.orphaned_secret(name)
        self.orphaned_secrets.remove(self.secret)
        return True

    def _observed_orphans(self) -> dict[str, ObservedSecret]:
        seen = {view.name: observed_secret(self.token, view, self.signer) for view in self.orphaned_secrets}
        return {name: item for name, item in seen.items() if item is not None}


def observed_secret(
    token: ScimToken | None, view: SecretSnapshot | None, signer: LedgerSigner
) -> ObservedSecret | None:
    """What the plan may know of a Secret: digests for plaintext, and a ledger that is ours."""
    if token is None or view is None:
        return None
    wanted = "BearerToken" if token.spec is None else token.spec.auth.kind
    kind, next_kind = published_kind(view.data, wanted), pending_kind(view.data, wanted)
    ledger = signer.from_text(token.key, view.annotations.get(TOKENS_ANNOTATION))
    return ObservedSecret(
        owned=view.owned,
        deleting=view.deleting,
        token=_published_trust(ledger)
        if kind == "WorkloadIdentity"
        else _digest(view.data.get(KEYS[kind].plaintext)),
        next_token=_digest(view.data.get(KEYS[next_kind].pending)),
        ledger=ledger,
        public={name: view.data[name] for name in PUBLIC if name in view.data},
        drifted=token.spec is not None
        and (_has_drifted(token, view) or has_stray_plaintext(view.data, kind)),
        labelled=view.labels.get(MANAGED_BY_LABEL) == MANAGED_BY
        and view.labels.get(TOKEN_LABEL) == token.metadata.name,
        controller=view.controller,
        former_owner=view.former_owner,
        version=view.resource_version,
        replaces=view.annotations.get(REPLACES_ANNOTATION),
        kind=kind,
        next_kind=next_kind,
    )


def _published_trust(ledger: TokenLedger) -> str | None:
    """The digest of the trust that a Secret without any plaintext stands for: the ledger's newest, which is signed."""
    standing = [item for item in ledger.tokens if item.trust is not None and item.superseded_at is None]
    return max(standing, key=lambda item: (item.issued_at, item.id)).digest if standing else None


def _has_drifted(token: ScimToken, view: SecretSnapshot) -> bool:
    return view.has_drifted(
        token.secret_labels(), token.secret_annotations(), besides=frozenset({TOKENS_ANNOTATION})
    )


def is_ours(token: ScimToken, view: SecretSnapshot, connection: Connection, signer: LedgerSigner) -> bool:
    """Whether a Secret under another name holds this ScimToken's token: owned, or restored and proven."""
    seen = observed_secret(token, view, signer)
    return seen is not None and (seen.owned or is_proven(seen, connection))


def _digest(text: str | None) -> str | None:
    return None if text is None else tokens.digest(text).hex()
