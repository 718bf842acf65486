"""The checks of ``doctor`` in their order, each when it is done: looks by kubectl, and lets the pure checks decide."""

import dataclasses
import json
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from kubectl_scim.doctor import checks_cluster, checks_endpoint, checks_token, checks_webhook
from kubectl_scim.doctor.facts import Answer, Unread, failed, not_checkable, read, unread
from kubectl_scim.kubectl import Kubectl, Object
from kubectl_scim.port_forward import installation_namespace
from kubectl_scim.scimtoken import GROUP, KIND, PART_OF, ScimToken
from kubectl_scim.scimwebhook import WEBHOOK_KIND, ScimWebhook
from kubectl_scim.text import moment
from scim_console.model import Check

LEASE: Final = "scim-operator"
"""The Lease's name where the Deployment does not say another."""
Accepts = Callable[[ScimToken], Check]
"""Tries the credential of a ScimToken at the SCIM API."""


@dataclasses.dataclass(frozen=True, slots=True)
class Doctor:
    """Looks at everything that a support engineer would look at, with the caller's rights.

    Attributes:
        kubectl: of the caller.
        namespace: whose ScimTokens.
        name: of one of them; None: all.
        release: of this plugin.
        ask: asks an endpoint without a credential.
        installation: where the chart is installed; None: what the cluster says.
        accepts: tries a credential; None: that is left out.
        say: told what is being looked at.
    """

    kubectl: Kubectl
    namespace: str
    name: str | None
    release: str
    ask: Callable[[str], Answer]
    installation: str | None = None
    accepts: Accepts | None = None
    say: Callable[[str], object] = lambda _text: None

    def checks(self) -> Iterator[Check]:
        """All of them; it ends early where nothing further could be found out."""
        self.say("kubectl and server")
        client = read(lambda: _json(self.kubectl.run("version", "--client", "-o", "json"))["clientVersion"])
        server = read(lambda: _json(self.kubectl.run("get", "--raw", "/version")))
        yield checks_cluster.versions(client, server)
        if isinstance(client, Unread) or isinstance(server, Unread):
            return
        before, told, after = datetime.now(UTC), self._server_time(), datetime.now(UTC)
        yield checks_cluster.clock(before, told, after)
        skew = checks_cluster.skew(before, told, after) if isinstance(told, datetime) else timedelta()
        yield from self._definitions()
        yield from self._installation(skew)
        yield from self._tokens(skew)

    def _server_time(self) -> datetime | Unread | None:
        """When the API server answered who the caller is: everybody may ask that, and it stamps its answer."""
        found = read(lambda: _json(self.kubectl.run("auth", "whoami", "-o", "json")))
        if isinstance(found, Unread):
            return found
        return moment((found.get("metadata") or {}).get("creationTimestamp"))

    def _definitions(self) -> Iterator[Check]:
        self.say("custom resources")
        served = read(lambda: _json(self.kubectl.run("get", "--raw", f"/apis/{GROUP}/v1alpha1")))
        yield checks_cluster.definitions(served)
        for kind in checks_cluster.RESOURCES:
            crd = read(lambda kind=kind: self.kubectl.get("crd", f"{kind}.{GROUP}"))  # type: ignore[misc]
            yield checks_cluster.definition_release(kind, crd, self.release)

    def _installation(self, skew: timedelta) -> Iterator[Check]:
        """Only where the cluster's administrator, or the caller, says that it is: labels anybody can set."""
        self.say("operator and SCIM API")
        place = read(lambda: self.installation or installation_namespace(self.kubectl))
        if isinstance(place, Unread):
            yield unread("installation", place)
            return
        parts = ("-n", place, "-l", PART_OF)
        deployments = read(lambda: self.kubectl.list("deployments.apps", *parts))
        pods = read(lambda: self.kubectl.list("pods", *parts))
        yield from checks_cluster.workloads(deployments, pods, self.release)
        lease = read(
            lambda: self.kubectl.get("leases.coordination.k8s.io", _lease_name(deployments), "-n", place)
        )
        yield checks_cluster.leader(lease, place, datetime.now(UTC) + skew)

    def _tokens(self, skew: timedelta) -> Iterator[Check]:
        self.say("ScimTokens")
        place = ("-n", self.namespace)
        found = read(
            lambda: (
                [self.kubectl.get(KIND, self.name, *place)] if self.name else self.kubectl.list(KIND, *place)
            )
        )
        if isinstance(found, Unread):
            if found.why == "missing" and self.name:
                yield failed("ScimTokens", found.message, f"kubectl get sct -n {self.namespace}")
            else:
                yield unread("ScimTokens", found)
            return
        tokens = [ScimToken(body) for body in found]
        if not tokens:
            yield not_checkable(
                "ScimTokens",
                f"there are none in {self.namespace}",
                "kubectl get sct -A; kubectl explain sct.spec tells how to make one",
            )
        for token in tokens:
            yield from self._token(token, skew)
        yield from self._endpoints(tokens)
        for token in tokens:
            yield from checks_token.entra(token)
        yield from self._webhooks({token.tenant for token in tokens} if self.name else None)

    def _token(self, token: ScimToken, skew: timedelta) -> Iterator[Check]:
        self.say(f"ScimToken {token.name}")
        yield from checks_token.state(token)
        secret = read(lambda: self.kubectl.get("secret", token.secret_name, "-n", token.namespace))
        yield from checks_token.secret(token, secret, datetime.now(UTC) + skew)
        del secret
        if self.accepts is not None and token.observed_generation >= 0:
            self.say(f"the credential of {token.name}")
            yield self.accepts(token)
        yield checks_token.reachable_from_inside(token)

    def _endpoints(self, tokens: Sequence[ScimToken]) -> Iterator[Check]:
        """Each endpoint once: an installation has one."""
        for url in dict.fromkeys(str(one.status["endpoint"]) for one in tokens if one.status.get("endpoint")):
            self.say(f"endpoint {url}")
            conditions = [
                one.condition("EndpointReachable") for one in tokens if one.status.get("endpoint") == url
            ]
            answer = self.ask(url)
            yield checks_endpoint.reached(
                answer, inside_says_so=any(one is not None and one.status == "True" for one in conditions)
            )
            yield checks_endpoint.certificate(answer, datetime.now(UTC))

    def _webhooks(self, tenants: set[str] | None) -> Iterator[Check]:
        self.say("ScimWebhooks")
        found = read(lambda: self.kubectl.list(WEBHOOK_KIND, "-n", self.namespace))
        if isinstance(found, Unread):
            yield unread("ScimWebhooks", found)
            return
        for body in found:
            one = ScimWebhook(body)
            if tenants is None or one.tenant in tenants:
                yield from checks_webhook.webhook(one)


def suggested(kubectl: Kubectl, check: Check) -> Check:
    """A check whose commands have the caller's flags; a support archive has them without."""
    remedy = None if check.remedy is None else kubectl.suggested(check.remedy)
    return dataclasses.replace(check, message=kubectl.suggested(check.message), remedy=remedy)


def exit_code(checks: Sequence[Check]) -> int:
    """0: all passed; 1: something failed; 2: something could not be told."""
    outcomes = {one.outcome for one in checks}
    return 1 if "failed" in outcomes else 2 if "not checkable" in outcomes else 0


def _json(text: str) -> Object:
    found: Any = json.loads(text)
    return found if isinstance(found, dict) else {}


def _lease_name(deployments: Sequence[Object] | Unread) -> str:
    """The Lease of the operators."""
    known = [] if isinstance(deployments, Unread) else checks_cluster.of_component(deployments, "operator")
    for deployment in known:
        for container in deployment["spec"]["template"]["spec"].get("containers") or ():
            for variable in container.get("env") or ():
                if variable.get("name") == "SCIM_OPERATOR_LEASE_NAME":
                    return str(variable.get("value") or LEASE)
    return LEASE
