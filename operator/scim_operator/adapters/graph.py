"""Microsoft Graph's synchronization API: the port ``Graph`` over HTTP.

Each call is one request, or two where a cached access token was refused or a rule has to be looked up. Whether and when
to try again is the reconciler's.
"""

from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime
from typing import Final

import httpx
import structlog

from scim_api.contract.signing import utc_now
from scim_operator.adapters.entra_http import SUCCESS, Requested, not_counted, send
from scim_operator.adapters.entra_login import EntraLogin
from scim_operator.adapters.entra_pace import EntraPace
from scim_operator.planning.entra import answers, requests
from scim_operator.planning.entra.clouds import Clouds
from scim_operator.planning.entra.diagnosis import (
    Answer,
    not_an_answer,
    of_graph,
    request_id_of,
    retry_after_of,
)
from scim_operator.planning.entra.ports import (
    Application,
    BearerCredentials,
    Credentials,
    EntraError,
    Identity,
    Job,
    OAuthCredentials,
    Obstacle,
    OnDemandResult,
    RestartScope,
)
from scim_operator.planning.entra.requests import GraphRequest
from scim_operator.planning.entra.sign_in_errors import Caller

log = structlog.get_logger(__name__)

MOST_RULES: Final = 1024
"""Jobs whose rule for users is remembered."""

_RuleKey = tuple[Application, str]


class GraphClient:
    """Implements ``planning.entra.ports.Graph``.

    Args:
        client: shared by all calls; for what is outside of the cluster.
        login: gives access tokens.
        clouds: where Graph is.
        pace: of all requests.
        guard: called right before every write; raises ``NotLeading`` when this process may not write.
        requested: called after each request with the operation, and ``success`` or the obstacle.
        now: UTC, for a date in ``Retry-After``.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        login: EntraLogin,
        clouds: Clouds,
        pace: EntraPace,
        *,
        guard: Callable[[], None],
        requested: Requested = not_counted,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._client, self._login, self._clouds, self._pace = client, login, clouds, pace
        self._guard, self._requested, self._now = guard, requested, now
        self._rules: OrderedDict[_RuleKey, str] = OrderedDict()

    async def jobs(self, application: Application, identity: Identity) -> list[Job]:
        """All provisioning jobs of the application."""
        answer = await self._call(application, identity, requests.list_jobs(application))
        found = answers.jobs(answers.parsed(answer.body))
        if found is None:
            raise self._not_graphs(application, answer)
        return found

    async def job(self, application: Application, identity: Identity, job_id: str) -> Job:
        """One of them."""
        answer = await self._call(application, identity, requests.read_job(application, job_id))
        found = answers.job(answers.parsed(answer.body))
        if found is None:
            raise self._not_graphs(application, answer)
        return found

    async def validate(
        self, application: Application, identity: Identity, job: Job, credentials: Credentials | None
    ) -> None:
        """Entra's Test Connection, with these credentials, or with those that it has saved (None)."""
        request = requests.validate(application, job, credentials)
        await self._call(application, identity, request, _secrets(credentials))

    async def save(self, application: Application, identity: Identity, credentials: Credentials) -> None:
        """Have Entra store them in the place of those that it has."""
        saved: dict[str, str] = {}
        if isinstance(credentials, BearerCredentials):
            answer = await self._call(application, identity, requests.read_secrets(application))
            saved = dict(answers.saved_secrets(answers.parsed(answer.body)))
        request = requests.save(application, credentials, saved)
        await self._call(application, identity, request, _secrets(credentials))

    async def start(self, application: Application, identity: Identity, job_id: str) -> None:
        """Have the job run, out of quarantine too."""
        await self._call(application, identity, requests.start(application, job_id))

    async def restart(
        self, application: Application, identity: Identity, job_id: str, scope: RestartScope
    ) -> None:
        """Have the job begin anew, with ``scope`` forgotten."""
        await self._call(application, identity, requests.restart(application, job_id, scope))

    async def provision_on_demand(
        self, application: Application, identity: Identity, job_id: str, object_id: str
    ) -> OnDemandResult:
        """Provision one user, for real."""
        rule_id = await self._user_rule(application, identity, job_id)
        request = requests.provision_on_demand(application, job_id, rule_id, object_id)
        self._pace.admit_on_demand(application)
        try:
            answer = await self._call(application, identity, request)
        except EntraError as error:
            if error.obstacle is Obstacle.REQUEST_REFUSED:
                self._rules.pop((application, job_id), None)
            raise
        found = answers.on_demand_result(answers.parsed(answer.body))
        if found is None:
            raise self._not_graphs(application, answer)
        return found

    async def _user_rule(self, application: Application, identity: Identity, job_id: str) -> str:
        key = (application, job_id)
        if (known := self._rules.get(key)) is not None:
            return known
        answer = await self._call(application, identity, requests.read_schema(application, job_id))
        rule_id = answers.user_rule(answers.parsed(answer.body))
        if rule_id is None:
            raise EntraError(
                Obstacle.REQUEST_REFUSED,
                "the provisioning job has no mapping for users: set Enabled of Provision Microsoft Entra ID Users to "
                "Yes (enterprise application, Provisioning, Mappings)",
            )
        self._rules[key] = rule_id
        if len(self._rules) > MOST_RULES:
            self._rules.popitem(last=False)
        return rule_id

    async def _call(
        self,
        application: Application,
        identity: Identity,
        request: GraphRequest,
        confidential: tuple[str, ...] = (),
    ) -> Answer:
        """Send it with an access token, and once more with a new one when a cached one was refused.

        Returns:
            An answer of 2xx.

        Raises:
            EntraError, NotLeading, KubernetesUnreachable
        """
        endpoints = self._clouds.endpoints(application.cloud)
        retried = False
        while True:
            token = await self._login.access_token(application, identity)
            await self._pace.admit(application)
            if request.writes:
                self._guard()
            answer = await send(
                self._client,
                request.method,
                endpoints.graph + request.path,
                what=request.call,
                headers={"authorization": f"Bearer {token.value}"},
                seconds=request.seconds,
                json=request.body,
                requested=self._requested,
            )
            if 200 <= answer.status < 300:
                self._requested(request.call, SUCCESS)
                if request.writes:
                    log.info(
                        "changed in Entra",
                        call=request.call,
                        tenant=application.tenant_id,
                        service_principal=application.service_principal_id,
                        request_id=request_id_of(answer),
                    )
                return answer
            caller = Caller(application, identity, endpoints)
            error = of_graph(answer, request, caller, self._now(), (token.value, *confidential))
            self._requested(request.call, error.obstacle.value)
            if answer.status in (401, 403):
                self._login.invalidate(application, identity, token)
                if token.cached and not retried:
                    retried = True
                    continue
            if answer.status == 429:
                self._pace.pause(application, retry_after_of(answer, self._now()))
            raise error

    def _not_graphs(self, application: Application, answer: Answer) -> EntraError:
        return not_an_answer(self._clouds.endpoints(application.cloud).graph, "Graph", answer)


def _secrets(credentials: Credentials | None) -> tuple[str, ...]:
    match credentials:
        case BearerCredentials():
            return (credentials.token,)
        case OAuthCredentials():
            return (credentials.client_secret,)
        case None:
            return ()
