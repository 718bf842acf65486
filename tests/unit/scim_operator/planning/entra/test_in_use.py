"""Whether Entra is known to use what the Secret publishes."""

import dataclasses
from typing import Any

import pytest

from scim_operator.api.scimtoken import ScimToken
from scim_operator.planning.actions import ObservedSecret
from scim_operator.planning.entra.in_use import entra_uses_published
from scim_operator.planning.token_ledger import TokenLedger
from support.entra_world import APPLICATION_ID, ENTRA
from support.operator_world import ENDPOINT

SECRET = ObservedSecret(True, False, "0" * 64, None, TokenLedger(), {"token-id": "new"}, drifted=False)
GIVEN = {
    "credentialID": "new",
    "servicePrincipalID": APPLICATION_ID,
    "endpoint": ENDPOINT,
    "at": "2026-01-01T00:00:00Z",
    "inUseAt": "2026-01-01T00:00:05Z",
}


def token(spec: dict[str, Any] | None, given: dict[str, Any] | None) -> ScimToken:
    return ScimToken.from_object(
        {
            "metadata": {"name": "entra", "namespace": "team"},
            "spec": {} if spec is None else {"entra": spec},
            "status": {} if given is None else {"entra": {"handedOver": given}},
        }
    )


def test_it_does_when_it_came_with_it_after_it_had_saved_it() -> None:
    assert entra_uses_published(token(ENTRA, GIVEN), SECRET) is True


@pytest.mark.parametrize(
    "given",
    [
        None,
        GIVEN | {"credentialID": "old"},
        GIVEN | {"servicePrincipalID": "11111111-2222-3333-4444-555555555555"},
        {name: value for name, value in GIVEN.items() if name != "inUseAt"},
    ],
)
def test_nothing_less_will_do(given: dict[str, Any] | None) -> None:
    assert entra_uses_published(token(ENTRA, given), SECRET) is False


@pytest.mark.parametrize("mode", ["ValidateOnly", "Off"])
def test_nobody_can_tell_where_a_person_hands_over(mode: str) -> None:
    assert entra_uses_published(token(ENTRA | {"handOver": mode}, GIVEN), SECRET) is None
    assert entra_uses_published(token(None, GIVEN), SECRET) is None
    assert entra_uses_published(None, SECRET) is None
    identity = dataclasses.replace(SECRET, kind="WorkloadIdentity")
    assert entra_uses_published(token(ENTRA, GIVEN), identity) is None
