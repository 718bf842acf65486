"""Deliveries that a worker has read and not sent yet: in order for each resource, and one of a resource at a time. Pure."""

from collections import deque
from collections.abc import Iterable

from scim_api.store.webhooks import Delivery


class ReadyDeliveries:
    """What can be sent without asking the database again.

    A resource has its turn when it was added or when what was under way of it has ended; first come, first served.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, deque[Delivery]] = {}
        """By resource; never empty."""
        self._under_way: set[str] = set()
        """Resources of which one is being sent."""
        self._turns: dict[str, None] = {}
        """Resources of which the next can be sent, in order."""
        self._changes: set[int] = set()

    @property
    def changes(self) -> frozenset[int]:
        """Of all that wait here, by ``Delivery.change``."""
        return frozenset(self._changes)

    def __len__(self) -> int:
        return len(self._changes)

    def add(self, deliveries: Iterable[Delivery]) -> None:
        """Take more, of each resource in the order in which they are to be sent and after those that wait here."""
        for delivery in deliveries:
            self._waiting.setdefault(delivery.resource, deque()).append(delivery)
            self._changes.add(delivery.change)
            if delivery.resource not in self._under_way:
                self._turns[delivery.resource] = None

    def begin(self) -> Delivery | None:
        """The next to send; nothing else of its resource follows until it has ended. None: nothing can be sent now."""
        resource = next(iter(self._turns), None)
        if resource is None:
            return None
        del self._turns[resource]
        self._under_way.add(resource)
        waiting = self._waiting[resource]
        delivery = waiting.popleft()
        if not waiting:
            del self._waiting[resource]
        self._changes.discard(delivery.change)
        return delivery

    def end(self, resource: str) -> None:
        """What was under way of a resource has ended."""
        self._under_way.discard(resource)
        if resource in self._waiting:
            self._turns[resource] = None

    def drop(self, resource: str) -> None:
        """Forget what waits of a resource: it is read again when it is due again."""
        self._changes.difference_update(one.change for one in self._waiting.pop(resource, ()))
        self._turns.pop(resource, None)

    def clear(self) -> None:
        """Forget what waits; what is under way stays so."""
        self._waiting.clear()
        self._turns.clear()
        self._changes.clear()
