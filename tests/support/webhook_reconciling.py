"""A ``WebhookReconciler`` over a ``WebhookWorld``."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

from scim_operator.controller.deletions import Deletions
from scim_operator.controller.webhook_reconciler import WebhookReconciler
from support.operator_ports import Point, straight_on
from support.webhook_world import SEALING, FakeWebhookApi, FakeWebhookCluster, WebhookWorld


def secrets_named(name: str, numbers: Iterator[int] | None = None) -> Callable[[], str]:
    """Signing secrets that tell who made them, and by ``numbers`` in which order."""
    numbers = numbers or itertools.count()

    def make() -> str:
        return "whsec_" + f"{name}{next(numbers)}".rjust(32, "x")

    return make


async def no_pause(_seconds: float) -> None:
    """A lost write is followed by another reconcile at once."""


def reconciler(
    world: WebhookWorld, name: str = "first", point: Point = straight_on, **more: Any
) -> WebhookReconciler:
    """One over ``world``; ``name`` is in all secrets that it makes."""

    def sealing_key() -> X25519PublicKey:
        return SEALING[world.key]

    given = {
        "sealing_key": sealing_key,
        "deletions": Deletions(limit=None),
        "make_secret": secrets_named(name),
        "pause": no_pause,
        **more,
    }
    return WebhookReconciler(
        api=FakeWebhookApi(world, point),
        cluster=FakeWebhookCluster(world, point),
        clock=lambda: world.now,
        **given,
    )
