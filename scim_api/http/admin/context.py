"""What the admin endpoints share within one process, as a dependency."""

import dataclasses
from datetime import timedelta
from typing import Annotated

from fastapi import Depends, Request

from scim_api.http.admin.seen_calls import SeenCalls
from scim_api.http.admin.trusted_keys import TrustedKeys
from scim_api.http.authentication import Authenticator
from scim_api.http.metrics import Metrics
from scim_api.http.request import BufferedBodies
from scim_api.store.protocol import Store


@dataclasses.dataclass(slots=True)
class AdminContext:
    """One per application; ``app.state.admin`` holds it."""

    store: Store
    authenticator: Authenticator
    keys: TrustedKeys
    metrics: Metrics
    bodies: BufferedBodies
    keep_changes: timedelta
    """How long the log of changes goes back."""
    seen: SeenCalls = dataclasses.field(default_factory=SeenCalls)
    """Calls that were taken, which are not taken again."""
    claimed_for: str | None = None
    """The installation that the database is known to belong to."""


def context_of(request: Request) -> AdminContext:
    """The context of the application that serves ``request``."""
    context: AdminContext = request.app.state.admin
    return context


Context = Annotated[AdminContext, Depends(context_of)]
