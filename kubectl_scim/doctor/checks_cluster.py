"""What ``doctor`` makes of the cluster and of the installation in it. Pure."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from kubectl_scim.doctor.facts import Unread, failed, not_checkable, passed, unread
from kubectl_scim.scimtoken import PART_OF
from kubectl_scim.text import length, moment, seen, stamp
from scim_console.model import Check

OLDEST: Final = (1, 30)
"""The oldest Kubernetes that is supported: ``kubeVersion`` of the chart."""
CLOCKS: Final = timedelta(seconds=60)
"""By how much this machine's clock may differ from the API server's."""
VERSION_LABEL: Final = "app.kubernetes.io/version"
COMPONENT_LABEL: Final = "app.kubernetes.io/component"
RESOURCES: Final = ("scimtokens", "scimwebhooks")
_INSTALL: Final = "install the chart, or upgrade it"
_LEASE_SECONDS: Final = 15
Object = Mapping[str, Any]


def versions(client: Object | Unread, server: Object | Unread) -> Check:
    """Kubectl is there, the API server answers, and its version is supported."""
    name = "kubectl and server"
    if isinstance(client, Unread):
        return failed(name, client.message, "install kubectl, or name it by the variable KUBECTL")
    if isinstance(server, Unread):
        return failed(name, server.message, "kubectl cluster-info; is the context the right one?")
    mine, theirs = str(client.get("gitVersion")), str(server.get("gitVersion"))
    found = re.match(r"v(\d+)\.(\d+)", theirs)
    text = f"kubectl {mine}, Kubernetes {theirs}"
    if found is None:
        return not_checkable(name, f"{text}, which is no version that can be compared")
    oldest = ".".join(map(str, OLDEST))
    if (int(found[1]), int(found[2])) < OLDEST:
        return failed(name, f"{text}; {oldest} is the oldest that is supported", "upgrade the cluster")
    return passed(name, f"{text} ({oldest} or newer is supported)")


def clock(before: datetime, server: datetime | Unread | None, after: datetime) -> Check:
    """This machine's clock against the API server's, which tells the time to the second.

    Args:
        before: this machine's, when it was asked.
        server: its answer; None: it told no time.
        after: this machine's, when the answer had come.
    """
    name = "clock of this machine"
    if isinstance(server, Unread):
        return unread(name, server)
    if server is None:
        return not_checkable(name, "the API server told no time")
    off = skew(before, server, after)
    if abs(off) > CLOCKS:
        which = "behind" if off > timedelta(0) else "ahead of"
        return failed(
            name,
            f"it is {length(off)} {which} the API server's, so times shown here are wrong by that",
            "set this machine's clock by NTP; if it is right, the clock of the control plane's node is wrong",
        )
    return passed(name, f"within {CLOCKS.total_seconds():g} s of the API server's")


def skew(before: datetime, server: datetime, after: datetime) -> timedelta:
    """What to add to this machine's clock to have the API server's."""
    return server + timedelta(seconds=0.5) - (before + (after - before) / 2)


def definitions(served: Object | Unread) -> Check:
    """Both kinds are there, as v1alpha1."""
    name = "custom resources"
    if isinstance(served, Unread):
        if served.why == "missing":
            return failed(name, "scim-operator.io/v1alpha1 is not served here", _INSTALL)
        return unread(name, served)
    there = {str(one.get("name")) for one in served.get("resources") or ()}
    missing = [one for one in RESOURCES if one not in there]
    if missing:
        return failed(name, f"scim-operator.io/v1alpha1 lacks {', '.join(missing)}", _INSTALL)
    return passed(name, "scim-operator.io/v1alpha1 has ScimToken and ScimWebhook")


def definition_release(kind: str, crd: Object | Unread, release: str) -> Check:
    """The CRD is of this plugin's release, as far as it says so itself.

    Args:
        kind: its name.
        crd: itself.
        release: of this plugin.
    """
    name = f"CRD {kind}"
    if isinstance(crd, Unread):
        return unread(name, crd)
    states = {one.get("type"): one for one in (crd.get("status") or {}).get("conditions") or ()}
    for wanted in ("NamesAccepted", "Established"):
        state = states.get(wanted) or {}
        if state.get("status") != "True":
            return failed(
                name,
                f"not {wanted}: {state.get('message', 'no condition')}",
                f"kubectl describe crd {kind}.scim-operator.io",
            )
    of = (crd["metadata"].get("labels") or {}).get(VERSION_LABEL)
    if of is None:
        return not_checkable(
            name, "established; it was applied without the chart, so it does not say of which release it is"
        )
    if of != release:
        return failed(name, f"of release {of}; this plugin is {release}", _same_release(of, release))
    return passed(name, f"established, of release {of}")


def _same_release(installed: str, release: str) -> str:
    return f"use the plugin of {installed}, or upgrade the chart to {release}"


def workloads(
    deployments: Sequence[Object] | Unread, pods: Sequence[Object] | Unread, release: str
) -> Iterator[Check]:
    """Operator and API run, and so does what delivers webhooks, where it runs apart.

    Args:
        deployments: of the installation.
        pods: of the installation.
        release: of this plugin.
    """
    for component, what in (("operator", "operator"), ("api", "SCIM API"), ("deliver", "webhook delivery")):
        if isinstance(deployments, Unread):
            if component != "deliver":
                yield unread(f"{what} runs", deployments)
            continue
        mine = of_component(deployments, component)
        if not mine and component != "deliver":
            yield failed(
                f"{what} runs",
                f"there is no Deployment with {PART_OF},{COMPONENT_LABEL}={component}",
                "install the chart, or say where it is: --installation-namespace",
            )
        for one in mine:
            its_pods = pods if isinstance(pods, Unread) else of_component(pods, component)
            yield _workload(f"{what} runs", one, its_pods)
            yield _release(f"{what}'s release", one, release)


def of_component(objects: Sequence[Object], component: str) -> Sequence[Object]:
    """Those with the label."""
    return [one for one in objects if _labels(one).get(COMPONENT_LABEL) == component]


def _labels(body: Object) -> Mapping[str, str]:
    return body["metadata"].get("labels") or {}


def _workload(name: str, deployment: Object, pods: Sequence[Object] | Unread) -> Check:
    meta, status = deployment["metadata"], deployment.get("status") or {}
    full = f"{meta['namespace']}/{meta['name']}"
    wanted, ready = (
        int((deployment.get("spec") or {}).get("replicas", 1)),
        int(status.get("readyReplicas") or 0),
    )
    if wanted == 0:
        return failed(
            name,
            f"{full} is scaled to 0",
            f"kubectl scale deployment {meta['name']} -n {meta['namespace']} --replicas=1",
        )
    if ready >= wanted:
        return passed(name, f"{full}: {ready} of {wanted} ready")
    why = "" if isinstance(pods, Unread) else "; ".join(_troubles(pods, meta["namespace"]))
    return failed(
        name,
        f"{full}: {ready} of {wanted} ready" + (f"; {why}" if why else ""),
        f"kubectl describe deployment {meta['name']} -n {meta['namespace']}, then kubectl logs deployment/{meta['name']} -n "
        f"{meta['namespace']}",
    )


def _troubles(pods: Sequence[Object], namespace: str) -> Iterator[str]:
    """Pods that are not ready, and why as far as they say."""
    for pod in pods:
        status = pod.get("status") or {}
        states = {one.get("type"): one for one in status.get("conditions") or ()}
        if pod["metadata"]["namespace"] != namespace or (states.get("Ready") or {}).get("status") == "True":
            continue
        waits = [
            f"{one.get('name')} {(one['state']['waiting'].get('reason') or 'waits')} after {one.get('restartCount', 0)} restarts"
            for one in status.get("containerStatuses") or ()
            if (one.get("state") or {}).get("waiting")
        ]
        unscheduled = (states.get("PodScheduled") or {}).get("message")
        yield f"pod {pod['metadata']['name']}: {', '.join(waits) or unscheduled or status.get('phase', 'not ready')}"


def _release(name: str, deployment: Object, release: str) -> Check:
    of = _labels(deployment).get(VERSION_LABEL)
    if of is None:
        return not_checkable(name, f"the Deployment has no label {VERSION_LABEL}")
    if of != release:
        return failed(name, f"{of}; this plugin is {release}", _same_release(of, release))
    return passed(name, of)


def leader(lease: Object | Unread, namespace: str, now: datetime) -> Check:
    """One operator leads: its Lease was renewed in its time.

    Args:
        lease: of the operators.
        namespace: where it is.
        now: the API server's time.
    """
    name, look = (
        "operator leads",
        f"kubectl logs -n {namespace} -l {PART_OF},{COMPONENT_LABEL}=operator --tail=50",
    )
    if isinstance(lease, Unread):
        if lease.why == "missing":
            return failed(name, f"no operator has ever led in {namespace}: there is no Lease", look)
        return unread(name, lease)
    spec = lease.get("spec") or {}
    holder, renewed = spec.get("holderIdentity"), moment(spec.get("renewTime"))
    if not holder or renewed is None:
        return failed(
            name, "nobody holds the Lease: the last leader gave it back, and none came after it", look
        )
    lasts = timedelta(seconds=int(spec.get("leaseDurationSeconds") or _LEASE_SECONDS))
    if now - renewed > lasts + timedelta(seconds=2):
        return failed(
            name, f"{holder} renewed the Lease last at {stamp(renewed)} ({seen(renewed, now)})", look
        )
    return passed(name, f"{holder}, renewed {seen(min(renewed, now), now)}")
