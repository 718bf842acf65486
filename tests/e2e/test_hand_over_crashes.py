"""The operator killed with SIGKILL between any two steps of a hand-over: what Entra holds is accepted all the time, and
another operator finishes the job.
"""

from collections.abc import Iterator

import pytest

from entra_standin.directory import six_people
from entra_standin.graph import Fault, MicrosoftCloud
from support.hand_over import NAME, SETTINGS, Handing, directly, microsoft, wait_handed_over
from support.stack import Stack, until

STEPS = [
    "entra-validate-new",
    "entra-save",
    "entra-get-connection:2",
    "entra-apply-status",
    "entra-validate-saved",
]
"""Those after which something is different outside; all are in test_entra_reconciler.py."""


@pytest.fixture(scope="module")
def cloud(stack: Stack) -> Iterator[MicrosoftCloud]:
    with microsoft(stack) as cloud:
        yield cloud


@pytest.mark.parametrize("step", STEPS)
def test_a_rotation_is_handed_over_whatever_step_the_operator_is_killed_at(
    stack: Stack, cloud: MicrosoftCloud, namespace: str, step: str
) -> None:
    handing = Handing(stack, cloud, namespace, people=six_people())
    handing.grant()
    stack.apply(namespace, NAME, entra=handing.spec(), overlap="untilInUse")
    first = wait_handed_over(stack, namespace)
    job = handing.application.jobs[0]
    job.start()
    stack.stop_operators()
    settings = {**SETTINGS, **directly(cloud)}
    crashing = stack.start_operator(crash_at=step, environment=settings, wait=False)
    stack.kubectl("annotate", "sct", NAME, "-n", namespace, "scim-operator.io/rotate=1")
    assert crashing.wait_end(60) == -9, crashing.log_text()
    assert stack.ask(handing.held["SecretToken"]) == 200
    assert job.run_cycle() is not None
    stack.start_operator(environment=settings)
    until(
        "another token",
        lambda: stack.secret(namespace, f"{NAME}-scim-token")["token"] != first["token"],
        shown=lambda: stack.story(namespace, NAME),
    )
    second = wait_handed_over(stack, namespace)
    assert handing.held["SecretToken"] == second["token"]
    assert job.run_cycle() is not None
    assert job.quarantine is None
    assert stack.ask(first["token"]) == 200  # it was used less than two hours ago


def test_a_save_whose_answer_is_lost_is_done_again(
    stack: Stack, cloud: MicrosoftCloud, namespace: str
) -> None:
    handing = Handing(stack, cloud, namespace)
    handing.grant()
    lost = cloud.faults.inject(Fault.CLOSED, method="PUT", path="synchronization/secrets", after_effect=True)
    stack.apply(namespace, NAME, entra=handing.spec())
    secret = wait_handed_over(stack, namespace)
    assert lost.hits == 1
    assert handing.held["SecretToken"] == secret["token"]
