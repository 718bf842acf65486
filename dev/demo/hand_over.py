"""Entra, played, gets each credential by itself, its job never stops, and a quarantine ends by itself.

``examples/handover.yaml`` is applied as it stands: the stand-in for Microsoft has the ids that are written there.
"""

import base64
import dataclasses
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import httpx
import yaml

from demo.console import Console, DemoFailed, Kubectl, check, until
from demo.rotation import ask
from entra_standin.directory import six_people
from entra_standin.graph import Application, Execution, FederatedCredential, Job, MicrosoftCloud
from entra_standin.quarantine import SCHEDULE

EXAMPLE: Final = "examples/handover.yaml"
NAME: Final = "entra"
CONDITIONS: Final = ("HandedOver", "Provisioning")
_ROLE: Final = "Synchronization.ReadWrite.All"
_COLUMNS: Final = ("NAME", "READY", "ENTRA", "JOB", "AUTH")
_CYCLE_SECONDS: Final = 1.0
_CYCLES: Final = 2
"""That are seen after a change, before it counts as seen."""
_SECONDS: Final = 45.0
_OK: Final = 200
_UNAUTHORIZED: Final = 401
_BAD: Final = 400


@dataclasses.dataclass(frozen=True, slots=True)
class Ids:
    """What an example with ``spec.entra`` names.

    Attributes:
        namespace: of the ScimToken.
        account: the ServiceAccount that the operator signs in by.
        tenant: the Entra tenant's id.
        client: application id of the app registration that signs in.
        service_principal: object id of the enterprise application.
    """

    namespace: str
    account: str
    tenant: str
    client: str
    service_principal: str


def ids_of(example: str) -> Ids:
    """The ids in the YAML documents of an example.

    Raises:
        DemoFailed: there is no ScimToken with ``spec.entra`` and a ServiceAccount.
    """
    for document in yaml.safe_load_all(example):
        if document["kind"] == "ScimToken" and "entra" in document["spec"]:
            entra = document["spec"]["entra"]
            sign_in = entra["signIn"]
            return Ids(
                document["metadata"]["namespace"],
                sign_in["serviceAccountRef"]["name"],
                entra["tenantID"],
                sign_in["clientID"],
                entra["servicePrincipalID"],
            )
    raise DemoFailed("the example has no ScimToken with spec.entra")


@dataclasses.dataclass(frozen=True, slots=True)
class Cycles:
    """Cycles of a job, counted.

    Attributes:
        count: how many.
        requests: that got an answer.
        refused: answers of 400 and above, and cycles that could not begin.
        quarantines: how many of the cycles led to quarantine.
    """

    count: int
    requests: int
    refused: int
    quarantines: int

    @classmethod
    def of(cls, executions: Iterable[Execution]) -> "Cycles":
        """Count these."""
        count = requests = refused = quarantines = 0
        for one in executions:
            count += 1
            quarantines += one.reason is not None
            if one.cycle is None:
                refused += 1
                continue
            requests += one.cycle.people.sent
            refused += sum(number for status, number in one.cycle.people.rejected.items() if status >= _BAD)
        return cls(count, requests, refused, quarantines)


def columns(table: str, names: Sequence[str]) -> str:
    """Some columns of a table as kubectl prints it, in its order."""
    head = table.splitlines()[0]
    starts = [name.start() for name in re.finditer(r"\S+( \S+)*", head)]
    spans = list(zip(starts, [*starts[1:], None], strict=True))
    kept = [span for span in spans if head[slice(*span)].strip() in names]
    return "\n".join(
        "".join(line[slice(*span)] for span in kept).rstrip() for line in table.splitlines() if line.strip()
    )


def described(text: str, types: Sequence[str]) -> str:
    """Type, status, reason and message of some conditions in what ``kubectl describe`` prints."""
    found: dict[str, dict[str, str]] = {}
    condition: dict[str, str] = {}
    for line in text.splitlines():
        key, _, value = line.strip().partition(":")
        condition[key] = value.strip()
        if key == "Type":
            found[condition[key]] = condition
            condition = {}
    width = max(map(len, types))
    return "\n".join(
        f"{kind:<{width}}  {found[kind]['Status']:<5}  {found[kind]['Reason']}: {found[kind]['Message']}"
        for kind in types
        if kind in found
    )


class Way(httpx.BaseTransport):
    """How Entra comes to SCIM endpoints.

    Attributes:
        is_open: when it is not, as when a firewall's rules are wrong, no request arrives.
    """

    def __init__(self, transport: httpx.BaseTransport | None = None) -> None:
        self.is_open = True
        self._transport = transport or httpx.HTTPTransport(trust_env=False)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Let it pass, or not. Raises ``httpx.ConnectError``."""
        if not self.is_open:
            raise httpx.ConnectError("connection refused", request=request)
        return self._transport.handle_request(request)

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()


class Microsoft(MicrosoftCloud):
    """Plays Microsoft's login and Graph for a cluster, whose keys it fetches for each sign-in as Entra does.

    Args:
        kubectl: of the cluster.

    Attributes:
        way: to the SCIM endpoint.
    """

    def __init__(self, kubectl: Kubectl) -> None:
        self.way = Way()
        super().__init__(
            jwks=lambda: json.loads(kubectl("get", "--raw", "/openid/v1/jwks")), transport=self.way
        )

    @property
    def operator_settings(self) -> dict[str, str]:
        """The operator goes here, and looks at jobs each second in the place of five minutes."""
        return {
            "SCIM_OPERATOR_ENTRA_LOGIN_URL": self.login_url,
            "SCIM_OPERATOR_ENTRA_GRAPH_URL": self.graph_url,
            "SCIM_OPERATOR_ENTRA_CHECK_SECONDS": "1",
        }


def tell(console: Console, kubectl: Kubectl, cloud: Microsoft) -> None:
    """The whole part.

    Args:
        console: told each step.
        kubectl: as administrator; the operator has the cloud's ``operator_settings``.
        cloud: made for this cluster.

    Raises:
        DemoFailed: at the first step that is not as it must be.
    """
    act = _Act(console, kubectl, cloud)
    act.first()
    act.rotation()
    act.client_credentials()
    act.quarantine()


class _Act:
    def __init__(self, console: Console, kubectl: Kubectl, cloud: Microsoft) -> None:
        self._console, self._cloud = console, cloud
        self._kubectl = kubectl
        self._ids = ids_of(Path(EXAMPLE).read_text(encoding="utf-8"))
        self._where = ("-n", self._ids.namespace)
        self._application = self._play_entra()

    def _play_entra(self) -> Application:
        """An application with a job and people, and an app registration that trusts the example's ServiceAccount."""
        ids = self._ids
        issuer = json.loads(self._kubectl("get", "--raw", "/.well-known/openid-configuration"))["issuer"]
        subject = f"system:serviceaccount:{ids.namespace}:{ids.account}"
        tenant = self._cloud.add_tenant(ids.tenant)
        tenant.add_caller(
            client_id=ids.client, federated=[FederatedCredential(issuer, subject)], roles=[_ROLE]
        )
        return tenant.add_application(service_principal_id=ids.service_principal, people=six_people()[:-1])

    @property
    def _job(self) -> Job:
        return self._application.jobs[0]

    # -- the four parts -----------------------------------------------------------------------------
    def first(self) -> None:
        """A ScimToken with ``spec.entra``, and Entra provisions with its token."""
        self._console.title("Entra gets each new token by itself")
        people = len(self._application.people)
        self._console.step(
            f"Entra (played) has an application with {people} people and a job, and trusts the cluster's ServiceAccount "
            f"{self._ids.namespace}/{self._ids.account}"
        )
        self._kubectl.step(
            "a namespace for those who administer provisioning", "create", "namespace", self._ids.namespace
        )
        self._console.block(
            self._kubectl.step(
                "the ServiceAccount, the Role to sign in with it, and a ScimToken that names the application",
                "apply", "-f", EXAMPLE,
            )
        )  # fmt: skip
        wait = (
            "wait",
            "--for=condition=HandedOver",
            f"sct/{NAME}",
            *self._where,
            f"--timeout={_SECONDS:.0f}s",
        )
        self._kubectl.step("Entra has the token and comes with it, and nobody pasted", *wait)
        self._check_entra_holds(self._secret()["token"])
        self._run_cycles()
        self._job.start()
        until("the first cycle has ended", lambda: self._job.last_success, _SECONDS)
        self._console.step(
            f"Start provisioning: {len(self._job.ids)} people sent. From now on a cycle each second (Entra: every 40 minutes)"
        )

    def _run_cycles(self) -> None:
        """A healthy job's cycles are compressed. In quarantine it is hours: Entra does not end one by itself here."""
        self._cloud.run_jobs(_CYCLE_SECONDS)
        self._cloud.schedule = dataclasses.replace(SCHEDULE, cycle_every=self._cloud.schedule.cycle_every)

    def rotation(self) -> None:
        """The token rotates."""
        old, seen = self._secret(), len(self._job.history)
        self._kubectl.step(
            "the token rotates, and the old one is to end as soon as Entra uses the new one",
            "annotate", "sct", NAME, *self._where, "scim-operator.io/rotate=demo", "scim-operator.io/revoke=all-superseded",
        )  # fmt: skip
        self._console.step(
            "without that annotation overlap: untilInUse ends it, two hours after its last use"
        )
        self._application.people = six_people()
        self._conclude(old, "token", "token-id", seen)

    def client_credentials(self) -> None:
        """The token gives way to client credentials."""
        self._console.title("The same with client credentials")
        old, seen = self._secret(), len(self._job.history)
        patch = json.dumps({"spec": {"auth": {"type": "OAuthClientCredentials"}}})
        self._kubectl.step(
            "the type of sign-in is changed", "patch", "sct", NAME, *self._where, "--type=merge", "-p", patch
        )
        self._conclude(old, "client-secret", "client-secret-id", seen)

    def quarantine(self) -> None:
        """The endpoint is away for so long that the job is in quarantine; it comes back."""
        self._console.title("A quarantine ends by itself")
        self._cloud.way.is_open = False
        self._console.step("a firewall closes Entra's way to the endpoint")
        began = until("the job is in quarantine", lambda: self._job.quarantine, _SECONDS)
        self._console.step(f"after three cycles without an answer the job is in quarantine: {began.reason}")
        self._until_told("Provisioning", "Quarantined")
        self._show_wide()
        self._cloud.way.is_open = True
        self._console.step("the way is open again; Entra itself would try again in six hours")
        until("the quarantine has ended", lambda: self._job.quarantine is None, _SECONDS)
        self._console.step("the operator has started the job: the quarantine has ended")
        seen = len(self._job.history)
        self._wait_cycles(seen)
        for kind, reason in zip(CONDITIONS, ("InUse", "Active"), strict=True):
            self._until_told(kind, reason)
        text = self._kubectl.step(
            "what its conditions say (abridged)", "describe", f"sct/{NAME}", *self._where
        )
        self._console.block(described(text, CONDITIONS))

    # -- what they share ----------------------------------------------------------------------------
    def _conclude(self, old: dict[str, str], key: str, id_key: str, seen: int) -> None:
        """Wait until Entra uses what the Secret has now, and the old credential is refused; count the cycles since."""
        fresh = until("the Secret holds another credential", lambda: self._other_than(old, id_key), _SECONDS)
        until("Entra uses it", lambda: self._in_use() == fresh[id_key], _SECONDS)
        self._check_entra_holds(fresh[key])
        endpoint, token = old["endpoint"], old["token"]
        until("the old token is refused", lambda: ask(endpoint, token) == _UNAUTHORIZED, _SECONDS)
        self._console.step(
            f"Entra has {fresh[key]} and comes with it, and nobody pasted; the old {token} is refused: 401"
        )
        self._wait_cycles(len(self._job.history))
        cycles = Cycles.of(list(self._job.history)[seen:])
        self._console.step(
            f"Entra's cycles meanwhile: {cycles.count}, requests: {cycles.requests}, refused: {cycles.refused}; "
            f"the job: {self._job.state} all the time"
        )
        check(
            (cycles.refused, cycles.quarantines, self._job.state) == (0, 0, "Active"),
            f"the job did not stay Active: {cycles}, now {self._job.state}",
        )

    def _wait_cycles(self, seen: int) -> None:
        until("more cycles", lambda: len(self._job.history) >= seen + _CYCLES, _SECONDS)

    def _show_wide(self) -> None:
        wide = self._kubectl.step(
            "what people see (abridged)", "get", "sct", NAME, *self._where, "-o", "wide"
        )
        self._console.block(columns(wide, _COLUMNS))

    def _check_entra_holds(self, credential: str) -> None:
        check(
            credential in self._application.credentials.values(), "Entra does not hold what the Secret does"
        )

    def _other_than(self, old: dict[str, str], id_key: str) -> dict[str, str] | None:
        now = self._secret()
        return now if id_key in now and now[id_key] != old.get(id_key) else None

    def _in_use(self) -> str | None:
        """Id of the credential that Entra was seen to use."""
        given = self._status().get("entra", {}).get("handedOver", {})
        return given["credentialID"] if "inUseAt" in given else None

    def _until_told(self, kind: str, reason: str) -> None:
        def told() -> bool:
            conditions = self._status().get("conditions", [])
            return any((item["type"], item["reason"]) == (kind, reason) for item in conditions)

        until(f"{kind} says {reason}", told, _SECONDS)

    def _status(self) -> dict[str, Any]:
        answer = json.loads(self._kubectl("get", "sct", NAME, *self._where, "-o", "json"))
        status: dict[str, Any] = answer.get("status", {})
        return status

    def _secret(self) -> dict[str, str]:
        answer = json.loads(self._kubectl("get", "secret", f"{NAME}-scim-token", *self._where, "-o", "json"))
        return {key: base64.b64decode(value).decode() for key, value in answer["data"].items()}
