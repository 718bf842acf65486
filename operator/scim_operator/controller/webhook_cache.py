"""The cache of ScimWebhooks: which there are, and which of them to reconcile now.

Pure, as the one of ScimTokens is: the informer feeds it, and the reconcile reads everything live.
"""

from collections.abc import Iterator

from scim_operator.controller.secret_cache import SecretCache
from scim_operator.controller.watch_events import CachedScimWebhook, CachedSecret, WatchEvent
from scim_operator.planning.ports import Key


class WebhookCache:
    """The ScimWebhooks and their Secrets that the watch has shown. Not thread-safe: one event loop feeds and reads it."""

    def __init__(self) -> None:
        self._webhooks: dict[Key, CachedScimWebhook] = {}
        self._secrets = SecretCache(lambda secret: secret.scimwebhook)

    def __contains__(self, key: object) -> bool:
        return key in self._webhooks

    def __len__(self) -> int:
        return len(self._webhooks)

    def __iter__(self) -> Iterator[Key]:
        return iter(self._webhooks)

    def apply(self, event: WatchEvent) -> frozenset[Key]:
        """Apply a watch event of any kind; returns which ScimWebhooks are to be reconciled now."""
        match event.object:
            case CachedScimWebhook() as webhook:
                is_news = self._apply_webhook(webhook, deleted=event.deleted)
                return frozenset({webhook.key}) if is_news else frozenset()
            case CachedSecret() as secret:
                return self._secrets.apply(
                    secret, listed=event.listed, deleted=event.deleted, owners=self._webhooks
                )
            case _:
                return frozenset()

    def discard(self, key: Key) -> None:
        """It is gone, although the watch did not say so."""
        self._webhooks.pop(key, None)

    def record_own_write(self, uid: str, resource_version: str) -> None:
        """This process wrote this version of a Secret: its event calls for no reconcile."""
        self._secrets.record_own_write(uid, resource_version)

    def _apply_webhook(self, webhook: CachedScimWebhook, *, deleted: bool) -> bool:
        before = self._webhooks.get(webhook.key)
        if deleted:
            if before is not None and before.uid != webhook.uid:
                return False  # its successor of the same name was seen first
            self._webhooks.pop(webhook.key, None)
            return True
        self._webhooks[webhook.key] = webhook
        return before is None or (before.uid, before.fingerprint) != (webhook.uid, webhook.fingerprint)
