"""Carries out the steps of a hand-over, one at a time, at Microsoft Graph: where plaintext leaves for Entra."""

import dataclasses
from collections.abc import Callable

import structlog

from scim_operator.api.scimtoken import ScimToken
from scim_operator.api.status import EntraStatus
from scim_operator.planning.entra import entra_status, hand_over
from scim_operator.planning.entra.hand_over import HandOverState
from scim_operator.planning.entra.identity import identity_of, secret_name
from scim_operator.planning.entra.ports import (
    Application,
    BearerCredentials,
    Credentials,
    EntraError,
    Graph,
    Identity,
    Job,
    OAuthCredentials,
    Obstacle,
    RestartScope,
)
from scim_operator.planning.entra.recovery import Recovery
from scim_operator.planning.kind_texts import NOUNS
from scim_operator.planning.ports import AdminApi, Cluster, SecretSnapshot
from scim_operator.planning.secret_layout import KEYS

log = structlog.get_logger(__name__)


@dataclasses.dataclass(slots=True)
class HandOverPass:
    """One pass over one ScimToken: a step puts what came of it in the place of the older view."""

    token: ScimToken
    secret: SecretSnapshot | None = dataclasses.field(repr=False)
    state: HandOverState
    identity: Identity | None = None
    """Read when it is first needed."""

    def note(self, **changes: object) -> None:
        """Replace parts of the state."""
        self.state = dataclasses.replace(self.state, **changes)  # type: ignore[arg-type]

    @property
    def application(self) -> Application:
        """Which one."""
        spec = self.state.spec
        return Application(spec.cloud, spec.tenant_id, spec.service_principal_id)


class HandOverExecutor:
    """Does what ``hand_over.plan`` says, and nothing that it does not.

    Args:
        api: the admin API, asked for the time after a write.
        cluster: Kubernetes.
        graph: Microsoft Graph.
        trace: called with each step's name before it is done.
    """

    def __init__(
        self, *, api: AdminApi, cluster: Cluster, graph: Graph, trace: Callable[[str], None]
    ) -> None:
        self._api, self._cluster, self._graph, self._trace = api, cluster, graph, trace

    async def execute(self, here: HandOverPass, step: hand_over.Step) -> None:
        """Carry out one step.

        Raises:
            EntraError, NotLeading, Conflict, KubernetesRejected, KubernetesUnreachable, ScimApiUnreachable,
            ScimApiRejected: as the ports do.
        """
        identity = here.identity = here.identity or await self._identity(here)
        match step:
            case hand_over.ReadJob():
                await self._read_job(here, identity)
            case hand_over.ValidateNew():
                self._trace("entra-validate-new")
                await self._graph.validate(here.application, identity, _job(here), _credentials(here))
                here.note(is_tried=True)
            case hand_over.SaveNew():
                await self._save(here, identity)
            case hand_over.ValidateSaved():
                await self._validate_saved(here, identity)
            case hand_over.Recover(recovery=recovery):
                await self._recover(here, identity, recovery)
            case hand_over.RunFullCycle(request=request):
                await self._run_full_cycle(here, identity, request)
            case hand_over.ProvisionOnDemand(request=request):
                await self._provision(here, identity, request)

    async def _identity(self, here: HandOverPass) -> Identity:
        sign_in = here.state.spec.sign_in
        name = secret_name(sign_in)
        if name is None:
            return identity_of(here.token.key, sign_in, None)
        self._trace("entra-read-identity")
        secret = await self._cluster.secret(here.token, name)
        return identity_of(here.token.key, sign_in, None if secret is None else secret.data)

    async def _read_job(self, here: HandOverPass, identity: Identity) -> None:
        self._trace("entra-read-job")
        named = here.state.spec.job_id
        if named is not None:
            job = await self._graph.job(here.application, identity, named)
        else:
            job = _only(await self._graph.jobs(here.application, identity))
        here.note(job=job, status=entra_status.with_job(here.state.status, job, here.state.now))

    async def _save(self, here: HandOverPass, identity: Identity) -> None:
        self._trace("entra-save")
        await self._graph.save(here.application, identity, _credentials(here))
        self._trace("entra-get-connection")
        now = (await self._api.get(here.token.key)).now
        given = hand_over.saved(here.state, now)
        status = here.state.status.model_copy(update={"handed_over": given})
        here.note(now=now, status=status, is_saved_tried=False, is_saved_refused=False)
        published = here.state.published
        assert published is not None  # noqa: S101 (it was saved)
        what = f"{NOUNS[published.kind]} {published.id}"
        log.info("credential saved in Entra", key=str(here.token.key), credential_id=published.id)
        await self._cluster.event(
            here.token, "Normal", "SavedInEntra", f"Entra has tried {what}, and saved it"
        )

    async def _validate_saved(self, here: HandOverPass, identity: Identity) -> None:
        self._trace("entra-validate-saved")
        try:
            await self._graph.validate(here.application, identity, _job(here), None)
        except EntraError as error:
            if error.obstacle is not Obstacle.CREDENTIALS_REFUSED or not hand_over.may_save_again(here.state):
                raise
            log.info("what Entra has saved is refused", key=str(here.token.key), message=error.message)
            here.note(is_saved_refused=True)
            return
        here.note(is_saved_tried=True, has_checked=True)

    async def _recover(self, here: HandOverPass, identity: Identity, recovery: Recovery) -> None:
        self._trace("entra-recover")
        job = _job(here)
        if recovery is Recovery.START:
            await self._graph.start(here.application, identity, job.id)
        else:
            await self._graph.restart(here.application, identity, job.id, RestartScope.QUARANTINE_STATE)
        status = entra_status.with_recovery(here.state.status, here.state.now)
        here.note(job=None, has_recovered=True, status=status)
        log.info("job started out of its quarantine", key=str(here.token.key), job=job.id, how=recovery.value)
        await self._cluster.event(
            here.token,
            "Normal",
            "JobStarted",
            f"provisioning job {job.id} was in quarantine; Entra's Test Connection passes, so it was started again",
        )

    async def _run_full_cycle(self, here: HandOverPass, identity: Identity, request: str) -> None:
        self._trace("entra-full-cycle")
        job = _job(here)
        await self._graph.restart(here.application, identity, job.id, RestartScope.FULL)
        here.note(status=_answered(here.state.status, "answered_full_cycle", request))
        await self._cluster.event(
            here.token, "Normal", "FullCycle", f"provisioning job {job.id} begins anew with an initial cycle"
        )

    async def _provision(self, here: HandOverPass, identity: Identity, request: str) -> None:
        """What Graph refuses is answered too: the same would be refused for ever."""
        self._trace("entra-provision-on-demand")
        object_id, is_good = request.partition("/")[0], False
        try:
            result = await self._graph.provision_on_demand(
                here.application, identity, _job(here).id, object_id
            )
        except EntraError as error:
            if error.obstacle is not Obstacle.REQUEST_REFUSED:
                raise
            told = f"refused: {error.message}"
        else:
            told = f"{result.result}. {result.detail}"
            is_good = result.result in ("Success", "Skipped")
        here.note(status=_answered(here.state.status, "answered_provision_on_demand", request))
        await self._cluster.event(
            here.token,
            "Normal" if is_good else "Warning",
            "ProvisionedOnDemand",
            f"{object_id[:64]}: {told}",
        )


def _answered(status: EntraStatus, field: str, request: str) -> EntraStatus:
    return status.model_copy(update={field: request})


def _job(here: HandOverPass) -> Job:
    assert here.state.job is not None  # noqa: S101 (the plan reads it first)
    return here.state.job


def _only(jobs: list[Job]) -> Job:
    """The application's only job. Raises ``EntraError``."""
    if not jobs:
        raise EntraError(
            Obstacle.JOB_NOT_FOUND,
            "the enterprise application has no provisioning job: open its page Provisioning in Entra, set mode Automatic "
            "with the Secret's endpoint and credential, and save; or POST synchronization/jobs in Microsoft Graph",
        )
    if len(jobs) > 1:
        names = ", ".join(sorted(job.id for job in jobs)[:5])
        raise EntraError(
            Obstacle.SEVERAL_JOBS,
            f"the enterprise application has {len(jobs)} provisioning jobs ({names}): name one as spec.entra.jobID",
        )
    return jobs[0]


def _credentials(here: HandOverPass) -> Credentials:
    """The published credential, plaintext included, as Entra is to have it."""
    published, secret = here.state.published, here.secret
    assert published is not None  # noqa: S101 (the plan hands over what there is)
    assert secret is not None  # noqa: S101 (likewise)
    plaintext = secret.data[KEYS[published.kind].plaintext]
    if published.kind == "BearerToken":
        return BearerCredentials(here.state.endpoint, plaintext)
    return OAuthCredentials(
        here.state.endpoint, secret.data["token-endpoint"], secret.data["client-id"], plaintext
    )
