"""Every call of a hand-over to Graph, and what it costs."""

import dataclasses

import httpx
import pytest

from entra_standin.directory import six_people
from entra_standin.graph import Application as Enterprise
from scim_operator.planning.entra.ports import (
    EntraError,
    Obstacle,
    RestartScope,
)
from unit.entra_standin.faulty_service import TOKEN
from unit.entra_standin.token_service import CLIENT_SECRET

from .conftest import REVISED, Stage, hand_over


def held(enterprise: Enterprise, *keys: str) -> list[str | None]:
    return [enterprise.credentials.get(key) for key in keys]


async def test_a_rotated_token_is_handed_over_and_the_old_one_may_end(stage: Stage) -> None:
    stage.world.scim.tokens = {TOKEN, REVISED}
    await hand_over(stage, dataclasses.replace(stage.bearer, token=REVISED))
    assert held(stage.enterprise, "BaseAddress", "SecretToken") == [stage.endpoint, REVISED]
    stage.world.scim.tokens = {REVISED}
    await stage.graph.start(stage.application, stage.identity, stage.job_id)
    stage.enterprise.jobs[0].run_cycle()
    job = await stage.graph.job(stage.application, stage.identity, stage.job_id)
    assert (job.code, job.schedule_state, job.quarantine, job.failures) == ("Active", "Active", None, 0)
    assert job.last_execution is not None
    assert job.last_execution.state == "Succeeded"
    assert job.last_execution.exported is not None
    assert job.last_execution.exported >= len(six_people())
    assert job.last_success_at == job.last_execution.ended_at


@pytest.mark.parametrize(("way", "times"), [("bearer", 6), ("oauth", 5)])
async def test_a_hand_over_makes_this_many_requests_the_sign_in_among_them(
    stage: Stage, way: str, times: int
) -> None:
    await hand_over(stage, stage.bearer if way == "bearer" else stage.oauth)
    assert stage.cloud.requests.total == times
    stage.cloud.requests.clear()
    await hand_over(stage, stage.bearer if way == "bearer" else stage.oauth)
    assert stage.cloud.requests.total == times - 1


async def test_client_credentials_are_handed_over_and_a_bearer_token_again_after_them(stage: Stage) -> None:
    await hand_over(stage, stage.oauth)
    assert held(
        stage.enterprise, "AuthenticationType", "Oauth2ClientSecret", "CredentialLocationInRequest"
    ) == [
        "OAuth2ClientCredentialsGrant",
        CLIENT_SECRET,
        "Header",
    ]
    fetched = len(stage.world.tokens.forms)
    assert fetched > 0
    await hand_over(stage, stage.bearer)
    assert held(stage.enterprise, "AuthenticationType", "SecretToken") == ["AuthenticationToken", TOKEN]
    assert len(stage.world.tokens.forms) == fetched, "Entra goes on with OAuth"


async def test_credentials_that_do_not_work_are_refused_before_they_are_saved(stage: Stage) -> None:
    [job] = await stage.graph.jobs(stage.application, stage.identity)
    for credentials, words in (
        (dataclasses.replace(stage.bearer, token=REVISED), "refused the credentials"),
        (dataclasses.replace(stage.oauth, client_secret="scs_wrong-one"), "refused the credentials"),
        (dataclasses.replace(stage.bearer, endpoint="http://127.0.0.1:1/scim/v2"), "connect"),
    ):
        with pytest.raises(EntraError) as told:
            await stage.graph.validate(stage.application, stage.identity, job, credentials)
        assert told.value.obstacle is Obstacle.CREDENTIALS_REFUSED
        assert words in told.value.message
        assert "scs_wrong-one" not in told.value.message
        assert REVISED not in told.value.message
    assert held(stage.enterprise, "SecretToken") == [TOKEN]


async def test_an_endpoint_without_groups_is_told(stage: Stage) -> None:
    def without_groups(request: httpx.Request, answer: httpx.Response) -> httpx.Response:
        return httpx.Response(404) if request.url.path.endswith("/Groups") else answer

    stage.world.scim.fault = without_groups
    [job] = await stage.graph.jobs(stage.application, stage.identity)
    with pytest.raises(EntraError) as told:
        await stage.graph.validate(stage.application, stage.identity, job, stage.bearer)
    assert told.value.obstacle is Obstacle.CREDENTIALS_REFUSED
    assert "/Users or /Groups" in told.value.message


async def test_a_quarantine_is_read_and_ends_by_a_start_or_a_restart(stage: Stage) -> None:
    stage.world.scim.tokens = set()
    for end in ("start", "restart"):
        stage.enterprise.jobs[0].start()
        while stage.enterprise.jobs[0].quarantine is None:
            stage.enterprise.jobs[0].run_cycle()
        job = await stage.graph.job(stage.application, stage.identity, stage.job_id)
        assert job.code == "Quarantine"
        assert job.quarantine is not None
        assert job.quarantine.reason == "EncounteredQuarantineException"
        assert job.quarantine.began_at is not None
        assert job.quarantine.next_attempt_at is not None
        if end == "start":
            await stage.graph.start(stage.application, stage.identity, stage.job_id)
        else:
            scope = RestartScope.QUARANTINE_STATE
            await stage.graph.restart(stage.application, stage.identity, stage.job_id, scope)
        job = await stage.graph.job(stage.application, stage.identity, stage.job_id)
        assert (job.quarantine, job.code) == (None, "Active")


async def test_one_user_is_provisioned_on_demand(stage: Stage) -> None:
    person = six_people()[0]
    first, second = [
        await stage.graph.provision_on_demand(stage.application, stage.identity, stage.job_id, person.key)
        for _ in range(2)
    ]
    assert first.result == "Success"
    assert second.result == "Skipped"
    assert second.detail.startswith("RedundantExport: ")
    unknown = await stage.graph.provision_on_demand(stage.application, stage.identity, stage.job_id, "nobody")
    assert unknown.detail.startswith("NotEffectivelyEntitled: ")
