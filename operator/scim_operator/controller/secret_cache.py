"""The Secrets that the watch has shown: whose each is, and which of their events call for a reconcile."""

import dataclasses
from collections.abc import Callable, Container
from typing import Final

from scim_operator.controller.watch_events import CachedSecret
from scim_operator.planning.ports import Key

_OWN_WRITES: Final = 4
"""A rotation writes its Secret twice, and may be started again on the way."""


@dataclasses.dataclass(slots=True)
class _Held:
    """Events of one Secret that wait for the end of a reconcile, in order."""

    by: Key
    events: list[tuple[CachedSecret, bool, bool]] = dataclasses.field(default_factory=list)
    """Each with ``listed`` and ``deleted``."""


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
        self._reconciled: set[Key] = set()
        self._held: dict[tuple[str, str], _Held] = {}

    def names(self, key: Key) -> frozenset[str]:
        """The Secrets whose label names an object."""
        return frozenset(self._names.get(key, ()))

    def record_own_write(self, uid: str, resource_version: str) -> None:
        """This process wrote this version of a Secret: its event calls for no reconcile."""
        self._own_writes[uid] = (*self._own_writes.get(uid, ()), resource_version)[-_OWN_WRITES:]

    def hold(self, key: Key) -> None:
        """A reconcile of ``key`` begins: events of its Secrets wait for the end. The event of a write often comes before
        the answer to it, and so before ``record_own_write``.
        """
        self._reconciled.add(key)

    def release(self, key: Key, owners: Container[Key]) -> frozenset[Key]:
        """The reconcile of ``key`` has ended: apply what waited for it; returns whom to reconcile now."""
        self._reconciled.discard(key)
        over = {place: held for place, held in self._held.items() if held.by == key}
        for place in over:
            del self._held[place]
        return frozenset().union(
            *(
                self.apply(secret, listed=listed, deleted=deleted, owners=owners)
                for held in over.values()
                for secret, listed, deleted in held.events
            )
        )

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
        held = self._held.get(place)
        if held is None:
            by = next((key for key in named if key is not None and key in self._reconciled), None)
            if by is not None:
                held = self._held[place] = _Held(by)
        if held is not None:
            held.events.append((secret, listed, deleted))
            return frozenset()
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
        return keys if is_news and not self._take_own(secret) else frozenset()

    def _take_own(self, secret: CachedSecret) -> bool:
        """Whether this process wrote this version; it and those before it, whose events are over, are forgotten."""
        own = self._own_writes.get(secret.uid, ())
        if secret.resource_version not in own:
            return False
        later = own[own.index(secret.resource_version) + 1 :]
        if later:
            self._own_writes[secret.uid] = later
        else:
            del self._own_writes[secret.uid]
        return True

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
