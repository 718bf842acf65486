"""Carries out the planner's actions, one at a time, in the API and in Kubernetes: where plaintext is handled."""

import dataclasses
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Final

import structlog

from scim_api.contract import tokens
from scim_operator.api.scimtoken import REPLACES_ANNOTATION, TOKENS_ANNOTATION, ScimToken, format_time
from scim_operator.controller.state import IssuedToken, State
from scim_operator.planning import actions
from scim_operator.planning.kind_texts import NOUNS
from scim_operator.planning.ledger_signature import LedgerSigner
from scim_operator.planning.ports import (
    AdminApi,
    Cluster,
    Conflict,
    CredentialVerifier,
    Key,
    ScimApiRejected,
    SecretDraft,
    SecretSnapshot,
    TokenFactory,
)
from scim_operator.planning.secret_layout import KEYS, PUBLISHED, SECRET_DATA, public_secret_data
from scim_operator.planning.secret_moves import replacement
from scim_operator.planning.token_ledger import LedgerEntry, TokenLedger
from scim_operator.planning.trusts import credential_digest

log = structlog.get_logger(__name__)
_ABOUT_SETTINGS: Final = ("SettingsConflict", "MatchingImmutable")


@dataclasses.dataclass(frozen=True, slots=True)
class TokenIssuer:
    """Makes new tokens and ledgers.

    Attributes:
        new_token: makes a token's plaintext.
        new_id: makes its public name.
        signer: signs the ledger that lists it.
    """

    new_token: TokenFactory
    new_id: Callable[[], str]
    signer: LedgerSigner


class ActionExecutor:
    """Does what a plan says, and nothing that it does not.

    Args:
        api: the admin API.
        cluster: Kubernetes.
        verifier: plays Entra's Test Connection.
        endpoint: the SCIM base URL for the Secrets.
        issuer: of tokens and ledgers.
        trace: called with each step's name before it is done.
        read_token: reads the ScimToken live.
    """

    def __init__(
        self,
        *,
        api: AdminApi,
        cluster: Cluster,
        verifier: CredentialVerifier,
        endpoint: str,
        issuer: TokenIssuer,
        trace: Callable[[str], None],
        read_token: Callable[[Key], Awaitable[ScimToken | None]],
    ) -> None:
        self._api, self._cluster, self._verifier, self._endpoint = api, cluster, verifier, endpoint
        self._issuer, self._trace, self._read_token = issuer, trace, read_token

    async def execute(self, key: Key, state: State, step: actions.Action) -> None:
        """Carry out one action, and keep the state up to date.

        Raises:
            Conflict, NotLeading, KubernetesRejected, KubernetesUnreachable, ScimApiUnreachable, ScimApiRejected,
            VerificationFailed: as the ports do.
        """
        if isinstance(step, actions.DeleteConnection):
            self._trace("delete-connection")
            uid = state.connection.owner_uid
            state.connection = await self._api.delete(key, revision=state.connection.revision)
            log.info("connection deleted", key=str(key))
            if state.token is not None and not state.token.deleting:
                await self._cluster.event(
                    state.token,
                    "Warning",
                    "PredecessorRevoked",
                    f"an earlier ScimToken {state.token.metadata.name} (uid {uid}) was deleted: its tokens are refused"
                    " from now on",
                )
            return
        token = state.token
        assert token is not None  # noqa: S101 (all other steps are about one that is there)
        match step:
            case actions.SetFinalizer(present=present):
                self._trace("set-finalizer")
                await self._cluster.set_finalizer(token, present=present)
                state.token = await self._read_token(key)
                if state.token is not None and state.token.metadata.uid != token.metadata.uid:
                    raise Conflict(
                        f"ScimToken {key} was made anew meanwhile"
                    )  # the Secret was read for the other
            case actions.AdoptSecret():
                await self._adopt(state, token)
            case actions.IssueToken():
                await self._issue_token(state, token, step)
            case actions.RegisterCredentials():
                await self._register(key, state, token, step)
            case actions.PromoteToken():
                await self._promote(state, token, step)
            case actions.RewriteSecret(token=current, ledger=record):
                assert state.secret is not None  # noqa: S101 (there is a current token in it)
                keys = KEYS.get(current.kind)
                plaintext = None if keys is None else state.secret.data[keys.plaintext]
                data = self._published(state, current, plaintext)
                await self._write_secret(state, token, data, record, "rewrite-secret")
            case actions.DeleteFormerSecret():
                assert state.secret is not None  # noqa: S101 (the step is about it)
                self._trace("delete-former-secret")
                name, version = state.secret.name, state.secret.resource_version
                await self._cluster.delete_secret(token, name, resource_version=version)
                state.secret = None
            case actions.MoveSecret(name=name):
                await self._move(state, token, name)
            case actions.ReplaceOrphanedSecret(name=name):
                assert state.secret is not None  # noqa: S101 (it replaces the orphaned one)
                await self._write_replacement(state, token, state.secret, name, "replace-orphaned-secret")
            case actions.DeleteOrphanedSecret(name=name):
                self._trace("delete-orphaned-secret")
                view = state.orphaned_secret(name)
                await self._cluster.delete_secret(token, name, resource_version=view.resource_version)
                state.orphaned_secrets.remove(view)

    async def _adopt(self, state: State, token: ScimToken) -> None:
        """A restored Secret is ours again; the token in it stays."""
        assert state.secret is not None  # noqa: S101 (it is the one to adopt)
        self._trace("adopt-secret")
        state.secret = await self._cluster.adopt_secret(token, state.secret)
        log.info("secret adopted", key=str(token.key), secret=token.secret_name)
        await self._cluster.event(
            token,
            "Normal",
            "SecretAdopted",
            f"Secret {token.secret_name} had lost its owner; it was adopted, and its token stays",
        )

    async def _move(self, state: State, token: ScimToken, name: str) -> None:
        """The wanted Secret gets what stands in the one called ``name``, which is deleted after that."""
        await self._write_replacement(state, token, state.orphaned_secret(name), name, "move-secret")
        log.info("token moved", key=str(token.key), source=name, secret=token.secret_name)
        message = f"the token moved from Secret {name} to Secret {token.secret_name}"
        await self._cluster.event(token, "Normal", "SecretMoved", message)

    async def _issue_token(self, state: State, token: ScimToken, step: actions.IssueToken) -> None:
        """Step 3: the new token is in the Secret before anybody accepts it. A trust is recorded there alone."""
        name, now = self._issuer.new_id(), state.connection.now
        present = state.secret.data if state.secret is not None else {}
        data = {part: present[part] for part in PUBLISHED if part in present} | {"endpoint": self._endpoint}
        if step.kind == "WorkloadIdentity":
            assert step.trust is not None  # noqa: S101 (what it is issued for)
            digest = credential_digest(step.trust, state.client_id, name)
        else:
            plaintext = self._issuer.new_token(step.kind)
            digest = tokens.digest(plaintext).hex()
            data[KEYS[step.kind].pending] = plaintext
        entry = LedgerEntry(name, digest, now, now + step.lifetime, kind=step.kind, trust=step.trust)
        ledger = dataclasses.replace(step.ledger, tokens=(entry, *step.ledger.tokens))
        await self._write_secret(state, token, data, ledger, "write-next-token")
        log.info("token issued", key=str(token.key), token_id=name, kind=step.kind, reason=step.reason.value)
        await self.report_unpublished(state)
        state.issued = IssuedToken(entry, step.reason, step.message)

    async def report_unpublished(self, state: State) -> None:
        """Record an Event about what was issued, where the reconcile ends before it is published."""
        issued, state.issued = state.issued, None
        if issued is not None and state.token is not None:
            message = f"issuing {NOUNS[issued.entry.kind]} {issued.entry.id}: {issued.message}"
            await self._cluster.event(state.token, "Normal", issued.reason.value, message)

    async def _register(
        self, key: Key, state: State, token: ScimToken, step: actions.RegisterCredentials
    ) -> None:
        """Step 4: the API accepts exactly what the plan says.

        Settings that it refuses must not keep tokens from being rotated or revoked: the plan is asked again, with
        the settings that the API holds, and the refusal is reported at the end. Likewise a kind of credential that it
        does not know must not keep those of before from being revoked.
        """
        self._trace("put-connection")
        before, client = state.connection, step.desired.oauth_client
        try:
            state.connection = await self._api.put(key, step.desired, revision=before.revision)
            if client is not None and state.connection.oauth_client is None:
                state.not_supported = _upgrade_for_auth(token, "it knows no OAuth clients")
        except ScimApiRejected as error:
            # An earlier release takes bearer tokens alone, and has no client of this connection.
            if error.code == "Invalid" and client is not None and before.oauth_client is None:
                state.not_supported = _upgrade_for_auth(token, error.message)
                return
            if error.code == "Invalid" and step.desired.access == "ReadOnly":
                state.not_supported = _upgrade_for_access(error.message)
                return
            is_registered = (
                before.exists and before.tenant == step.desired.tenant and before.settings is not None
            )
            if error.code not in _ABOUT_SETTINGS or not is_registered or state.rejected_settings is not None:
                raise
            state.rejected_settings = error
            return
        if step.revoked:
            names = ", ".join(step.revoked)
            log.info("tokens revoked", key=str(key), token_ids=list(step.revoked))
            await self._cluster.event(
                token, "Normal", "Revoked", f"revoked, and refused from now on: {names}"
            )

    async def _promote(self, state: State, token: ScimToken, step: actions.PromoteToken) -> None:
        """Steps 5 and 6: what the Secret shows has been seen to work."""
        current, plaintext = step.token, None
        keys = KEYS.get(current.kind)
        if keys is not None:
            assert state.secret is not None  # noqa: S101 (what is pending stands in it)
            plaintext = state.secret.data[keys.pending]
            self._trace("verify")
            await self._verifier.verify(plaintext, None if current.kind == "BearerToken" else state.client_id)
        data = self._published(state, current, plaintext)
        await self._write_secret(state, token, data, step.ledger, "promote")
        log.info("token published", key=str(token.key), token_id=current.id, kind=current.kind)
        until = "" if keys is None else f", valid until {format_time(current.expires_at)}"
        message = f"Secret {token.secret_name} has {NOUNS[current.kind]} {current.id}{until}"
        issued, reason = state.issued, "Published"
        if issued is not None and issued.entry.id == current.id:
            reason, message, state.issued = issued.reason.value, f"{message}: {issued.message}", None
        await self._cluster.event(token, "Normal", reason, message)

    def _published(self, state: State, current: LedgerEntry, plaintext: str | None) -> dict[str, str]:
        """The data of a Secret that publishes a credential."""
        data = public_secret_data(current, self._endpoint, state.client_id)
        return data if plaintext is None else {KEYS[current.kind].plaintext: plaintext, **data}

    async def _write_replacement(
        self, state: State, token: ScimToken, source: SecretSnapshot, replaced: str, step: str
    ) -> None:
        """Write what stands in ``source``, and that the wanted Secret replaces ``replaced`` at its version."""
        data = {part: source.data[part] for part in SECRET_DATA if part in source.data}
        ledger = self._issuer.signer.from_text(token.key, source.annotations.get(TOKENS_ANNOTATION))
        version = state.orphaned_secret(replaced).resource_version
        await self._write_secret(
            state, token, data, ledger, step, {REPLACES_ANNOTATION: replacement(replaced, version)}
        )

    async def _write_secret(
        self,
        state: State,
        token: ScimToken,
        data: dict[str, str],
        ledger: TokenLedger,
        step: str,
        annotations: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._trace(step)
        draft = SecretDraft(
            token.secret_name,
            data,
            token.secret_labels(),
            {
                **token.secret_annotations(),
                **annotations,
                TOKENS_ANNOTATION: self._issuer.signer.to_text(token.key, ledger),
            },
        )
        if state.secret is None:
            state.secret = await self._cluster.create_secret(token, draft)
        else:
            state.secret = await self._cluster.replace_secret(token, draft, state.secret)


def _upgrade_for_auth(token: ScimToken, answer: str) -> actions.Refuse:
    """What to do when the API does not take the kind of credential that ``spec.auth`` asks for."""
    return actions.Refuse(
        "AuthTypeNotSupported",
        f"upgrade the SCIM API: the one that answers does not take spec.auth.type {token.understood_spec.auth.type} "
        f"({answer}). Tokens issued before stay valid to their end, and the annotation scim-operator.io/revoke works; "
        "nothing is issued or replaced before the upgrade, or before spec.auth is as it was",
    )


def _upgrade_for_access(answer: str) -> actions.Refuse:
    """What to do when the API does not know ``access``: it would accept a token that may write."""
    return actions.Refuse(
        "AccessNotSupported",
        f"upgrade the SCIM API: the one that answers does not know access: ReadOnly ({answer}), and would let the token "
        "write. Nothing is issued or replaced before the upgrade; the annotation scim-operator.io/revoke works",
    )
