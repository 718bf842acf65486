"""The Secrets that the watch has shown: whose each is, and which of their events call for a reconcile."""

from collections.abc import Callable, Container
from typing import Final

from scim_operator.controller.watch_events import CachedSecret
from scim_operator.planning.ports import Key

_OWN_WRITES: Final = 4
"""A rotation writes its Secret twice, and may be started again on the way."""


class SecretCache:
    """The Secrets of one kind of objects. Not thread-safe: one event loop feeds and reads it.

    Args:
        owner: the object of that kind that a Secret's label names; None when it names none.
    """

    def __init__(self, owner: Callable[[CachedSecret], Key | None]) -> None:
        self._owner = owner
        self._secrets: dict[tuple[str, str], CachedSecret] = {}
        """By namespace and name: a repeated list causes no reconcile, and a label that is lost still names one."""
        self._names: dict[Key, set[str]] = {}
        """Names of the Secrets whose label names the object."""
        self._own_writes: dict[str, tuple[str, ...]] = {}
        """The versions of each Secret that this process wrote last: their events are no news."""

    def names(self, key: Key) -> frozenset[str]:
        """The Secrets whose label names an object."""
        return frozenset(self._names.get(key, ()))

    def record_own_write(self, uid: str, resource_version: str) -> None:
        """This process wrote this version of a Secret: its event calls for no reconcile."""
        self._own_writes[uid] = (*self._own_writes.get(uid, ()), resource_version)[-_OWN_WRITES:]

    def apply(
        self, secret: CachedSecret, *, listed: bool, deleted: bool, owners: Container[Key]
    ) -> frozenset[Key]:
        """A Secret concerns whom its label names and whom it named before, if that one is there.

        A Secret alone is no reason to reconcile: a restore brings it back before its owner, and a reconcile without
        the owner ends what the owner stands for.

        Args:
            secret: of a watch event; of any kind.
            listed: as in ``WatchEvent``.
            deleted: as in ``WatchEvent``.
            owners: the objects that are there.

        Returns:
            Whom to reconcile now.
        """
        place = (secret.namespace, secret.name)
        before = self._secrets.get(place)
        named = [self._owner(item) for item in (before, secret) if item is not None]
        keys = frozenset(key for key in named if key is not None and key in owners)
        if deleted:
            if before is not None and before.uid == secret.uid:
                self._forget(before)
            self._own_writes.pop(secret.uid, None)
            return keys
        if before is not None:
            self._forget(before)
        elif self._owner(secret) is None:
            return frozenset()
        self._keep(secret)
        if before != secret and any(len(self._names.get(key, ())) > 1 for key in keys):
            return keys  # one of them is to be deleted
        is_news = not listed if before is None else before != secret
        own = secret.resource_version in self._own_writes.get(secret.uid, ())
        return keys if is_news and not own else frozenset()

    def _keep(self, secret: CachedSecret) -> None:
        self._secrets[secret.namespace, secret.name] = secret
        if (key := self._owner(secret)) is not None:
            self._names.setdefault(key, set()).add(secret.name)

    def _forget(self, secret: CachedSecret) -> None:
        del self._secrets[secret.namespace, secret.name]
        if (key := self._owner(secret)) is None:
            return
        self._names[key].discard(secret.name)
        if not self._names[key]:
            del self._names[key]
