"""The last mile on real parts: Entra, played, gets each credential by itself, proves it, and its job goes on."""

from collections.abc import Iterator

import pytest

from entra_standin.directory import six_people
from entra_standin.graph import LOGIN, Fault, MicrosoftCloud
from support.hand_over import NAME, Handing, is_told, microsoft, rotate, wait_handed_over
from support.stack import Stack, until


@pytest.fixture(scope="module")
def cloud(stack: Stack) -> Iterator[MicrosoftCloud]:
    with microsoft(stack) as cloud:
        yield cloud


@pytest.fixture
def handing(stack: Stack, cloud: MicrosoftCloud, namespace: str) -> Iterator[Handing]:
    made = Handing(stack, cloud, namespace, people=six_people())
    made.grant()
    yield made
    cloud.faults.clear()


def test_entra_gets_each_token_by_itself_and_its_job_runs_with_it(
    stack: Stack, handing: Handing, namespace: str
) -> None:
    stack.apply(namespace, NAME, entra=handing.spec())
    first = wait_handed_over(stack, namespace)
    assert handing.held["BaseAddress"] == first["endpoint"]
    assert handing.held["SecretToken"] == first["token"]
    job = handing.application.jobs[0]
    job.start()
    assert job.run_cycle() is not None
    assert job.quarantine is None
    second = rotate(stack, namespace, "1")
    assert handing.held["SecretToken"] == second["token"] != first["token"]
    assert job.run_cycle() is not None
    assert job.quarantine is None
    assert is_told(stack, namespace, "Provisioning", "Active")["status"] == "True"


def test_a_leaked_token_is_revoked_only_after_entra_has_another(
    stack: Stack, handing: Handing, namespace: str
) -> None:
    stack.apply(namespace, NAME, entra=handing.spec())
    leaked = wait_handed_over(stack, namespace)["token"]
    now = stack.object(namespace, NAME)["status"]["entra"]["handedOver"]["inUseAt"]
    stack.kubectl("annotate", "sct", NAME, "-n", namespace, f"scim-operator.io/revoke=all-before/{now}")
    until(
        "the leaked one is refused",
        lambda: stack.ask(leaked) == 401,
        45,
        lambda: stack.story(namespace, NAME),
    )
    assert handing.held["SecretToken"] != leaked
    assert stack.ask(handing.held["SecretToken"]) == 200


def test_while_graph_does_not_take_it_both_stay_accepted_and_a_revocation_waits(
    stack: Stack, cloud: MicrosoftCloud, handing: Handing, namespace: str
) -> None:
    stack.apply(namespace, NAME, entra=handing.spec(), overlap="untilInUse")
    old = wait_handed_over(stack, namespace)["token"]
    outage = cloud.faults.inject(Fault.UNAVAILABLE, times=None)
    stack.kubectl(
        "annotate",
        "sct",
        NAME,
        "-n",
        namespace,
        "scim-operator.io/rotate=1",
        "scim-operator.io/revoke=all-superseded",
    )
    is_told(stack, namespace, "HandedOver", "GraphUnreachable")
    new = stack.secret(namespace, f"{NAME}-scim-token")["token"]
    assert new != old
    assert [stack.ask(old), stack.ask(new)] == [200, 200]
    assert "waits until Entra uses" in stack.condition(namespace, NAME)["message"]
    outage.stop()
    until("the old one is refused", lambda: stack.ask(old) == 401, 60, lambda: stack.story(namespace, NAME))
    assert handing.held["SecretToken"] == new


def test_client_credentials_are_handed_over_as_the_portal_writes_them(
    stack: Stack, handing: Handing, namespace: str
) -> None:
    stack.apply(namespace, NAME, entra=handing.spec(), auth={"type": "OAuthClientCredentials"})
    secret = wait_handed_over(stack, namespace)
    assert secret["client-secret"] in handing.held.values()
    assert secret["token-endpoint"] in handing.held.values()
    job = handing.application.jobs[0]
    job.start()
    assert job.run_cycle() is not None
    assert job.quarantine is None


def test_a_quarantine_ends_by_itself_once_its_cause_is_gone(
    stack: Stack, handing: Handing, namespace: str
) -> None:
    stack.apply(namespace, NAME, entra=handing.spec())
    wait_handed_over(stack, namespace)
    job = handing.application.jobs[0]
    job.start()
    assert stack.api is not None
    stack.api.stop()
    try:
        until("an outage has led to quarantine", lambda: job.run_cycle() and job.quarantine)
    finally:
        stack.start_api()
    until("the quarantine is over", lambda: job.quarantine is None, 45, lambda: stack.story(namespace, NAME))
    assert job.run_cycle() is not None
    assert job.quarantine is None


MISTAKES: dict[str, tuple[str, str]] = {
    "application id instead of object id": ("ApplicationNotFound", "object id"),
    "no job": ("JobNotFound", "set mode Automatic"),
    "two jobs": ("SeveralJobs", "spec.entra.jobID"),
    "wrong tenant": ("EntraSignInRefused", "tenant"),
    "missing role": ("PermissionMissing", "Synchronization.ReadWrite.All"),
    "federated credential for another namespace": ("EntraSignInRefused", "federated credential"),
    "no Role for the ServiceAccount": ("IdentityNotReadable", "serviceaccounts/token"),
    "no ServiceAccount": ("IdentityNotReadable", "ServiceAccount"),
    "no consent": ("ConsentMissing", "/adminconsent?client_id="),
    "login is down": ("GraphUnreachable", ""),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_of_a_newcomer_reads_as_a_remedy(
    stack: Stack, cloud: MicrosoftCloud, namespace: str, mistake: str
) -> None:
    reason, told = MISTAKES[mistake]
    handing = Handing(stack, cloud, namespace, jobs={"no job": 0, "two jobs": 2}.get(mistake, 1))
    if mistake != "no Role for the ServiceAccount":
        handing.grant()
    spec = handing.spec()
    match mistake:
        case "application id instead of object id":
            spec["servicePrincipalID"] = handing.application.app_id
        case "wrong tenant":
            spec["tenantID"] = "11111111-2222-3333-4444-555555555555"
        case "missing role":
            handing.caller.consent(handing.tenant.id, ())
        case "no consent":
            spec["tenantID"] = cloud.add_tenant().id
        case "federated credential for another namespace":
            handing.caller.federated.clear()
        case "no ServiceAccount":
            stack.kubectl("delete", "serviceaccount", "entra-hand-over", "-n", namespace)
        case "login is down":
            cloud.faults.inject(Fault.UNAVAILABLE, times=None, path=LOGIN)
    try:
        stack.apply(namespace, NAME, entra=spec)
        condition = is_told(stack, namespace, "HandedOver", reason)
    finally:
        cloud.faults.clear()
    assert told in condition["message"]
    assert stack.condition(namespace, NAME)["status"] == "True"


def test_two_scimtokens_never_take_turns_at_one_application(
    stack: Stack, handing: Handing, namespace: str
) -> None:
    stack.apply(namespace, NAME, entra=handing.spec())
    token = wait_handed_over(stack, namespace)["token"]
    stack.apply(namespace, "second", entra=handing.spec())

    def refused() -> bool:
        return stack.condition(namespace, "second", "HandedOver").get("reason") == "ApplicationTaken"

    until("the second one is told", refused, 45, lambda: stack.story(namespace, "second"))
    assert handing.held["SecretToken"] == token
    stack.kubectl("delete", "sct", NAME, "-n", namespace)
    second = until("its Secret", lambda: stack.secret(namespace, "second-scim-token"))
    until(
        "the second one takes its place",
        lambda: handing.held["SecretToken"] == second["token"],
        45,
        lambda: stack.story(namespace, "second"),
    )


def test_plaintext_is_in_no_log_event_or_status(stack: Stack, handing: Handing, namespace: str) -> None:
    stack.apply(namespace, NAME, entra=handing.spec())
    token = wait_handed_over(stack, namespace)["token"]
    written = stack.kubectl("get", "events,sct", "-n", namespace, "-o", "yaml")
    written += "".join(operator.log_text() for operator in stack.operators)
    assert token not in written
