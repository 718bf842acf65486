"""What can happen to a user or a group, as feed and webhooks name it."""

from typing import Literal

ChangeType = Literal[
    "user.created",
    "user.updated",
    "user.activated",
    "user.deactivated",
    "user.deleted",
    "group.created",
    "group.updated",
    "group.deleted",
    "group.member_added",
    "group.member_removed",
]
"""What can happen to a resource; the log of the administration has types of its own, which no feed shows."""
