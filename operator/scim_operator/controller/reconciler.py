"""Reconciling one ScimToken: thin, ordered I/O around the planner.

The order survives every interleaving of two reconcilers, late writes of a paused ex-leader included
(``tests/unit/scim_operator/controller/test_interleavings.py`` runs this very code through all of them):

1. GET the API's state with its revision; 2. read the ScimToken, then the Secret, live: the revision then
proves that neither is older than it; 3. write the new token as ``next-token`` at the Secret's
resourceVersion; 4. PUT the whole state with If-Match; 5. verify the new token; 6. promote it at the Secret's
resourceVersion. A write that loses (409, 412) starts again at 1. Each step is decided from what is so, hence
a process killed at any line is simply followed by another.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from datetime import datetime, timedelta
from typing import Final

import structlog

from scim_api.contract import tokens
from scim_api.contract.admin import Connection
from scim_operator.api.scimtoken import FINALIZER, ScimToken
from scim_operator.controller.action_executor import ActionExecutor, TokenIssuer
from scim_operator.controller.conflicts import until_no_conflict
from scim_operator.controller.deletions import Deletions
from scim_operator.controller.failures import Refused, Waiting, failure_of
from scim_operator.controller.state import State, is_ours
from scim_operator.controller.status_writer import StatusWriter
from scim_operator.controller.workqueue import Result
from scim_operator.planning import actions, conditions, planner
from scim_operator.planning.conditions import DELETION_HELD, Failure, ReconcileOutcome
from scim_operator.planning.connection_ownership import belongs_to, is_in_same_namespace
from scim_operator.planning.deletion_limit import Wait
from scim_operator.planning.endpoint_verdict import EndpointVerdict
from scim_operator.planning.ledger_signature import LedgerSigner
from scim_operator.planning.ports import (
    AdminApi,
    Cluster,
    CredentialVerifier,
    Key,
    KubernetesRejected,
    ScimApiRejected,
    ScimApiUnreachable,
    SecretSnapshot,
    TokenFactory,
    VerificationFailed,
)

log = structlog.get_logger(__name__)
_ABOUT_THE_NAME: Final = ("SecretNotOwned", "SecretDeleting")
"""Refusals of the wanted Secret, not of the token: it goes on in the Secret that has it."""
MAX_ACTIONS: Final = 32
"""More actions than any reconcile needs; a bound, so that a mistake in the planner can't spin."""


class Reconciler:
    """Brings ScimTokens to where they should be, one call at a time for each.

    Args:
        api: the admin API.
        cluster: Kubernetes; each write of it asks first whether this process leads.
        verifier: plays Entra's Test Connection.
        endpoint: the SCIM base URL for the Secrets.
        ledger_key: signs the token ledgers in the Secrets' annotations.
        installation_id: client ids are derived from it.
        new_token: makes a token's plaintext.
        new_id: makes its public name.
        trace: called with each step's name before it is done.
        pause: waits some seconds after a lost write.
        clock: for a status written while the database's clock can't be read; UTC.
        endpoint_verdict: of the last check of the endpoint; nothing waits for one.
        deletions: asked before a connection is revoked because its ScimToken is gone or being deleted.
        secret_names: the Secrets that the watch has shown for a ScimToken: a hint to look for more than the wanted one.
        request_interval: the least time between two rotations of a ScimToken that its annotation asks for.
        denied_metadata: domains whose labels and annotations no Secret gets.
    """

    def __init__(
        self,
        *,
        api: AdminApi,
        cluster: Cluster,
        verifier: CredentialVerifier,
        endpoint: str,
        ledger_key: bytes,
        installation_id: str,
        new_token: TokenFactory = tokens.new_token,
        new_id: Callable[[], str] = tokens.new_token_id,
        trace: Callable[[str], None] = lambda _step: None,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], datetime] = conditions.local_now,
        endpoint_verdict: Callable[[], EndpointVerdict | None] = lambda: None,
        deletions: Deletions | None = None,
        secret_names: Callable[[Key], Collection[str]] = lambda _key: (),
        request_interval: timedelta = planner.REQUEST_INTERVAL,
        denied_metadata: Collection[str] = (),
    ) -> None:
        self._api, self._cluster, self._endpoint = api, cluster, endpoint
        self._trace, self._pause, self._clock, self._endpoint_verdict = trace, pause, clock, endpoint_verdict
        self._signer, self._installation_id = LedgerSigner(ledger_key), installation_id
        self._secret_names = secret_names
        self._request_interval = request_interval
        self._denied_metadata = denied_metadata
        self._status = StatusWriter(cluster, endpoint, trace)
        self._executor = ActionExecutor(
            api=api,
            cluster=cluster,
            verifier=verifier,
            endpoint=endpoint,
            issuer=TokenIssuer(new_token, new_id, self._signer),
            trace=trace,
            read_token=self._read_token,
        )
        self._deletions = deletions or Deletions(limit=None)

    async def reconcile(self, key: Key) -> Result:
        """Do what is to be done about ``key`` and write its status.

        Raises:
            NotLeading: this process may not write any more.
            KubernetesUnreachable: Kubernetes does not answer, so that not even a status can be written.
        """
        return await until_no_conflict(key, self._reconcile_once, self._pause)

    async def _reconcile_once(self, key: Key) -> Result:
        try:
            state = await self.observe(key)
        except (ScimApiUnreachable, ScimApiRejected, KubernetesRejected) as error:
            return await self._report_unobservable(key, failure_of(error))
        if not state.deletes_connection:
            self._deletions.resolve(key)
        done: actions.Done | None = None
        failure: Failure | None = None
        try:
            done = await self._execute_plan(key, state)
            self._deletions.resolve(key)
        except Waiting as error:
            return await self._report_wait(key, state.token, error.wait)
        except (
            ScimApiUnreachable,
            ScimApiRejected,
            VerificationFailed,
            KubernetesRejected,
            Refused,
        ) as error:
            failure = failure_of(error)
        if state.token is None:
            return Result(requeue=failure is not None, reason=failure.reason if failure else "")
        if failure is None and state.rejected_settings is not None and not state.token.deleting:
            failure = failure_of(state.rejected_settings)
        if failure is None and state.refused_name is not None:
            failure = failure_of(Refused(state.refused_name))
        if failure is not None and await self._force_deletion(state.token, failure):
            return Result()
        observed = state.observed()
        outcome = ReconcileOutcome(
            state.token, state.connection, observed.secret, done, failure, self._endpoint_verdict()
        )
        await self._status.write(outcome, state.connection.now)
        if failure is not None:
            log.info("reconcile stopped", key=str(key), reason=failure.reason, message=failure.message)
            return Result(requeue=True, reason=failure.reason)
        if done is None or done.requeue_at is None:
            return Result()
        return Result(max(timedelta(0), done.requeue_at - state.connection.now))

    async def observe(self, key: Key) -> State:
        """Steps 1 and 2, in this order."""
        connection = await self._get_connection(key)
        token, secret, others = await self._read_cluster(key)
        ours = [
            view for view in others if token is not None and is_ours(token, view, connection, self._signer)
        ]
        state = State(self._signer, connection, token, secret, ours, installation_id=self._installation_id)
        if token is not None and not token.deleting and not belongs_to(connection, token):
            # A namespace that was made anew has other ScimTokens, so that it is read only for one that is new.
            self._trace("read-namespace")
            state.namespace_uid = await self._cluster.namespace_uid(token)
        return state

    async def _get_connection(self, key: Key) -> Connection:
        self._trace("get-connection")
        return await self._api.get(key)

    async def _read_cluster(
        self, key: Key
    ) -> tuple[ScimToken | None, SecretSnapshot | None, list[SecretSnapshot]]:
        token = await self._read_token(key)
        if token is None or token.deleting:
            # Its Secret goes by itself. When the whole namespace goes, so does a RoleBinding that let us read it.
            return token, None, []
        self._trace("read-secret")
        secret = await self._cluster.secret(token, token.secret_name)
        if secret is not None and {token.status.secret_name, *self._secret_names(key)} == {token.secret_name}:
            return token, secret, []
        self._trace("list-secrets")
        return token, secret, await self._cluster.other_secrets(token, token.secret_name)

    async def _read_token(self, key: Key) -> ScimToken | None:
        self._trace("read-token")
        token = await self._cluster.token(key)
        return None if token is None else token.denying(self._denied_metadata)

    async def _execute_plan(self, key: Key, state: State) -> actions.Done:
        """Carry out actions until there is none left; the state is kept up to date.

        Raises:
            Refused: somebody has to change something.
            Waiting: what would be revoked waits, because it may be one of many.
        """
        try:
            for _ in range(MAX_ACTIONS):
                self._hold_deletion(key, state)
                step = planner.plan(state.observed(), self._endpoint, self._request_interval)
                match step:
                    case actions.Done():
                        return step
                    case actions.Refuse():
                        if step.reason not in _ABOUT_THE_NAME or not state.fall_back(step):
                            raise Refused(step)
                    case _:
                        await self._executor.execute(key, state, step)
        finally:
            await self._executor.report_unpublished(state)
        raise Refused(
            actions.Refuse(
                "ReconcileLimitExceeded", "this is a mistake in the operator; please report it with its log"
            )
        )

    def _hold_deletion(self, key: Key, state: State) -> None:
        """Let nothing be revoked that may be one of many. A ScimToken that came back after many were deleted goes on
        with the tokens of the one before.

        Raises:
            Waiting: the revocation waits.
        """
        if not state.deletes_connection:
            return
        wait = self._deletions.wait(key, state.token)
        if wait is None:
            return
        is_back = state.token is not None and not state.token.deleting
        if not (wait.is_held and is_back and is_in_same_namespace(state.observed())):
            raise Waiting(wait)
        log.warning("one of many ScimTokens that were deleted is back; its tokens go on", key=str(key))
        state.keeps_predecessor = True

    async def _report_unobservable(self, key: Key, failure: Failure) -> Result:
        """Report that nothing could be observed, hence nothing decided."""
        token = await self._read_token(key)
        if token is not None:
            if await self._force_deletion(token, failure):
                return Result()
            await self._status.write(
                ReconcileOutcome(token, None, None, None, failure, self._endpoint_verdict()), self._clock()
            )
        return Result(requeue=True, reason=failure.reason)

    async def _report_wait(self, key: Key, token: ScimToken | None, wait: Wait) -> Result:
        """Report a deletion that is held, and come back when its time is over."""
        now = self._clock()
        if wait.is_held and token is not None:
            failure = Failure(None, DELETION_HELD, self._deletions.message(key, wait))
            outcome = ReconcileOutcome(token, None, None, None, failure, self._endpoint_verdict())
            await self._status.write(outcome, now)
        return Result(max(timedelta(0), wait.until - now))

    async def _force_deletion(self, token: ScimToken, failure: Failure) -> bool:
        """Remove our finalizer although the API has not finished, where an annotation asks for that; whether it was.

        What is left in the API is a connection without a ScimToken then, which the orphan check ends by the policy that
        the API holds.
        """
        if not (token.deleting and token.deletion_is_forced and FINALIZER in token.metadata.finalizers):
            return False
        await self._cluster.event(
            token, "Warning", "DeletionForced", f"finalizer removed although {failure.message}"
        )
        log.warning("deletion forced", key=str(token.key), reason=failure.reason)
        self._trace("set-finalizer")
        await self._cluster.set_finalizer(token, present=False)
        return True
