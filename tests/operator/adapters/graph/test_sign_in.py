"""Every way to sign in at Microsoft's login, and every wrong input of a newcomer."""

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import pytest

from entra_standin.graph import Caller, FederatedCredential, Tenant
from localcluster import ControlPlane
from scim_operator.planning.entra.ports import (
    ClientSecretIdentity,
    EntraError,
    Obstacle,
    ServiceAccountIdentity,
)
from support.microsoft import certificate_identity

from .conftest import ACCOUNT, ROLE, SECRET, Stage


@pytest.fixture
def account(installed: ControlPlane, quiet_namespace: str, stage: Stage) -> ServiceAccountIdentity:
    installed.kubectl("create", "serviceaccount", ACCOUNT, "-n", quiet_namespace)
    return ServiceAccountIdentity(stage.caller.client_id, quiet_namespace, ACCOUNT)


def issuer(installed: ControlPlane) -> str:
    configuration = installed.kubectl("get", "--raw", "/.well-known/openid-configuration").stdout
    return str(json.loads(configuration)["issuer"])


async def test_a_service_account_signs_in_without_a_secret_anywhere(
    installed: ControlPlane, stage: Stage, account: ServiceAccountIdentity
) -> None:
    subject = f"system:serviceaccount:{account.namespace}:{ACCOUNT}"
    stage.caller.federate(FederatedCredential(issuer(installed), subject))
    stage.caller.remove_secrets()
    found = await stage.graph.jobs(stage.application, account)
    assert [job.id for job in found] == [stage.job_id]


async def test_a_certificate_signs_in(stage: Stage) -> None:
    identity = dataclasses.replace(certificate_identity(days=30_000), client_id=stage.caller.client_id)
    stage.caller.add_certificate(identity.certificate)
    assert len(await stage.graph.jobs(stage.application, identity)) == 1


@pytest.mark.parametrize(
    ("credential", "words"),
    [
        ({}, "no federated credential"),
        ({"subject": "system:serviceaccount:another:entra-hand-over"}, "subject system:serviceaccount:"),
        ({"subject": "capitals"}, "character by character"),
        ({"issuer": "https://another.example"}, "/.well-known/openid-configuration"),
        ({"audience": "api://another"}, "audience api://AzureADTokenExchange"),
        ({"works_from": 9e9}, "minutes later"),
    ],
    ids=["none", "another namespace", "capitals", "another issuer", "another audience", "made just now"],
)
async def test_a_federated_credential_that_does_not_fit_is_told_with_what_it_needs(
    installed: ControlPlane,
    stage: Stage,
    account: ServiceAccountIdentity,
    credential: dict[str, Any],
    words: str,
) -> None:
    subject = f"system:serviceaccount:{account.namespace}:{ACCOUNT}"
    if credential.get("subject") == "capitals":
        credential = {"subject": subject.upper()}
    if credential:
        right = FederatedCredential(issuer(installed), subject)
        stage.caller.federate(dataclasses.replace(right, **credential))
    error = await stage.refused(account)
    assert error.obstacle is Obstacle.SIGN_IN_REFUSED
    assert words in error.message
    assert f"system:serviceaccount:{account.namespace}:{ACCOUNT}" in error.message
    assert error.request_id


async def test_keys_that_microsoft_cannot_read_are_told(
    installed: ControlPlane, stage: Stage, account: ServiceAccountIdentity
) -> None:
    subject = f"system:serviceaccount:{account.namespace}:{ACCOUNT}"
    stage.caller.federate(FederatedCredential(issuer(installed), subject))
    stage.cloud.issuers[issuer(installed)] = {"keys": []}
    assert "kubectl get --raw /openid/v1/jwks" in (await stage.refused(account)).message

    def unreachable() -> dict[str, Any]:
        raise OSError

    stage.cloud.issuers[issuer(installed)] = unreachable
    assert "reachable from the Internet" in (await stage.refused(account)).message


async def test_clocks_that_differ_are_told(
    jwks: Callable[[], dict[str, Any]], installed: ControlPlane, stage: Stage, account: ServiceAccountIdentity
) -> None:
    subject = f"system:serviceaccount:{account.namespace}:{ACCOUNT}"
    stage.caller.federate(FederatedCredential(issuer(installed), subject))
    real = stage.cloud._clock()
    stage.cloud._login._clock = lambda: real + 7200
    error = await stage.refused(account)
    assert error.obstacle is Obstacle.SIGN_IN_REFUSED
    assert "set the clocks of the nodes" in error.message


async def test_a_wrong_and_an_expired_secret_are_told_apart(stage: Stage) -> None:
    wrong = ClientSecretIdentity(stage.caller.client_id, "the-id-and-not-the-value")
    assert "not its Secret ID" in (await stage.refused(wrong)).message
    stage.caller.expire_secrets(1.0)
    assert "has expired" in (await stage.refused()).message


async def test_a_certificate_that_is_not_registered_is_told(stage: Stage) -> None:
    identity = dataclasses.replace(certificate_identity(days=30_000), client_id=stage.caller.client_id)
    error = await stage.refused(identity)
    assert error.obstacle is Obstacle.SIGN_IN_REFUSED
    assert "az ad app credential reset" in error.message


async def test_an_unknown_tenant_is_told(stage: Stage) -> None:
    error = await stage.refused(
        of=dataclasses.replace(stage.application, tenant_id="0" * 8 + stage.tenant.id[8:])
    )
    assert error.obstacle is Obstacle.SIGN_IN_REFUSED
    assert "correct spec.entra.tenantID" in error.message


@pytest.mark.parametrize("code", [7000229, 700016])
async def test_a_customer_who_has_not_consented_is_sent_a_link(stage: Stage, code: int) -> None:
    stage.cloud.behaviour.missing_consent_code = code
    home: Tenant = stage.cloud.add_tenant()
    vendor: Caller = home.add_caller(secret=SECRET, multi_tenant=True)
    identity = ClientSecretIdentity(vendor.client_id, SECRET)
    error = await stage.refused(identity)
    assert error.obstacle is Obstacle.CONSENT_MISSING
    link = f"{stage.cloud.login_url}/{stage.tenant.id}/adminconsent?client_id={vendor.client_id}"
    assert link in error.message
    vendor.consent(stage.tenant.id, {ROLE})
    assert len(await stage.graph.jobs(stage.application, identity)) == 1


# -- rights and ids ---------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [401, 403])
async def test_a_missing_right_is_told_and_a_grant_helps_at_the_next_try(stage: Stage, status: int) -> None:
    stage.cloud.behaviour.missing_right_status = status
    stage.caller.revoke(ROLE)
    error = await stage.refused()
    assert error.obstacle is Obstacle.PERMISSION_MISSING
    assert "az ad app permission add" in error.message
    stage.caller.grant(ROLE)
    assert len(await stage.graph.jobs(stage.application, stage.identity)) == 1


async def test_a_grant_counts_at_once_although_the_cached_token_lacks_it(stage: Stage) -> None:
    stage.caller.revoke(ROLE)
    stage.caller.grant("Synchronization.Read.All")
    await stage.graph.jobs(stage.application, stage.identity)
    stage.caller.grant(ROLE)
    await stage.graph.start(stage.application, stage.identity, stage.job_id)
    assert stage.enterprise.jobs[0].state == "Active"


async def test_the_owner_of_the_service_principal_needs_no_right_to_all(stage: Stage) -> None:
    stage.caller.revoke(ROLE)
    stage.caller.grant("Application.ReadWrite.OwnedBy")
    assert (await stage.refused()).obstacle is Obstacle.PERMISSION_MISSING
    principal = stage.caller.service_principal_id()
    assert principal is not None
    stage.enterprise.owners.add(principal)
    await stage.graph.save(stage.application, stage.identity, stage.bearer)


async def test_tokens_that_the_login_forgot_are_fetched_anew(stage: Stage) -> None:
    await stage.graph.jobs(stage.application, stage.identity)
    stage.cloud.forget_tokens()
    assert len(await stage.graph.jobs(stage.application, stage.identity)) == 1


async def test_an_application_id_in_the_place_of_the_object_id_is_told(stage: Stage) -> None:
    wrong = dataclasses.replace(stage.application, service_principal_id=stage.enterprise.app_id)
    error = await stage.refused(of=wrong)
    assert error.obstacle is Obstacle.APPLICATION_NOT_FOUND
    assert "not the application id" in error.message
    with pytest.raises(EntraError) as told:
        await stage.graph.job(wrong, stage.identity, stage.job_id)
    assert told.value.obstacle is Obstacle.APPLICATION_NOT_FOUND


async def test_a_job_that_is_not_there_is_told(stage: Stage) -> None:
    with pytest.raises(EntraError) as told:
        await stage.graph.job(stage.application, stage.identity, "scim.absent")
    assert told.value.obstacle is Obstacle.JOB_NOT_FOUND
    assert "correct spec.entra.jobID" in told.value.message


async def test_an_application_without_a_job_has_an_empty_list(stage: Stage) -> None:
    stage.enterprise.remove_job(stage.enterprise.jobs[0])
    assert await stage.graph.jobs(stage.application, stage.identity) == []
