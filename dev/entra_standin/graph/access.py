"""Who may call what (GRAPH: permissions of the synchronization API, as they work in practice)."""

import enum
from typing import Final

from entra_standin.graph.applications import Application
from entra_standin.graph.behaviour import Behaviour
from entra_standin.graph.errors import GraphError, missing_right
from entra_standin.graph.login import Grant

SYNCHRONIZATION_WRITE: Final = "Synchronization.ReadWrite.All"
SYNCHRONIZATION_READ: Final = "Synchronization.Read.All"
OWNED_BY: Final = "Application.ReadWrite.OwnedBy"
APPLICATION_WRITE: Final = "Application.ReadWrite.All"
_DIRECTORY_READ: Final = frozenset(
    {"Application.Read.All", APPLICATION_WRITE, OWNED_BY, "Directory.Read.All", "Directory.ReadWrite.All"}
)
_LOG_READ: Final = (
    frozenset({"ProvisioningLog.Read.All"}),
    frozenset({"AuditLog.Read.All", "Directory.Read.All"}),
)
"""Two sources name two; each is enough."""


class Right(enum.Enum):
    """What an operation needs."""

    READ_JOBS = enum.auto()
    WRITE_JOBS = enum.auto()
    RESTART = enum.auto()
    ON_DEMAND = enum.auto()
    READ_DIRECTORY = enum.auto()
    WRITE_DIRECTORY = enum.auto()
    CREATE = enum.auto()
    READ_LOG = enum.auto()


def check(right: Right, grant: Grant, behaviour: Behaviour, application: Application | None) -> None:
    """Pass when the token carries the right.

    Args:
        right: what is needed.
        grant: the token's.
        behaviour: of the cloud.
        application: what it is needed for; None when there is no such one.

    Raises:
        GraphError: 401 ``UnknownError`` with an empty message, or 403.
    """
    match right:
        case Right.READ_LOG:
            if not any(roles <= grant.roles for roles in _LOG_READ):
                raise GraphError(
                    403,
                    "Authentication_MSGraphPermissionMissing",
                    "Calling principal does not have required MSGraph permissions AuditLog.Read.All",
                )
        case Right.READ_DIRECTORY:
            if not grant.roles & _DIRECTORY_READ:
                raise missing_right(403)
        case Right.CREATE:
            if not grant.roles & {APPLICATION_WRITE, OWNED_BY}:
                raise missing_right(403)
        case Right.WRITE_DIRECTORY:
            if not _may_write(grant, application):
                raise missing_right(403)
        case _:
            if not _may_synchronize(right, grant, behaviour, application):
                raise missing_right(behaviour.missing_right_status)


def _may_write(grant: Grant, application: Application | None) -> bool:
    if APPLICATION_WRITE in grant.roles:
        return True
    owned = (
        application is not None and {application.service_principal_id, application.object_id} & grant.owned
    )
    return OWNED_BY in grant.roles and bool(owned)


def _may_synchronize(
    right: Right, grant: Grant, behaviour: Behaviour, application: Application | None
) -> bool:
    both = (
        application is not None and {application.service_principal_id, application.object_id} <= grant.owned
    )
    if right is Right.ON_DEMAND and behaviour.on_demand_needs_ownership and not both:
        return False
    if SYNCHRONIZATION_WRITE in grant.roles:
        return True
    if right is Right.READ_JOBS and SYNCHRONIZATION_READ in grant.roles:
        return True
    if OWNED_BY not in grant.roles or not behaviour.owner_rights:
        return False
    if right is Right.RESTART and behaviour.restart_refuses_owners:
        return False
    if right is Right.ON_DEMAND:
        return both
    return application is None or application.service_principal_id in grant.owned
