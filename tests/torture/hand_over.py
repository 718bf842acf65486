"""Microsoft, played, beside the campaign: applications that credentials are handed to, faults of Graph, and the judge."""

import asyncio
import collections
import dataclasses
import json
import random
import time
from collections.abc import Callable
from typing import Any, Final

from entra_standin.directory import six_people
from entra_standin.graph import LOGIN, Application, Fault, FederatedCredential, MicrosoftCloud, SecretsPut
from entra_standin.quarantine import SCHEDULE
from localcluster import ControlPlane
from support.hand_over import ACCOUNT, ROLE, identity_role, issuer_of, keys_of
from torture.edits import Tokens, published
from torture.hand_over_judge import HandOverJudge
from torture.hand_over_rules import Ending, unfinished
from torture.objects import NAMESPACE, SPEC, Objects
from torture.rules import Violation
from torture.schedule import Step
from torture.wire import Wire

CYCLE_SECONDS: Final = 1.0
KNOWN_SECONDS: Final = 3.0
"""How long after an answer it is known what had become of its credential."""
STALE_SECONDS: Final = 3.0
RETRY_AFTER: Final = 2
CHANCE: Final = 0.7
"""Of a request to meet a fault: some come through, so that faults fall between any two steps."""
SETTLE_SECONDS: Final = 180.0
"""A save that Entra dropped is repeated after a minute."""
PLANTED: Final[dict[str, dict[str, Any]]] = {
    "stale": {"fault": Fault.STALE, "seconds": STALE_SECONDS},
    "429-retry-after": {"fault": Fault.THROTTLED, "retry_after": RETRY_AFTER},
    "latency": {"fault": Fault.LATENCY, "seconds": 2.0},
    "closed-after": {"fault": Fault.CLOSED, "after_effect": True},
    "503-after": {"fault": Fault.UNAVAILABLE, "after_effect": True},
}
"""Those that are more than their name."""
LIVES: Final = {"lifetime": "60m", "rotateBefore": "30m"}
"""A superseded credential that ends within fifteen minutes is revoked at once, whatever Entra has."""
MANY: Final = 10
"""Live credentials of a ScimToken, from which on the older ones are revoked: sixteen are the most there may be."""
SPECS: Final[tuple[dict[str, Any], ...]] = (
    {"overlap": "untilInUse"},
    {"auth": {"type": "OAuthClientCredentials"}},
    {},
    {"overlap": "untilInUse", "auth": {"type": "OAuthClientCredentials"}},
)


@dataclasses.dataclass
class HandOverCounts:
    """For the table."""

    applications: int
    used: int = 0
    """Credentials that Entra came to use."""
    requests: int = 0
    """To login and Graph."""
    met: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    """Those of them that a fault met, by kind."""
    answers: int = 0
    """Of the service to Entra."""
    refused: int = 0
    quarantines: int = 0
    longest: float = 0.0
    """Seconds of a quarantine without a cause."""

    def rows(self) -> list[tuple[str, str]]:
        """Names and values."""
        met = ", ".join(f"{kind} {number}" for kind, number in sorted(self.met.items()))
        return [
            ("applications in Entra", str(self.applications)),
            ("credentials that Entra came to use", str(self.used)),
            ("requests to login and Graph", str(self.requests)),
            ("those that met a fault", met),
            ("answers to Entra judged", str(self.answers)),
            ("refused to Entra, rightly", str(self.refused)),
            ("quarantines", str(self.quarantines)),
            ("longest quarantine without a cause", f"{self.longest:.1f} s"),
        ]


class HandOver:
    """An application in Entra for each of some ScimTokens, whose jobs run all the time.

    Args:
        plane: its ServiceAccounts sign in to Entra.
        names: of the ScimTokens.
        objects: the cluster's.
        tokens: what is known of credentials.
        seed: of faults that come by chance.
    """

    def __init__(
        self, plane: ControlPlane, names: tuple[str, ...], objects: Objects, tokens: Tokens, seed: int
    ) -> None:
        self._plane, self.names, self._objects, self._tokens = plane, names, objects, tokens
        self._wire = Wire(self._all_held)
        self.cloud = MicrosoftCloud(jwks=keys_of(plane), transport=self._wire, seed=seed)
        self._applications: dict[str, Application] = {}
        self._client_id = ""
        self._dice = random.Random(seed)
        self._judge = HandOverJudge(names, tokens.known)
        self._counts = HandOverCounts(len(names))
        self.disturbances = 0
        """How many faults go on that a quarantine may come from."""

    # -- life ---------------------------------------------------------------------------------------
    def start(self) -> None:
        """Listen, with a tenant, a caller and the applications."""
        self.cloud.__enter__()
        tenant = self.cloud.add_tenant()
        subject = f"system:serviceaccount:{NAMESPACE}:{ACCOUNT}"
        federated = [FederatedCredential(issuer_of(self._plane), subject)]
        self._client_id = tenant.add_caller(federated=federated, roles=[ROLE]).client_id
        for name in self.names:
            self._applications[name] = tenant.add_application(people=six_people())
        self._plane.kubectl("create", "serviceaccount", ACCOUNT, "-n", NAMESPACE)
        for body in identity_role(NAMESPACE):
            self._plane.kubectl("apply", "-f", "-", input=json.dumps(body))

    async def holds_all(self) -> bool:
        """Whether something was handed over to every application."""
        return all(_held(application) for application in self._applications.values())

    def run_jobs(self) -> None:
        """Start each job. Out of a quarantine none comes by itself for six hours, but for who starts it."""
        self.cloud.run_jobs(CYCLE_SECONDS)
        every = SCHEDULE.compressed(SCHEDULE.cycle_every.total_seconds() / CYCLE_SECONDS).cycle_every
        self.cloud.schedule = dataclasses.replace(SCHEDULE, cycle_every=every)
        for application in self._applications.values():
            application.jobs[0].start()

    def stop(self) -> None:
        """End it."""
        self.cloud.__exit__()

    @property
    def environment(self) -> dict[str, str]:
        """Settings of the operators."""
        return {
            "SCIM_OPERATOR_ENTRA_LOGIN_URL": self.cloud.login_url,
            "SCIM_OPERATOR_ENTRA_GRAPH_URL": self.cloud.graph_url,
            "SCIM_OPERATOR_ENTRA_CHECK_SECONDS": "1",
            "SCIM_OPERATOR_ENTRA_REQUESTS_PER_SECOND": "200",
        }

    def spec(self, name: str) -> dict[str, Any]:
        """Of one of the ScimTokens, with users of its own."""
        application = self._applications[name]
        entra = {
            "tenantID": application.tenant_id,
            "servicePrincipalID": application.service_principal_id,
            "signIn": {"clientID": self._client_id, "serviceAccountRef": {"name": ACCOUNT}},
        }
        chosen = SPECS[self.names.index(name) % len(SPECS)]
        return {**SPEC, "tenant": name, **LIVES, **chosen, "entra": entra}

    # -- faults -------------------------------------------------------------------------------------
    async def replacing(self, name: str) -> str:
        """The edit by which a credential is replaced: all the older ones are revoked when there are many."""
        return "revoke-all-before" if len(await self._objects.states(name)) > MANY else "rotate"

    async def hit(self, step: Step, name: str) -> None:
        """Carry out a fault of Microsoft's side; ``name`` is the ScimToken whose credential somebody pastes."""
        match step.action:
            case "graph":
                await self._graph(step.target, step.seconds)
            case "login":
                await self._login(step.seconds)
            case "drop":
                await self._drop(step.seconds)
            case "away":
                await self._away(step.seconds)
            case _:
                self._paste(name, ended=step.target == "ended")

    async def _graph(self, kind: str, seconds: float) -> None:
        """Graph fails in one way for so many seconds."""
        planted: dict[str, Any] = PLANTED.get(kind) or {"fault": Fault(kind)}
        with self.cloud.faults.inject(**planted, times=None, chance=CHANCE) as injection:
            await asyncio.sleep(seconds)
        self._counts.met[kind] += injection.hits

    async def _login(self, seconds: float) -> None:
        """The login is down, and nobody has an access token."""
        with self.cloud.faults.inject(Fault.UNAVAILABLE, times=None, path=LOGIN) as injection:
            self.cloud.forget_tokens()
            await asyncio.sleep(seconds)
        self._counts.met["login"] += injection.hits

    async def _drop(self, seconds: float) -> None:
        """Graph takes saves, and stores nothing."""
        self.cloud.behaviour.secrets_put = SecretsPut.DROP
        try:
            await asyncio.sleep(seconds)
        finally:
            self.cloud.behaviour.secrets_put = SecretsPut.MERGE

    async def _away(self, seconds: float) -> None:
        """Entra does not reach the endpoint."""
        self._wire.is_cut = True
        try:
            await asyncio.sleep(seconds)
        finally:
            self._wire.is_cut = False

    def _paste(self, name: str, *, ended: bool) -> None:
        """Somebody saves an older credential in Entra: one that is accepted, or one that is over."""
        application, now = self._applications[name], time.time()
        key = _key(application)
        held = application.credentials.get(key)
        older = [
            known
            for known in self._tokens.known
            if known.owner == name
            and known.plaintext != held
            and (known.token.client_id is None) == (key == "SecretToken")
            and (now > known.token.ends_at) == ended
        ]
        if older:
            with application.lock:
                application.credentials = {**application.credentials, key: self._dice.choice(older).plaintext}

    # -- the judge ----------------------------------------------------------------------------------
    async def observe(self) -> None:
        """Look at each ScimToken and each job once."""
        self._judge.take(self._wire.take())
        self._judge.judge(time.time() - KNOWN_SECONDS)
        for name, application in self._applications.items():
            states = await self._objects.states(name)
            now = time.time()
            self._judge.look_at_states(name, states, now)
            self._judge.look_at_job(
                name,
                now,
                _held(application),
                is_in_quarantine=application.jobs[0].quarantine is not None,
                is_disturbed=self.disturbances > 0,
            )

    def _all_held(self) -> set[str]:
        return {_held(application) for application in self._applications.values()}

    def violations(self) -> list[Violation]:
        """All that were found."""
        self._judge.take(self._wire.take())
        self._judge.judge(time.time())
        return self._judge.violations()

    # -- the end ------------------------------------------------------------------------------------
    async def settled(self, say: Callable[[str], None]) -> list[Violation]:
        """Wait until everything is as it should be; what is not when the time is over."""
        mended = time.time()
        deadline = time.monotonic() + SETTLE_SECONDS
        while True:
            endings = [await self._ending(name, mended) for name in self.names]
            if all(one.is_good for one in endings) or time.monotonic() > deadline:
                say(f"every application was as it should be {time.time() - mended:.0f} s after the mending")
                return unfinished(endings)
            await asyncio.sleep(0.5)

    async def _ending(self, name: str, mended: float) -> Ending:
        secret = await self._objects.secret(name)
        scimtoken = await self._objects.scimtoken(name)
        shown, application = published(secret), self._applications[name]
        status = scimtoken.get("status", {})
        told: dict[str, Any] = next(
            (one for one in status.get("conditions", []) if one["type"] == "HandedOver"), {}
        )
        given = status.get("entra", {}).get("handedOver", {})
        job = application.jobs[0]
        last = job.last_execution
        return Ending(
            name,
            shown is not None
            and _held(application) == shown.plaintext
            and application.credentials.get("BaseAddress") == secret.get("endpoint")
            and given.get("credentialID") == shown.id,
            f"{told.get('status')} {told.get('reason')}",
            job.state,
            last.state.value if last is not None and last.began.timestamp() > mended else "",
        )

    def counts(self) -> HandOverCounts:
        """What there was."""
        quarantines = self._judge.quarantines.values()
        return dataclasses.replace(
            self._counts,
            used=len(self._judge.used),
            requests=self.cloud.requests.total,
            answers=self._judge.answers,
            refused=self._judge.refused,
            quarantines=sum(one.number for one in quarantines),
            longest=max((one.longest for one in quarantines), default=0.0),
        )


def _key(application: Application) -> str:
    by_secret = application.credentials.get("AuthenticationType") == "OAuth2ClientCredentialsGrant"
    return "Oauth2ClientSecret" if by_secret else "SecretToken"


def _held(application: Application) -> str:
    return application.credentials.get(_key(application), "")
