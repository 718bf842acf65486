"""What kstatus makes of an object: the library by which Flux, kpt and ``cli-utils`` wait for readiness.

Its generic rules for objects of unknown kinds, restated from ``sigs.k8s.io/cli-utils/pkg/kstatus`` in its order:
deletion, generation, ``Reconciling`` and ``Stalled``, then ``Ready``; an object without any of it is Current.
"""

from collections.abc import Mapping
from typing import Any, Literal

Result = Literal["Current", "InProgress", "Failed", "Terminating"]


def kstatus(item: Mapping[str, Any]) -> Result:
    """The status that such a tool shows for a custom resource."""
    metadata, status = item["metadata"], item.get("status") or {}
    if "deletionTimestamp" in metadata:
        return "Terminating"
    observed = status.get("observedGeneration")
    if observed is not None and observed != metadata["generation"]:
        return "InProgress"
    conditions = {one["type"]: one["status"] for one in status.get("conditions") or ()}
    if conditions.get("Reconciling") == "True":
        return "InProgress"
    if conditions.get("Stalled") == "True":
        return "Failed"
    if "Ready" in conditions and conditions["Ready"] != "True":
        return "InProgress"
    return "Current"
