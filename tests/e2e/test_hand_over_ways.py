"""The ways in which the operator signs in to Entra, and those by which it gets there."""

import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from entra_standin.graph import MicrosoftCloud
from localcluster.ports import free_port
from support.hand_over import NAME, Handing, Reached, is_told, microsoft, rotate, wait_handed_over
from support.microsoft import certificate_pem, key_pem, rsa_key
from support.stack import Stack
from support.tunnel_proxy import TunnelProxy, tunnel_proxy

LOGIN, GRAPH = "login.example.test", "graph.example.test"


@pytest.fixture(scope="module")
def cloud(stack: Stack) -> Iterator[MicrosoftCloud]:
    with microsoft(stack) as cloud:
        yield cloud


def test_a_client_secret_is_read_from_its_secret_and_its_end_is_told(
    stack: Stack, cloud: MicrosoftCloud, namespace: str
) -> None:
    handing = Handing(stack, cloud, namespace)
    handing.store("graph", value=handing.caller.add_secret())
    reference = {"name": "graph", "key": "value"}
    stack.apply(namespace, NAME, entra=handing.sign_in(clientSecretRef=reference))
    assert wait_handed_over(stack, namespace)["token"] == handing.held["SecretToken"]
    handing.caller.expire_secrets(time.time() - 1)
    cloud.forget_tokens()
    stack.kubectl("annotate", "sct", NAME, "-n", namespace, "scim-operator.io/rotate=1")
    told = is_told(stack, namespace, "HandedOver", "EntraSignInRefused")
    assert "has expired" in told["message"]
    handing.store("graph", value=handing.caller.add_secret())
    assert wait_handed_over(stack, namespace)["token"] == handing.held["SecretToken"]


def test_a_certificate_that_was_renewed_is_used_at_once(
    stack: Stack, cloud: MicrosoftCloud, namespace: str
) -> None:
    handing = Handing(stack, cloud, namespace)
    first = handing.caller.add_certificate(certificate_pem(days=365, bits=2048))
    pair = {"tls_crt": certificate_pem(days=365, bits=2048), "tls_key": key_pem(rsa_key(2048))}
    handing.store("graph-tls", "kubernetes.io/tls", **pair)
    stack.apply(namespace, NAME, entra=handing.sign_in(certificateRef={"name": "graph-tls"}))
    assert wait_handed_over(stack, namespace)["token"] == handing.held["SecretToken"]
    handing.caller.add_certificate(certificate_pem(days=365, bits=3072))
    handing.caller.remove_certificate(first)
    pair = {"tls_crt": certificate_pem(days=365, bits=3072), "tls_key": key_pem(rsa_key(3072))}
    handing.store("graph-tls", "kubernetes.io/tls", **pair)
    cloud.forget_tokens()
    assert rotate(stack, namespace, "1")["token"] == handing.held["SecretToken"]


def test_clocks_that_differ_are_told(stack: Stack, namespace: str) -> None:
    def an_hour_ahead() -> float:
        return time.time() + 3600

    with microsoft(stack, clock=an_hour_ahead) as cloud:
        handing = Handing(stack, cloud, namespace)
        handing.grant()
        stack.apply(namespace, NAME, entra=handing.spec())
        told = is_told(stack, namespace, "HandedOver", "EntraSignInRefused")
    assert "clock" in told["message"]


def by_proxy(proxy: TunnelProxy, **settings: str) -> Reached:
    """Both hosts behind a company's proxy."""

    def reached(_cloud: MicrosoftCloud) -> Mapping[str, str]:
        return {
            "SCIM_OPERATOR_ENTRA_LOGIN_URL": f"https://{LOGIN}/login",
            "SCIM_OPERATOR_ENTRA_GRAPH_URL": f"https://{GRAPH}/graph",
            "HTTPS_PROXY": proxy.url,
            **settings,
        }

    return reached


def test_it_gets_there_by_a_proxy_and_trusts_a_private_authority(
    stack: Stack, namespace: str, tmp_path: Path
) -> None:
    port = free_port()
    with tunnel_proxy(("127.0.0.1", port), (LOGIN, GRAPH), tmp_path) as proxy:
        trust = {"SSL_CERT_FILE": str(proxy.authority)}
        with microsoft(stack, by_proxy(proxy, **trust), port=port) as cloud:
            handing = Handing(stack, cloud, namespace)
            handing.grant()
            stack.apply(namespace, NAME, entra=handing.spec())
            assert wait_handed_over(stack, namespace)["token"] == handing.held["SecretToken"]
    assert set(proxy.asked) == {f"{LOGIN}:443", f"{GRAPH}:443"}


def test_an_authority_that_is_not_trusted_is_told(stack: Stack, namespace: str, tmp_path: Path) -> None:
    port = free_port()
    with (
        tunnel_proxy(("127.0.0.1", port), (LOGIN, GRAPH), tmp_path) as proxy,
        microsoft(stack, by_proxy(proxy), port=port) as cloud,
    ):
        handing = Handing(stack, cloud, namespace)
        handing.grant()
        stack.apply(namespace, NAME, entra=handing.spec())
        told = is_told(stack, namespace, "HandedOver", "GraphUnreachable")
    assert "certificate" in told["message"].lower()
