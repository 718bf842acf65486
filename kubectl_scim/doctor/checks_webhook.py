"""What ``doctor`` makes of a ScimWebhook. Pure."""

from collections.abc import Iterator

from kubectl_scim.doctor.facts import failed, not_checkable, passed
from kubectl_scim.scimwebhook import ScimWebhook
from scim_console.model import Check


def webhook(one: ScimWebhook) -> Iterator[Check]:
    """It is registered, and its receiver takes what is sent."""
    for kind in ("Ready", "Delivering"):
        name, found = f"ScimWebhook {one.namespace}/{one.name}: {kind}", one.condition(kind)
        problem = next((item for item in one.problems if item.command), None)
        remedy = None if problem is None else problem.command
        if found is None:
            yield not_checkable(name, "there is no such condition yet", remedy)
        elif found.status == "True" or (kind == "Delivering" and one.is_suspended):
            yield passed(name, found.message)
        elif found.status == "False":
            describe = f"kubectl describe scimwebhook {one.name} -n {one.namespace}"
            yield failed(name, f"{found.reason}: {found.message}", remedy or describe)
        else:
            yield not_checkable(name, f"{found.reason}: {found.message}", remedy)
