"""What stopped a reconcile becomes the condition of the stage that it stopped at."""

import pytest

from scim_operator.controller.failures import Refused, failure_of
from scim_operator.planning.actions import Refuse
from scim_operator.planning.conditions import Failure
from scim_operator.planning.ports import (
    KubernetesRejected,
    ScimApiRejected,
    ScimApiUnreachable,
    VerificationFailed,
)


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (ScimApiUnreachable("m"), Failure("Registered", "ScimApiUnreachable", "m", "Unknown")),
        (ScimApiRejected("DigestInUse", "m"), Failure("Registered", "DigestInUse", "m")),
        (VerificationFailed("m"), Failure("Published", "VerificationFailed", "m")),
        (KubernetesRejected("m"), Failure("Published", "KubernetesRejected", "m")),
        (Refused(Refuse("SecretNotOwned", "m")), Failure("Published", "SecretNotOwned", "m")),
        (Refused(Refuse("SecretDeleting", "m")), Failure("Published", "SecretDeleting", "m")),
        (Refused(Refuse("TooManyTokens", "m")), Failure("Published", "TooManyTokens", "m")),
        (Refused(Refuse("TenantPurging", "m")), Failure("Registered", "TenantPurging", "m")),
    ],
)
def test_each_failure_is_reported_at_its_stage_with_its_reason(error: Exception, failure: Failure) -> None:
    assert failure_of(error) == failure
