"""One ScimToken brought to where it should be: thin, ordered I/O around ``plan``.

The order survives every interleaving of two reconcilers, late writes of a paused ex-leader included
(``tests/unit/scim_operator/controller/test_interleavings.py`` runs this very code through all of them):

1. GET the API's state with its revision; 2. read the ScimToken, then the Secret, live: the revision then
proves that neither is older than it; 3. write the new token as ``next-token`` at the Secret's
resourceVersion; 4. PUT the whole state with If-Match; 5. prove the new token; 6. promote it at the Secret's
resourceVersion. A write that loses (409, 412) starts again at 1. Each step is decided from what is so, hence
a process killed at any line is simply followed by another.
"""

import asyncio
import contextlib
import dataclasses
import random
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog
from pydantic import ValidationError

from scim_api.contract import tokens
from scim_api.contract.admin import Connection
from scim_operator.api.scimtoken import FINALIZER, TOKENS_ANNOTATION, ScimToken, format_time
from scim_operator.planning import actions, conditions, planner
from scim_operator.planning.actions import Observed, SecretFacts
from scim_operator.planning.conditions import Found, Trouble
from scim_operator.planning.endpoint_verdict import Reach
from scim_operator.planning.ports import (
    AdminApi,
    ApiRefused,
    ApiUnreachable,
    Cluster,
    ClusterRefused,
    ClusterUnreachable,
    Key,
    ProofFailed,
    Prover,
    Retry,
    SecretDraft,
    SecretView,
    TokenFactory,
)
from scim_operator.planning.token_ledger import Record, TokenRecord

log = structlog.get_logger(__name__)
CONFLICTS: Final = 5
"""How often a lost write is followed by a new look at once, before the scheduler's backoff."""
STEPS: Final = 32
"""More steps than any way to the end has; a bound, so that a mistake in the plan can't spin."""


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """What the scheduler needs to know."""

    next_look: timedelta | None = None
    retry: bool = False
    reason: str = ""


@dataclasses.dataclass(slots=True)
class _World:
    """The views a pass works on; a successful write puts its answer in the place of the older view."""

    connection: Connection
    token: ScimToken | None
    secret: SecretView | None
    strays: list[SecretView] = dataclasses.field(default_factory=list)
    refused: ApiRefused | None = None
    """Why the API did not take the wanted settings; the tokens go on without them."""

    def observed(self) -> Observed:
        """The same without plaintext."""
        return Observed(
            self.connection,
            self.token,
            facts(self.token, self.secret),
            tuple(view.name for view in self.strays),
            self.refused is not None,
        )


def facts(token: ScimToken | None, view: SecretView | None) -> SecretFacts | None:
    """What the plan may know of a Secret: digests for plaintext."""
    if token is None or view is None:
        return None
    wanted_annotations = {
        name: value for name, value in token.spec.secret.annotations.items() if name != TOKENS_ANNOTATION
    }
    drifted = not (
        token.secret_labels().items() <= view.labels.items()
        and wanted_annotations.items() <= view.annotations.items()
    )
    return SecretFacts(
        owned=view.owned,
        deleting=view.deleting,
        token=_digest(view.data.get("token")),
        next_token=_digest(view.data.get("next-token")),
        record=Record.from_text(view.annotations.get(TOKENS_ANNOTATION)),
        public={
            name: view.data[name] for name in ("endpoint", "token-id", "expires-at") if name in view.data
        },
        drifted=drifted,
    )


def _digest(text: str | None) -> str | None:
    return None if text is None else tokens.digest(text).hex()


class Reconciler:
    """Brings ScimTokens to where they should be, one call at a time for each.

    Args:
        api: the admin API.
        cluster: Kubernetes; each write of it asks first whether this process leads.
        prover: plays Entra's Test Connection.
        endpoint: the SCIM base URL for the Secrets.
        new_token: makes a token's plaintext.
        new_id: makes its public name.
        trace: told each step's name before it is done.
        pause: waits some seconds after a lost write.
        clock: for a status written while the database's clock can't be read; UTC.
        reach: what the last check of the endpoint told; nothing waits for one.
    """

    def __init__(
        self,
        *,
        api: AdminApi,
        cluster: Cluster,
        prover: Prover,
        endpoint: str,
        new_token: TokenFactory = tokens.new_token,
        new_id: Callable[[], str] = tokens.new_token_id,
        trace: Callable[[str], None] = lambda _step: None,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], datetime] = conditions.local_now,
        reach: Callable[[], Reach | None] = lambda: None,
    ) -> None:
        self._api, self._cluster, self._prover = api, cluster, prover
        self._endpoint, self._new_token, self._new_id = endpoint, new_token, new_id
        self._trace, self._pause, self._clock, self._reach = trace, pause, clock, reach

    async def reconcile(self, key: Key) -> Outcome:
        """Do what is to be done about ``key`` and write its status.

        Raises:
            NotLeading: this process may not write any more.
            ClusterUnreachable: Kubernetes does not answer, so that not even a status can be written.
        """
        for attempt in range(CONFLICTS):
            try:
                return await self._pass(key)
            except Retry as error:
                log.debug("a write lost; looking again", key=str(key), reason=str(error))
                await self._pause(random.uniform(0, 0.02 * 2**attempt))  # noqa: S311 (jitter)
            except _UnreadableError as error:
                log.warning("unreadable ScimToken; is its CRD newer?", key=str(key), fields=str(error))
                return Outcome(retry=True, reason="NotUnderstood")
            except ClusterRefused as error:
                log.warning("Kubernetes refuses even to be told", key=str(key), reason=str(error))
                return Outcome(retry=True, reason="ClusterRefused")
        return Outcome(retry=True, reason="Conflict")

    async def _pass(self, key: Key) -> Outcome:
        try:
            world = await self.observe(key)
        except (ApiUnreachable, ApiRefused, ClusterRefused) as error:
            return await self._without_view(key, _trouble(error))
        done: actions.Done | None = None
        trouble: Trouble | None = None
        try:
            done = await self._work(key, world)
        except (ApiUnreachable, ApiRefused, ProofFailed, ClusterRefused, _RefusedError) as error:
            trouble = _trouble(error)
        if world.token is None:
            return Outcome(retry=trouble is not None, reason=trouble.reason if trouble else "")
        if trouble is None and world.refused is not None and not world.token.deleting:
            trouble = _trouble(world.refused)
        if trouble is not None and await self._let_go(world.token, trouble):
            return Outcome()
        seen = world.observed()
        found = Found(world.token, world.connection, seen.secret, done, trouble, self._reach())
        await self._tell(found, world.connection.now)
        if trouble is not None:
            log.info("reconcile stopped", key=str(key), reason=trouble.reason, message=trouble.message)
            return Outcome(retry=True, reason=trouble.reason)
        if done is None or done.next_look is None:
            return Outcome()
        return Outcome(max(timedelta(0), done.next_look - world.connection.now))

    async def observe(self, key: Key) -> _World:
        """Steps 1 and 2, in this order."""
        connection = await self._get_connection(key)
        return _World(connection, *await self._read_cluster(key))

    async def _get_connection(self, key: Key) -> Connection:
        self._trace("get-connection")
        return await self._api.get(key)

    async def _read_cluster(self, key: Key) -> tuple[ScimToken | None, SecretView | None, list[SecretView]]:
        token = await self._read_token(key)
        if token is None or token.deleting:
            # Its Secret goes by itself. When the whole namespace goes, so does a RoleBinding that let us read it.
            return token, None, []
        self._trace("read-secret")
        secret = await self._cluster.secret(token, token.secret_name)
        strays: list[SecretView] = []
        if token.status.secret_name not in (None, token.secret_name):
            self._trace("list-secrets")
            strays = await self._cluster.other_secrets(token, token.secret_name)
        return token, secret, strays

    async def _read_token(self, key: Key) -> ScimToken | None:
        self._trace("read-token")
        try:
            return await self._cluster.token(key)
        except ValidationError as error:
            places = sorted({".".join(map(str, item["loc"])) for item in error.errors(include_input=False)})
            raise _UnreadableError(", ".join(places)) from None

    async def _work(self, key: Key, world: _World) -> actions.Done:
        """Do steps until none is left; the world is kept up to date.

        Raises:
            _RefusedError: a person has to change something.
        """
        for _ in range(STEPS):
            step = planner.plan(world.observed(), self._endpoint)
            match step:
                case actions.Done():
                    return step
                case actions.Refuse():
                    raise _RefusedError(step.reason, step.message)
                case _:
                    await self._do(key, world, step)
        raise _RefusedError(
            "PlanDoesNotEnd", "this is a mistake in the operator; please report it with its log"
        )

    async def _do(self, key: Key, world: _World, step: actions.Step) -> None:
        if isinstance(step, actions.DeleteConnection):
            self._trace("delete-connection")
            world.connection = await self._api.delete(key, revision=world.connection.revision)
            log.info("connection deleted", key=str(key))
            return
        token = world.token
        assert token is not None  # noqa: S101 (all other steps are about one that is there)
        match step:
            case actions.SetFinalizer(present=present):
                self._trace("set-finalizer")
                await self._cluster.set_finalizer(token, present=present)
                world.token = await self._read_token(key)
            case actions.Issue():
                await self._issue(world, token, step)
            case actions.Register():
                await self._register(key, world, token, step)
            case actions.Promote():
                await self._promote(world, token, step)
            case actions.Rewrite(token=current, record=record):
                assert world.secret is not None  # noqa: S101 (there is a current token in it)
                data = {"token": world.secret.data["token"], **planner.public_parts(current, self._endpoint)}
                await self._write(world, token, data, record, "rewrite-secret")
            case actions.DeleteStray(name=name):
                self._trace("delete-stray")
                view = next(item for item in world.strays if item.name == name)
                await self._cluster.delete_secret(token, name, resource_version=view.resource_version)
                world.strays.remove(view)

    async def _issue(self, world: _World, token: ScimToken, step: actions.Issue) -> None:
        """Step 3: the new token is in the Secret before anybody accepts it."""
        plaintext, name, now = self._new_token(), self._new_id(), world.connection.now
        entry = TokenRecord(name, tokens.digest(plaintext).hex(), now, now + step.lifetime)
        record = dataclasses.replace(step.record, tokens=(entry, *step.record.tokens))
        present = world.secret.data if world.secret is not None else {}
        kept = {part: present[part] for part in ("token", "token-id", "expires-at") if part in present}
        await self._write(
            world,
            token,
            {**kept, "endpoint": self._endpoint, "next-token": plaintext},
            record,
            "write-next-token",
        )
        log.info("token issued", key=str(token.key), token_id=name, because=step.because.value)
        await self._cluster.event(
            token, "Normal", step.because.value, f"issuing token {name}: {step.message}"
        )

    async def _register(self, key: Key, world: _World, token: ScimToken, step: actions.Register) -> None:
        """Step 4: the API accepts exactly what the plan says.

        Settings that it refuses must not keep tokens from being rotated or revoked: the plan is asked again, with
        the settings that the API holds, and the refusal is told at the end.
        """
        self._trace("put-connection")
        held = world.connection
        try:
            world.connection = await self._api.put(key, step.wanted, revision=held.revision)
        except ApiRefused as error:
            known = held.exists and held.tenant == step.wanted.tenant and held.settings is not None
            if error.code not in _ABOUT_SETTINGS or not known or world.refused is not None:
                raise
            world.refused = error
            return
        if step.revoked:
            names = ", ".join(step.revoked)
            log.info("tokens revoked", key=str(key), token_ids=list(step.revoked))
            await self._cluster.event(
                token, "Normal", "Revoked", f"revoked, and refused from now on: {names}"
            )

    async def _promote(self, world: _World, token: ScimToken, step: actions.Promote) -> None:
        """Steps 5 and 6: what the Secret shows has been seen to work."""
        assert world.secret is not None  # noqa: S101 (next-token stands in it)
        plaintext = world.secret.data["next-token"]
        self._trace("prove")
        await self._prover.prove(plaintext)
        data = {"token": plaintext, **planner.public_parts(step.token, self._endpoint)}
        await self._write(world, token, data, step.record, "promote")
        log.info("token published", key=str(token.key), token_id=step.token.id)
        await self._cluster.event(
            token,
            "Normal",
            "Published",
            f"Secret {token.secret_name} has token {step.token.id}, valid until {format_time(step.token.expires_at)}",
        )

    async def _write(
        self, world: _World, token: ScimToken, data: dict[str, str], record: Record, step: str
    ) -> None:
        self._trace(step)
        draft = SecretDraft(
            token.secret_name,
            data,
            token.secret_labels(),
            {**token.spec.secret.annotations, TOKENS_ANNOTATION: record.to_text()},
        )
        if world.secret is None:
            world.secret = await self._cluster.create_secret(token, draft)
        else:
            version = world.secret.resource_version
            world.secret = await self._cluster.replace_secret(token, draft, resource_version=version)

    async def _without_view(self, key: Key, trouble: Trouble) -> Outcome:
        """Nothing can be decided, but it can be told."""
        token = await self._read_token(key)
        if token is not None:
            if await self._let_go(token, trouble):
                return Outcome()
            await self._tell(Found(token, None, None, None, trouble, self._reach()), self._clock())
        return Outcome(retry=True, reason=trouble.reason)

    async def _let_go(self, token: ScimToken, trouble: Trouble) -> bool:
        """Take our finalizer off although the API has not finished, where a person asks for that; whether so.

        What is left in the API is a connection without a ScimToken then, which the sweep ends by the policy that
        the API holds.
        """
        if not (token.deleting and token.forced and FINALIZER in token.metadata.finalizers):
            return False
        await self._cluster.event(token, "Warning", "DeletionForced", f"let go although {trouble.message}")
        log.warning("deletion forced", key=str(token.key), reason=trouble.reason)
        self._trace("set-finalizer")
        await self._cluster.set_finalizer(token, present=False)
        return True

    async def _tell(self, found: Found, now: datetime) -> None:
        """Write the status if it differs, and an Event when Ready flips or its reason changes, or when there is
        news of a superseded token in use: once a day at most, since last uses move in days.
        """
        token = found.token
        if token.deleting and not token.metadata.finalizers:
            return
        fresh = conditions.describe(found, self._endpoint, now.astimezone(UTC))
        before, after = token.status.condition("Ready"), fresh.condition("Ready")
        if not conditions.same(fresh, token.status):
            self._trace("apply-status")
            with contextlib.suppress(Retry):  # gone meanwhile: nobody to tell
                await self._cluster.apply_status(token, fresh.to_object())
        if after is not None and (
            before is None or (before.status, before.reason) != (after.status, after.reason)
        ):
            good = after.status == "True" or after.reason == "Deleting"
            await self._cluster.event(token, "Normal" if good else "Warning", after.reason, after.message)
        warned, warning = token.status.condition(conditions.IN_USE), fresh.condition(conditions.IN_USE)
        told = warned is not None and warning is not None and warned.message == warning.message
        if warning is not None and warning.status == "True" and not told:
            await self._cluster.event(token, "Warning", conditions.IN_USE, warning.message)
        mistake = found.done.mistake if found.done is not None else None
        if mistake is not None and (before is None or mistake not in before.message):
            await self._cluster.event(token, "Warning", "InvalidRevoke", mistake)


class _RefusedError(Exception):
    """The plan refused; a person has to change something."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason, self.message = reason, message


class _UnreadableError(Exception):
    """The ScimToken has values that this version does not know; the message names the fields."""


_ABOUT_SETTINGS: Final = ("SettingsConflict", "MatchingImmutable")
_SECRET_REASONS: Final = ("SecretNotOwned", "SecretDeleting", "TooManyTokens")


def _trouble(error: Exception) -> Trouble:
    """An exception as condition: which stage failed, and why."""
    match error:
        case ApiUnreachable():
            return Trouble("Registered", "ApiUnreachable", str(error), "Unknown")
        case ApiRefused():
            return Trouble("Registered", error.code, error.message)
        case ProofFailed():
            return Trouble("Published", "ProofFailed", str(error))
        case _RefusedError():
            return Trouble(
                "Published" if error.reason in _SECRET_REASONS else "Registered", error.reason, error.message
            )
        case _:
            return Trouble("Published", "ClusterRefused", str(error))


__all__ = ["ClusterUnreachable", "Outcome", "Reconciler", "facts"]
