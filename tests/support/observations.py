"""What a plan sees of one ScimToken with an active and a superseded credential, made up for a test."""

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from scim_api.contract.admin import Connection, CredentialStatus, OAuthClient
from scim_operator.api.scimtoken import REVOKE_ANNOTATION, ScimToken
from scim_operator.planning.actions import ObservedSecret, ObservedState
from scim_operator.planning.secret_layout import public_secret_data
from scim_operator.planning.token_ledger import LedgerEntry, TokenLedger
from support.operator_world import CLIENT_ID, ENDPOINT

NOW = datetime(2026, 1, 10, tzinfo=UTC)
DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
SPECS: dict[str, dict[str, Any]] = {
    "BearerToken": {},
    "ClientSecret": {"auth": {"type": "OAuthClientCredentials"}},
}


def entry(name: str, issued: datetime, since: datetime | None = None, **more: Any) -> LedgerEntry:
    """A credential for 90 days, superseded at ``since``."""
    return LedgerEntry(
        name, hashlib.sha256(name.encode()).hexdigest(), issued, issued + 90 * DAY, since, **more
    )


def known(item: LedgerEntry, **more: Any) -> CredentialStatus:
    """The same as the API has it."""
    return CredentialStatus(**item.to_credential(None).model_dump() | more)


def observed(
    *ledger: LedgerEntry,
    credentials: tuple[CredentialStatus, ...],
    now: datetime = NOW,
    revoke: str | None = None,
    entra_uses_active: bool | None = None,
    **spec: Any,
) -> ObservedState:
    """The Secret publishes the first of the ledger, and nothing is left to do but what a test is about."""
    active = ledger[0]
    annotations = {} if revoke is None else {REVOKE_ANNOTATION: revoke}
    metadata = {"name": "entra", "namespace": "team", "uid": "u", "annotations": annotations}
    token = ScimToken.from_object({"metadata": metadata, "spec": {**SPECS[active.kind], **spec}})
    client = OAuthClient(client_id=CLIENT_ID)
    connection = Connection(
        namespace="team", name="entra", exists=True, revision="r", now=now, tenant=token.tenant,
        settings=token.tenant_settings(), credentials=credentials, oauth_client=client,
    )  # fmt: skip
    kind: Literal["BearerToken", "ClientSecret", "WorkloadIdentity"] = active.kind
    secret = ObservedSecret(
        owned=True, deleting=False, token=active.digest, next_token=None, ledger=TokenLedger(ledger), drifted=False,
        public=public_secret_data(active, ENDPOINT, CLIENT_ID), kind=kind,
    )  # fmt: skip
    return ObservedState(connection, token, secret, client_id=CLIENT_ID, entra_uses_active=entra_uses_active)
