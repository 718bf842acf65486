"""Carries out the planner's actions, one at a time, in the API and in Kubernetes: where plaintext is handled."""

import dataclasses
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Final

import structlog

from scim_api.contract import tokens
from scim_operator.api.scimtoken import REPLACES_ANNOTATION, TOKENS_ANNOTATION, ScimToken, format_time
from scim_operator.controller.state import SECRET_DATA, State
from scim_operator.planning import actions, planner
from scim_operator.planning.ledger_signature import LedgerSigner
from scim_operator.planning.ports import (
    AdminApi,
    Cluster,
    CredentialVerifier,
    Key,
    ScimApiRejected,
    SecretDraft,
    SecretSnapshot,
    TokenFactory,
)
from scim_operator.planning.secret_moves import replacement
from scim_operator.planning.token_ledger import LedgerEntry, TokenLedger

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
                data = {
                    "token": state.secret.data["token"],
                    **planner.public_secret_data(current, self._endpoint),
                }
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
        """Step 3: the new token is in the Secret before anybody accepts it."""
        plaintext, name, now = self._issuer.new_token(), self._issuer.new_id(), state.connection.now
        entry = LedgerEntry(name, tokens.digest(plaintext).hex(), now, now + step.lifetime)
        ledger = dataclasses.replace(step.ledger, tokens=(entry, *step.ledger.tokens))
        present = state.secret.data if state.secret is not None else {}
        kept = {part: present[part] for part in ("token", "token-id", "expires-at") if part in present}
        await self._write_secret(
            state,
            token,
            {**kept, "endpoint": self._endpoint, "next-token": plaintext},
            ledger,
            "write-next-token",
        )
        log.info("token issued", key=str(token.key), token_id=name, reason=step.reason.value)
        await self._cluster.event(token, "Normal", step.reason.value, f"issuing token {name}: {step.message}")

    async def _register(
        self, key: Key, state: State, token: ScimToken, step: actions.RegisterCredentials
    ) -> None:
        """Step 4: the API accepts exactly what the plan says.

        Settings that it refuses must not keep tokens from being rotated or revoked: the plan is asked again, with
        the settings that the API holds, and the refusal is reported at the end.
        """
        self._trace("put-connection")
        before = state.connection
        try:
            state.connection = await self._api.put(key, step.desired, revision=before.revision)
        except ScimApiRejected as error:
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
        assert state.secret is not None  # noqa: S101 (next-token stands in it)
        plaintext = state.secret.data["next-token"]
        self._trace("verify")
        await self._verifier.verify(plaintext)
        data = {"token": plaintext, **planner.public_secret_data(step.token, self._endpoint)}
        await self._write_secret(state, token, data, step.ledger, "promote")
        log.info("token published", key=str(token.key), token_id=step.token.id)
        await self._cluster.event(
            token,
            "Normal",
            "Published",
            f"Secret {token.secret_name} has token {step.token.id}, valid until {format_time(step.token.expires_at)}",
        )

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
            version = state.secret.resource_version
            state.secret = await self._cluster.replace_secret(token, draft, resource_version=version)
