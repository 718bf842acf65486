"""Operator and API over TLS, as the chart has it: issued, used, renewed, with tokens rotating all the while."""

import base64
import functools
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from localcluster import ControlPlane, Tools
from support.stack import OPERATOR_NAMESPACE, Stack, running, until

TLS_SECRET = "scim-operator-api-tls"
NAME = "entra"
QUICK = {
    "SCIM_OPERATOR_RESYNC_SECONDS": "2",
    "SCIM_OPERATOR_LEASE_DURATION_SECONDS": "3",
    "SCIM_OPERATOR_LEASE_RENEW_DEADLINE_SECONDS": "2",
    "SCIM_OPERATOR_LEASE_RENEW_PERIOD_SECONDS": "0.5",
    "SCIM_OPERATOR_LEASE_RETRY_PERIOD_SECONDS": "0.2",
}


class SecretMirror(threading.Thread):
    """Keeps a directory like the Secret, as kubelet does for a pod that mounts it."""

    def __init__(self, plane: ControlPlane, directory: Path) -> None:
        super().__init__(daemon=True)
        self._plane, self._directory = plane, directory
        self.ended, self.filled = threading.Event(), threading.Event()

    def run(self) -> None:
        while not self.ended.wait(0.2):
            done = self._plane.kubectl(
                "get", "secret", TLS_SECRET, "-n", OPERATOR_NAMESPACE, "-o", "json", check=False
            )
            if done.returncode == 0:
                for name, value in json.loads(done.stdout)["data"].items():
                    fresh = self._directory / f".{name}"
                    fresh.write_bytes(base64.b64decode(value))
                    fresh.replace(self._directory / name)
                self.filled.set()


@pytest.fixture(scope="module")
def secured(tools: Tools, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """An installation whose operator knows the API by TLS alone."""
    directory = tmp_path_factory.mktemp("tls")
    with ControlPlane.start(tools) as plane:
        stack = Stack(plane, tmp_path_factory.mktemp("secured"), operator_settings=QUICK, tls_dir=directory)
        mirror = SecretMirror(plane, directory)
        mirror.start()
        try:
            with running(stack, before_the_api=lambda: mirror.filled.wait(60)):
                yield stack
        finally:
            mirror.ended.set()
            mirror.join()


def is_another(path: Path, before: bytes) -> bool:
    return path.read_bytes() not in (b"", before)


def has_another_token(stack: Stack, name: str, before: str) -> bool:
    return stack.secret("default", f"{name}-scim-token").get("token") != before


@pytest.fixture
def mounted(secured: Stack) -> Path:
    """The certificate as the API has it."""
    assert secured.tls_dir is not None
    return secured.tls_dir / "tls.crt"


def ledger(stack: Stack, name: str) -> str:
    found = json.loads(stack.kubectl("get", "secret", f"{name}-scim-token", "-o", "json"))
    return str(found["metadata"]["annotations"]["scim-operator.io/tokens"])


def test_tokens_are_issued_rotated_and_revoked_and_the_admin_api_is_nowhere_in_clear_text(
    secured: Stack,
) -> None:
    secured.apply("default", NAME)
    first = secured.wait_ready("default", NAME)["token"]
    secured.kubectl("annotate", "sct", NAME, "scim-operator.io/rotate=1")
    until("another token", lambda: secured.secret("default", f"{NAME}-scim-token").get("token") != first)
    second = secured.wait_ready("default", NAME)["token"]
    assert [secured.ask(token) for token in (first, second)] == [200, 200]
    secured.kubectl("annotate", "sct", NAME, "scim-operator.io/revoke=all-superseded")
    until("the first is refused", lambda: secured.ask(first) == 401, 15)
    assert httpx.get(f"{secured.internal_url}/admin/v1/connections", trust_env=False).status_code == 404
    assert secured.admin_url.startswith("https://")


def test_a_certificate_that_is_lost_or_edited_is_issued_anew_and_tokens_go_on(
    secured: Stack, mounted: Path
) -> None:
    secured.apply("default", "renewed")
    secured.wait_ready("default", "renewed")
    for spoil in (
        ("delete", "secret", TLS_SECRET, "-n", OPERATOR_NAMESPACE),
        (
            "patch",
            "secret",
            TLS_SECRET,
            "-n",
            OPERATOR_NAMESPACE,
            "--type=merge",
            "-p",
            '{"data":{"tls.crt":""}}',
        ),
    ):
        before = mounted.read_bytes()
        secured.kubectl(*spoil)
        until(
            "another certificate is mounted",
            functools.partial(is_another, mounted, before),
            30,
        )
        token = secured.secret("default", "renewed-scim-token")["token"]
        secured.kubectl("annotate", "sct", "renewed", f"scim-operator.io/rotate={spoil[0]}", "--overwrite")
        until(
            "another token is published",
            functools.partial(has_another_token, secured, "renewed", token),
            60,
            lambda: secured.story("default", "renewed"),
        )


def test_a_new_admin_key_brings_a_new_certificate(secured: Stack, mounted: Path) -> None:
    secured.apply("default", "rekeyed")
    secured.wait_ready("default", "rekeyed")
    before = mounted.read_bytes()
    key = json.loads(
        secured.kubectl("get", "secret", "scim-operator-admin-key", "-n", OPERATOR_NAMESPACE, "-o", "json")
    )
    # The runbook of a leaked key: the installation keeps its id, and with it the database.
    pem = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    data = {**key["data"], "private-key.pem": base64.b64encode(pem).decode()}
    secured.kubectl(
        "patch", "secret", "scim-operator-admin-key", "-n", OPERATOR_NAMESPACE, "--type=merge", "-p",
        json.dumps({"data": data}),
    )  # fmt: skip
    signed = ledger(secured, "rekeyed")
    secured.operators[-1].stop()
    secured.start_operator()
    until("another certificate is mounted", lambda: mounted.read_bytes() != before, 30)
    until(
        "the ledger is signed anew",
        lambda: ledger(secured, "rekeyed") != signed,
        90,
        lambda: secured.story("default", "rekeyed"),
    )
    token = secured.secret("default", "rekeyed-scim-token")["token"]
    secured.kubectl("annotate", "sct", "rekeyed", "scim-operator.io/rotate=1")
    until(
        "another token is published",
        lambda: secured.secret("default", "rekeyed-scim-token").get("token") != token,
        90,
        lambda: secured.story("default", "rekeyed"),
    )
