"""The informer cache: of each ScimToken what decides when to reconcile it, so that a standby is warm.

Pure: informer and resync feed it, controller and orphan check read it. It only says which ScimToken to reconcile;
the reconcile reads everything live.
"""

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime

from scim_operator.controller.secret_cache import SecretCache
from scim_operator.controller.watch_events import CachedScimToken, CachedSecret, WatchEvent
from scim_operator.planning.ports import Key

__all__ = ["InformerCache", "WatchEvent"]


def _age(token: CachedScimToken) -> tuple[str, Key]:
    return token.created, token.key


class InformerCache:
    """The ScimTokens and Secrets that the watch has shown. Not thread-safe: one event loop feeds and reads it."""

    def __init__(self) -> None:
        self._tokens: dict[Key, CachedScimToken] = {}
        self._applications: dict[str, set[Key]] = {}
        """Who hands over to each; mostly one."""
        self._secrets = SecretCache(lambda secret: secret.scimtoken)
        self._changed_since_list: set[Key] = set()
        """ScimTokens with a watch event since ``begin_list``."""

    def __contains__(self, key: Key) -> bool:
        return key in self._tokens

    def has_entra(self, key: Key) -> bool:
        """Whether there is something to hand over to Entra, or to take off its status."""
        token = self._tokens.get(key)
        return token is not None and token.has_entra

    def application_owner(self, key: Key, application: str) -> Key | None:
        """The other ScimToken that hands its credentials to the same application; None where ``key`` may.

        Whoever has handed one over has shown its right to. Of two that have, the older one goes on.

        Args:
            key: of the ScimToken that is about to.
            application: object id.
        """
        first = min(
            (self._tokens[one] for one in self._applications.get(application, ())), key=_age, default=None
        )
        return None if first is None or first.key == key else first.key

    def __len__(self) -> int:
        return len(self._tokens)

    def __iter__(self) -> Iterator[CachedScimToken]:
        return iter(self._tokens.values())

    def with_other_endpoint_summary(self, summary: str) -> frozenset[Key]:
        """ScimTokens whose EndpointReachable has another reason or message, or none yet."""
        return frozenset(token.key for token in self._tokens.values() if token.endpoint_summary != summary)

    def token_expiries(self) -> Iterator[tuple[Key, datetime]]:
        """ScimTokens that have a token, and when the one in the Secret ends."""
        for token in self._tokens.values():
            if token.expires_at is not None:
                yield token.key, token.expires_at

    def rotation_overdue(self, now: datetime) -> Iterator[tuple[Key, datetime]]:
        """ScimTokens whose token should have been replaced by now, and when it ends: suspended, or failing."""
        for token in self._tokens.values():
            if (
                token.next_rotation is not None
                and token.expires_at is not None
                and token.next_rotation <= now
            ):
                yield token.key, token.expires_at

    def secret_names(self, key: Key) -> frozenset[str]:
        """The Secrets that the watch has shown for a ScimToken; several while its Secret gets another name."""
        return self._secrets.names(key)

    def apply(self, event: WatchEvent) -> frozenset[Key]:
        """Apply a watch event; returns which ScimTokens are to be reconciled now."""
        match event.object:
            case CachedScimToken() as token:
                is_news = self._apply_token(token, deleted=event.deleted)
                return frozenset({token.key}) if is_news else frozenset()
            case CachedSecret() as secret:
                return self._secrets.apply(
                    secret, listed=event.listed, deleted=event.deleted, owners=self._tokens
                )
            case _:
                return frozenset()

    def _apply_token(self, token: CachedScimToken, *, deleted: bool) -> bool:
        self._changed_since_list.add(token.key)
        before = self._tokens.get(token.key)
        if deleted:
            if before is None or before.uid != token.uid:
                return before is None
            self._forget_token(token.key)
            return True
        if before is not None:
            self._forget_token(token.key)
        self._tokens[token.key] = token
        if token.application is not None:
            self._applications.setdefault(token.application, set()).add(token.key)
        return before is None or (before.uid, before.fingerprint) != (token.uid, token.fingerprint)

    def _forget_token(self, key: Key) -> None:
        application = self._tokens.pop(key).application
        if application is not None:
            self._applications[application].discard(key)
            if not self._applications[application]:
                del self._applications[application]

    def record_own_write(self, uid: str, resource_version: str) -> None:
        """This process wrote this version of a Secret: its event calls for no reconcile."""
        self._secrets.record_own_write(uid, resource_version)

    def begin_reconcile(self, key: Key) -> None:
        """A reconcile of ``key`` begins: events of its Secrets wait for its end, or its own would be taken for news."""
        self._secrets.hold(key)

    def end_reconcile(self, key: Key) -> frozenset[Key]:
        """It has ended: apply the events that waited; returns which ScimTokens are to be reconciled now."""
        return self._secrets.release(key, self._tokens)

    def begin_list(self) -> None:
        """A complete list is about to be read: watch events from now on may be newer than it."""
        self._changed_since_list.clear()

    def replace(self, listed: Iterable[CachedScimToken], unlisted: Collection[str] = ()) -> frozenset[Key]:
        """Take a complete list as the truth about all that had no watch event since ``begin_list``, except for what
        is in the ``unlisted`` namespaces, which could not be read.

        Returns which changed without a watch event. What vanished is only dropped here: the orphan check finds
        what is left of it, within the deletion limit.
        """
        changed = frozenset(self._changed_since_list)
        listed_now = {token.key: token for token in listed if token.key not in changed}
        for key in self._tokens.keys() - listed_now.keys() - changed:
            if key.namespace not in unlisted:
                self._forget_token(key)
        return frozenset(
            token.key for token in listed_now.values() if self._apply_token(token, deleted=False)
        )
