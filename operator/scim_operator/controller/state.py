"""What a reconcile has read so far, plaintext included; the planner sees it without."""

import dataclasses
from collections.abc import Mapping

from scim_api.contract import tokens
from scim_api.contract.admin import Connection
from scim_operator.api.scimtoken import (
    MANAGED_BY,
    MANAGED_BY_LABEL,
    TOKEN_LABEL,
    TOKENS_ANNOTATION,
    ScimToken,
    SecretTemplate,
)
from scim_operator.planning.actions import ObservedSecret, ObservedState
from scim_operator.planning.connection_ownership import belongs_to_predecessor
from scim_operator.planning.ledger_signature import LedgerSigner
from scim_operator.planning.ports import (
    ScimApiRejected,
    SecretSnapshot,
)


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

    @property
    def deletes_connection(self) -> bool:
        """Whether its ScimToken is gone, being deleted or another by now, so that the connection is to be revoked."""
        if not self.connection.exists:
            return False
        if self.token is None or self.token.deleting:
            return True
        return self.token.spec is not None and belongs_to_predecessor(self.observed())

    def observed(self) -> ObservedState:
        """The same without plaintext."""
        return ObservedState(
            self.connection,
            self.token,
            observed_secret(self.token, self.secret, self.signer),
            tuple(view.name for view in self.orphaned_secrets),
            self.rejected_settings is not None,
            self.namespace_uid,
            self.keeps_predecessor,
        )


def observed_secret(
    token: ScimToken | None, view: SecretSnapshot | None, signer: LedgerSigner
) -> ObservedSecret | None:
    """What the plan may know of a Secret: digests for plaintext, and a ledger that is ours."""
    if token is None or view is None:
        return None
    return ObservedSecret(
        owned=view.owned,
        deleting=view.deleting,
        token=_digest(view.data.get("token")),
        next_token=_digest(view.data.get("next-token")),
        ledger=signer.from_text(token.key, view.annotations.get(TOKENS_ANNOTATION)),
        public={
            name: view.data[name] for name in ("endpoint", "token-id", "expires-at") if name in view.data
        },
        drifted=token.spec is not None and _has_drifted(token, token.spec.secret, view),
        labelled=view.labels.get(MANAGED_BY_LABEL) == MANAGED_BY
        and view.labels.get(TOKEN_LABEL) == token.metadata.name,
        controller=view.controller,
        former_owner=view.former_owner,
    )


def _has_drifted(token: ScimToken, wanted: SecretTemplate, view: SecretSnapshot) -> bool:
    annotations = {name: value for name, value in wanted.annotations.items() if name != TOKENS_ANNOTATION}
    return _differs(token.secret_labels(), view.labels, view.managed_labels) or _differs(
        annotations, view.annotations, view.managed_annotations - {TOKENS_ANNOTATION}
    )


def _differs(desired: Mapping[str, str], present: Mapping[str, str], managed: frozenset[str]) -> bool:
    """Whether something of ours is missing, other, or no longer wanted; what others put there is not ours."""
    return not desired.items() <= present.items() or not managed <= desired.keys()


def _digest(text: str | None) -> str | None:
    return None if text is None else tokens.digest(text).hex()
