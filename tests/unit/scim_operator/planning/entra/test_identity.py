"""As whom the operator signs in."""

import pytest

from scim_operator.api.entra import EntraSignInSpec
from scim_operator.planning.entra.identity import identity_of, secret_name
from scim_operator.planning.entra.ports import (
    CertificateIdentity,
    ClientSecretIdentity,
    EntraError,
    Obstacle,
    ServiceAccountIdentity,
)
from support.entra_world import CLIENT_ID
from support.operator_world import KEY

ACCOUNT = EntraSignInSpec(client_id=CLIENT_ID, service_account_ref={"name": "hand-over"})
SECRET = EntraSignInSpec(client_id=CLIENT_ID, client_secret_ref={"name": "graph", "key": "value"})
CERTIFICATE = EntraSignInSpec(client_id=CLIENT_ID, certificate_ref={"name": "graph-tls"})


def test_a_service_account_is_of_the_scimtokens_namespace_and_needs_no_secret() -> None:
    assert secret_name(ACCOUNT) is None
    assert identity_of(KEY, ACCOUNT, None) == ServiceAccountIdentity(CLIENT_ID, KEY.namespace, "hand-over")


def test_a_client_secret_is_taken_without_the_line_end_that_an_editor_leaves() -> None:
    assert secret_name(SECRET) == "graph"
    assert identity_of(KEY, SECRET, {"value": "s3cret\n"}) == ClientSecretIdentity(CLIENT_ID, "s3cret")


def test_a_certificate_is_read_as_kubernetes_keeps_it() -> None:
    data = {"tls.crt": "certificate", "tls.key": "key", "ca.crt": "ca"}
    assert secret_name(CERTIFICATE) == "graph-tls"
    assert identity_of(KEY, CERTIFICATE, data) == CertificateIdentity(CLIENT_ID, "certificate", "key")


@pytest.mark.parametrize(
    ("sign_in", "data", "told"),
    [
        (SECRET, None, "names Secret graph, and there is none in namespace team"),
        (SECRET, {}, "has no key value"),
        (SECRET, {"value": " \n"}, "or an empty one"),
        (CERTIFICATE, {"tls.crt": "certificate"}, "has no key tls.key"),
    ],
)
def test_what_is_missing_is_named(sign_in: EntraSignInSpec, data: dict[str, str] | None, told: str) -> None:
    with pytest.raises(EntraError, match=told) as raised:
        identity_of(KEY, sign_in, data)
    assert raised.value.obstacle is Obstacle.IDENTITY_NOT_READABLE


def test_nothing_secret_is_in_a_repr() -> None:
    assert "s3cret" not in repr(identity_of(KEY, SECRET, {"value": "s3cret"}))
    assert "s3cret" not in repr(identity_of(KEY, CERTIFICATE, {"tls.crt": "c", "tls.key": "s3cret"}))
