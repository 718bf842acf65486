"""Reconciling one ScimWebhook: thin, ordered I/O around the plan (``planning.webhooks.plan``).

The order is the one of ScimTokens, for the same reasons (``controller.reconciler``): the API's state with its revision
first, then ScimWebhook and Secret, live; every write is bound to a revision or a resourceVersion, so that a process that
was paused or overtaken writes nothing. It has no finalizer: a webhook without a ScimWebhook is found by the watch, or in
the API's list.
"""

import asyncio
import contextlib
import dataclasses
from collections.abc import Awaitable, Callable, Collection
from datetime import datetime, timedelta
from typing import Final

import structlog
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

from scim_api.contract.sealing import key_id, seal
from scim_api.contract.signing_secret import new_secret, secret_id
from scim_api.contract.webhooks import SigningSecret, Webhook
from scim_operator.api.custom_object import Key
from scim_operator.api.scimwebhook import ANSWERED_ROTATE_ANNOTATION, ScimWebhook
from scim_operator.api.webhook_status import ScimWebhookStatus
from scim_operator.controller.conflicts import until_no_conflict
from scim_operator.controller.deletions import Deletions
from scim_operator.controller.workqueue import Result
from scim_operator.planning.conditions import local_now
from scim_operator.planning.ports import (
    Gone,
    KubernetesRejected,
    ScimApiRejected,
    ScimApiUnreachable,
    SecretDraft,
    SecretSnapshot,
)
from scim_operator.planning.webhooks import plan, signing_secrets, webhook_status
from scim_operator.planning.webhooks.ports import WebhookApi, WebhookCluster
from scim_operator.planning.webhooks.webhook_status import Failure, Outcome

log = structlog.get_logger(__name__)
MAX_ACTIONS: Final = 16
"""More than any reconcile needs; a bound, so that a mistake in the plan can't spin."""
SOON: Final = timedelta(seconds=3)
"""Until one that waits for a dispatcher is looked at again."""


@dataclasses.dataclass(slots=True)
class _Pass:
    """One reconcile: a step puts what came of it in the place of the older view."""

    webhook: ScimWebhook
    api: Webhook
    secret: SecretSnapshot | None = dataclasses.field(repr=False)

    @property
    def published(self) -> signing_secrets.PublishedSecrets:
        """What the Secret holds."""
        if self.secret is None:
            return signing_secrets.PublishedSecrets()
        return signing_secrets.read(self.secret.data)

    @property
    def owned_secret(self) -> SecretSnapshot:
        """The Secret that a plan acts on."""
        assert self.secret is not None  # noqa: S101 (the plan acts on a Secret that is there)
        return self.secret


class WebhookReconciler:
    """Brings ScimWebhooks to where they should be, one call at a time for each.

    Args:
        api: webhooks at the admin port.
        cluster: Kubernetes; each write of it asks first whether this process leads.
        sealing_key: the dispatcher's present public key.
        deletions: asked before a webhook is forgotten because its ScimWebhook is gone.
        denied_metadata: domains whose labels and annotations no Secret gets.
        seen: called with what the API has of each and the status that was made of it; None: there is none any more.
        make_secret: makes a signing secret.
        trace: called with each step's name before it is done.
        pause: waits some seconds after a lost write.
        clock: for a status written while the database's clock can't be read; UTC.
    """

    def __init__(
        self,
        *,
        api: WebhookApi,
        cluster: WebhookCluster,
        sealing_key: Callable[[], X25519PublicKey],
        deletions: Deletions,
        denied_metadata: Collection[str] = (),
        seen: Callable[[Key, Webhook | None, ScimWebhookStatus | None], None] = lambda _key, _api, _status: (
            None
        ),
        make_secret: Callable[[], str] = new_secret,
        trace: Callable[[str], None] = lambda _step: None,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], datetime] = local_now,
    ) -> None:
        self._api, self._cluster, self._sealing_key = api, cluster, sealing_key
        self._deletions, self._denied_metadata, self._seen = deletions, denied_metadata, seen
        self._make_secret, self._trace, self._pause, self._clock = make_secret, trace, pause, clock

    async def reconcile(self, key: Key) -> Result:
        """Do what is to be done about ``key`` and write its status.

        Raises:
            NotLeading: this process may not write any more.
            KubernetesUnreachable: Kubernetes does not answer, so that not even a status can be written.
        """
        return await until_no_conflict(key, self._reconcile_once, self._pause)

    async def _reconcile_once(self, key: Key) -> Result:
        self._trace("get-webhook")
        api, failure = None, None
        try:
            api = await self._api.get(key)
        except (ScimApiUnreachable, ScimApiRejected) as error:
            failure = _failure_of(error)
        self._trace("read-webhook")
        webhook = await self._cluster.webhook(key)
        if webhook is None or webhook.deleting:
            return await self._end(key, api)
        self._deletions.resolve(key)
        webhook = webhook.denying(self._denied_metadata)
        if api is None:
            await self._write_status(Outcome(webhook, None, failure=failure))
            return Result(requeue=True, reason=failure.reason if failure else "")
        return await self._bring_about(webhook, api)

    async def _bring_about(self, webhook: ScimWebhook, api: Webhook) -> Result:
        here = _Pass(webhook, api, None)
        done, failure = None, None
        try:
            if webhook.spec is not None:
                self._trace("read-secret")
                here.secret = await self._cluster.secret(webhook, webhook.secret_name)
            done = await self._carry_out(here)
        except (ScimApiUnreachable, ScimApiRejected, KubernetesRejected, _Refused) as error:
            failure = _failure_of(error)
        current = here.published.current if here.secret is not None and here.secret.owned else None
        shown = None if current is None else secret_id(current)
        status = await self._write_status(Outcome(webhook, here.api, shown, done, failure))
        self._seen(webhook.key, here.api, status)
        if failure is not None:
            log.info(
                "webhook's reconcile stopped",
                webhook=str(webhook.key),
                reason=failure.reason,
                message=failure.message,
            )
            return Result(requeue=True, reason=failure.reason)
        waits = [SOON] if webhook_status.is_waiting(status) else []
        if done is not None and done.next_rotation is not None:
            waits.append(max(timedelta(0), done.next_rotation - here.api.now))
        return Result(min(waits, default=None))

    async def _carry_out(self, here: _Pass) -> plan.Done:
        """Carry out actions until there is none left.

        Raises:
            _Refused: somebody has to change something.
        """
        for _ in range(MAX_ACTIONS):
            key = self._sealing_key()
            step = plan.plan(plan.Observed(here.webhook, here.api, here.secret, key_id(key)))
            match step:
                case plan.Done():
                    return step
                case plan.Refuse():
                    raise _Refused(step)
                case plan.Put():
                    here.api = await self._put(here, step, key)
                case plan.Delete():
                    self._trace("delete-webhook")
                    here.api = await self._api.delete(here.webhook.key, revision=here.api.revision)
                case plan.MakeSecret():
                    here.secret = await self._make(here, step)
                case plan.WriteSecret():
                    here.secret = await self._write(here)
                case plan.AdoptSecret():
                    self._trace("adopt-secret")
                    here.secret = await self._cluster.adopt_secret(here.webhook, here.owned_secret)
                case plan.DeleteSecret():
                    secret, here.secret = here.owned_secret, None
                    self._trace("delete-secret")
                    await self._cluster.delete_secret(
                        here.webhook, secret.name, resource_version=secret.resource_version
                    )
        raise _Refused(
            plan.Refuse(
                "ReconcileLimitExceeded", "this is a mistake in the operator; please report it with its log"
            )
        )

    async def _put(self, here: _Pass, step: plan.Put, key: X25519PublicKey) -> Webhook:
        webhook, plaintexts = here.webhook, here.published.listed
        assert webhook.spec is not None  # noqa: S101 (the plan refuses what it does not understand)
        secrets = tuple(
            SigningSecret(
                id=one.id,
                sealed=seal(plaintexts[one.id], key, str(webhook.key)) if one.needs_sealing else None,
                issued_at=one.issued_at,
                until=one.until,
            )
            for one in step.secrets
        )
        self._trace("read-namespace")
        namespace_uid = await self._cluster.namespace_uid(webhook)
        self._trace("put-webhook")
        desired = plan.desired_state(webhook, webhook.spec, secrets, namespace_uid)
        return await self._api.put(webhook.key, desired, revision=here.api.revision)

    async def _make(self, here: _Pass, step: plan.MakeSecret) -> SecretSnapshot:
        """Write a new signing secret as pending."""
        pending = dataclasses.replace(here.published, pending=self._make_secret())
        return await self._write_data(here, pending, step.answered_rotate)

    async def _write(self, here: _Pass) -> SecretSnapshot:
        """Show the pending signing secret, or set labels, annotations and data right."""
        published, secret = here.published, here.owned_secret
        shown = signing_secrets.PublishedSecrets(published.pending or published.current)
        written = await self._write_data(here, shown, secret.annotations.get(ANSWERED_ROTATE_ANNOTATION))
        if published.pending is not None and published.current is not None and here.webhook.spec is not None:
            await self._cluster.event(
                here.webhook,
                "Normal",
                "Rotated",
                f"Secret {secret.name} has a new signing secret; for {here.webhook.spec.overlap} messages are signed with "
                "the one before as well",
            )
        return written

    async def _write_data(
        self, here: _Pass, published: signing_secrets.PublishedSecrets, answered_rotate: str | None
    ) -> SecretSnapshot:
        webhook = here.webhook
        annotations = webhook.secret_annotations()
        if answered_rotate is not None:
            annotations[ANSWERED_ROTATE_ANNOTATION] = answered_rotate
        draft = SecretDraft(
            name=webhook.secret_name,
            data=plan.secret_data(published),
            labels=webhook.secret_labels(),
            annotations=annotations,
        )
        if here.secret is None:
            self._trace("create-secret")
            return await self._cluster.create_secret(webhook, draft)
        self._trace("replace-secret")
        return await self._cluster.replace_secret(webhook, draft, here.secret)

    async def _end(self, key: Key, api: Webhook | None) -> Result:
        """Have the API forget a webhook whose ScimWebhook is gone, unless it may be one of many that vanish."""
        if api is None:
            return Result(requeue=True, reason="ScimApiUnreachable")
        if not api.exists or api.owner_uid is None:  # made by hand: nobody's ScimWebhook
            self._deletions.resolve(key)
            self._seen(key, None, None)
            return Result()
        wait = self._deletions.wait(key, None)
        if wait is not None:
            return Result(max(timedelta(0), wait.until - self._clock()))
        self._trace("delete-webhook")
        try:
            await self._api.delete(key, revision=api.revision)
        except (ScimApiUnreachable, ScimApiRejected) as error:
            return Result(requeue=True, reason=type(error).__name__)
        self._deletions.resolve(key)
        self._seen(key, None, None)
        log.info("webhook ended: its ScimWebhook is gone", webhook=str(key))
        return Result()

    async def _write_status(self, outcome: Outcome) -> ScimWebhookStatus:
        """Write the status if it says something else."""
        webhook = outcome.webhook
        now = self._clock() if outcome.api is None else outcome.api.now
        status = webhook_status.build_status(outcome, now)
        if webhook_status.is_worth_writing(status, webhook.status):
            self._trace("apply-webhook-status")
            with contextlib.suppress(Gone):  # it is gone meanwhile
                await self._cluster.apply_status(webhook, status.to_object())
                for kind, reason, message in webhook_status.news(status, webhook.status):
                    await self._cluster.event(webhook, kind, reason, message)
        return status


class _Refused(Exception):
    """The plan refused."""

    def __init__(self, refusal: plan.Refuse) -> None:
        super().__init__(refusal.message)
        self.reason = refusal.reason


def _failure_of(error: Exception) -> Failure:
    """An exception as condition."""
    match error:
        case ScimApiUnreachable():
            return Failure("ScimApiUnreachable", str(error), "Unknown")
        case ScimApiRejected():
            return Failure(error.code, error.message)
        case _Refused():
            return Failure(error.reason, str(error))
        case _:
            return Failure("KubernetesRejected", str(error))
