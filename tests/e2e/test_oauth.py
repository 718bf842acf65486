"""Entra signs in with OAuth 2.0 client credentials, or with a workload identity: on a real API server, with a real API."""

import dataclasses
import json
import threading
import uuid
from collections import Counter
from collections.abc import Iterator
from typing import Any, Self

import httpx
import pytest

from entra_standin.assertions import Assertions, Variant, WorkloadIdentity
from entra_standin.key_server import KeyServer
from entra_standin.signing_keys import SigningKeys
from scim_api.contract.oauth import ASSERTION_TYPE
from support.stack import Stack, until

NAME = "entra"
SECRET = f"{NAME}-scim-token"
OAUTH = {"type": "OAuthClientCredentials", "oauthClientCredentials": {"accessTokenLifetime": "1h"}}


@dataclasses.dataclass
class Issuer:
    """Entra, as it signs assertions for one workload identity."""

    identity: WorkloadIdentity
    keys: SigningKeys
    server: KeyServer

    def assertion(self, variant: Variant = Variant.OBSERVED, **changes: Any) -> str:
        return Assertions(self.identity, self.keys, variant, **changes)()


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    tenant, keys = str(uuid.uuid4()), SigningKeys()
    with KeyServer(keys, tenant) as server:
        identity = WorkloadIdentity(tenant, str(uuid.uuid4()), str(uuid.uuid4()), login_url=server.origin)
        yield Issuer(identity, keys, server)


@pytest.fixture(scope="module")
def trusting(stack: Stack, issuer: Issuer) -> Iterator[Stack]:
    """The installation, whose API takes the keys of our issuer."""
    assert stack.api is not None
    stack.api_settings = {"SCIM_API_KEYS_HOSTS": issuer.server.origin}
    stack.api.stop()
    stack.start_api()
    yield stack
    stack.api_settings = {}
    stack.api.stop()
    stack.start_api()


def assert_itself(secret: dict[str, str], assertion: str) -> httpx.Response:
    """Ask the token endpoint with an assertion."""
    form = {
        "grant_type": "client_credentials",
        "client_id": secret["client-id"],
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": assertion,
    }
    with httpx.Client(trust_env=False, timeout=10) as client:
        return client.post(secret["token-endpoint"], data=form)


def access_token(answer: httpx.Response) -> str:
    assert answer.status_code == 200, answer.text
    return str(answer.json()["access_token"])


def rotate(stack: Stack, namespace: str, value: str, before: str) -> dict[str, str]:
    stack.kubectl("annotate", "sct", NAME, "-n", namespace, f"scim-operator.io/rotate={value}", "--overwrite")
    until(
        "another client secret is published",
        lambda: stack.secret(namespace, SECRET).get("client-secret", before) != before,
        shown=lambda: stack.story(namespace, NAME),
    )
    return stack.wait_ready(namespace, NAME)


class Traffic(threading.Thread):
    """Asks without a pause, with whatever signs in; counts what was answered."""

    def __init__(self, stack: Stack, token: Any) -> None:
        super().__init__(daemon=True)
        self._stack, self._token, self._ended = stack, token, threading.Event()
        self.answers: Counter[int] = Counter()

    def run(self) -> None:
        while not self._ended.is_set():
            self.answers[self._stack.ask(self._token())] += 1

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self.join()


def test_a_client_secret_signs_in_is_rotated_and_revoked(trusting: Stack, namespace: str) -> None:
    trusting.apply(namespace, NAME, auth=OAUTH)
    first = trusting.wait_ready(namespace, NAME)
    assert set(first) == {
        "endpoint", "token-endpoint", "client-id", "client-secret", "client-secret-id", "expires-at",
    }  # fmt: skip
    old = access_token(trusting.sign_in(first))
    assert trusting.ask(old) == 200
    assert trusting.ask(first["client-secret"]) == 401

    second = rotate(trusting, namespace, "once", first["client-secret"])
    assert second["client-id"] == first["client-id"]
    assert trusting.sign_in(first).status_code == 200, "overlap: the superseded one goes on"
    new = access_token(trusting.sign_in(second))
    assert [trusting.ask(token) for token in (old, new)] == [200, 200]

    trusting.kubectl("annotate", "sct", NAME, "-n", namespace, "scim-operator.io/revoke=all-superseded")
    until("the superseded secret is refused", lambda: trusting.sign_in(first).status_code == 401, 15)
    assert trusting.ask(old) == 401, "and so is what it had been given"
    assert trusting.ask(new) == 200
    assert trusting.sign_in(second).status_code == 200


def test_the_client_id_outlives_its_secret(trusting: Stack, namespace: str) -> None:
    trusting.apply(namespace, NAME, auth=OAUTH)
    first = trusting.wait_ready(namespace, NAME)
    trusting.kubectl("delete", "secret", SECRET, "-n", namespace)
    until("there is another Secret", lambda: "client-secret" in trusting.secret(namespace, SECRET))
    second = trusting.wait_ready(namespace, NAME)
    assert second["client-id"] == first["client-id"]
    assert second["client-secret"] != first["client-secret"]
    assert trusting.sign_in(second).status_code == 200


def test_a_change_from_a_secret_token_to_oauth_and_back_rejects_nothing(
    trusting: Stack, namespace: str
) -> None:
    trusting.apply(namespace, NAME, rateLimit={"requestsPerSecond": 1000, "burst": 2000})
    bearer = trusting.wait_ready(namespace, NAME)["token"]
    with Traffic(trusting, lambda: bearer) as traffic:
        until("it is used", lambda: traffic.answers[200] > 20)
        trusting.apply(namespace, NAME, auth=OAUTH, rateLimit={"requestsPerSecond": 1000, "burst": 2000})
        until(
            "there is a client secret",
            lambda: "client-secret" in trusting.secret(namespace, SECRET),
            shown=lambda: trusting.story(namespace, NAME),
        )
        client = trusting.wait_ready(namespace, NAME)
        assert "token" not in client
        granted = access_token(trusting.sign_in(client))
        with Traffic(trusting, lambda: granted) as modern:
            until("it is used", lambda: modern.answers[200] > 20)
            kinds = {item["kind"] for item in trusting.object(namespace, NAME)["status"]["tokens"]}
            assert kinds == {"BearerToken", "ClientSecret"}
            trusting.apply(
                namespace,
                NAME,
                rateLimit={"requestsPerSecond": 1000, "burst": 2000},
                auth={"type": "BearerToken"},
            )
            until(
                "there is a token again",
                lambda: "token" in trusting.secret(namespace, SECRET),
                shown=lambda: trusting.story(namespace, NAME),
            )
            back = trusting.wait_ready(namespace, NAME)
            assert set(back) == {"endpoint", "token", "token-id", "expires-at"}
            assert trusting.ask(back["token"]) == 200
            before = modern.answers[200]
            until("it is used on", lambda: modern.answers[200] > before + 20)
        assert trusting.sign_in(client).status_code == 200, "the superseded secret goes on to its own end"
    assert set(traffic.answers) == set(modern.answers) == {200}


def trust(issuer: Issuer, **changes: Any) -> dict[str, Any]:
    workload = {
        "tenantID": issuer.identity.tenant_id,
        "subjects": [issuer.identity.object_id],
        "audiences": sorted({issuer.identity.audience(variant) for variant in Variant}),
        "issuers": sorted({issuer.identity.issuer(variant) for variant in Variant}),
        "keysURL": issuer.server.url,
        **changes,
    }
    return {"type": "WorkloadIdentity", "workloadIdentity": workload}


def test_a_workload_identity_signs_in_and_there_is_no_secret_anywhere(
    trusting: Stack, namespace: str, issuer: Issuer
) -> None:
    trusting.apply(namespace, NAME, auth=trust(issuer))
    secret = trusting.wait_ready(namespace, NAME)
    assert set(secret) == {"endpoint", "token-endpoint", "client-id"}
    for variant in Variant:
        granted = access_token(assert_itself(secret, issuer.assertion(variant)))
        assert trusting.ask(granted) == 200, variant

    issuer.keys.rotate()
    assert trusting.ask(access_token(assert_itself(secret, issuer.assertion()))) == 200, (
        "keys rotate without notice"
    )

    # A subject that is no longer trusted is out at once, with all that it was given.
    trusting.apply(namespace, NAME, auth=trust(issuer, subjects=["somebody-else"]))
    until(
        "the access token is refused",
        lambda: trusting.ask(granted) == 401,
        15,
        lambda: trusting.story(namespace, NAME),
    )
    assert assert_itself(secret, issuer.assertion()).status_code == 401


def test_a_wrong_audience_is_told_with_what_to_add(trusting: Stack, namespace: str, issuer: Issuer) -> None:
    trusting.apply(namespace, NAME, auth=trust(issuer, audiences=["api://another"]))
    secret = trusting.wait_ready(namespace, NAME)
    sent = issuer.identity.audience(Variant.GUIDE)
    answer = assert_itself(secret, issuer.assertion(Variant.GUIDE))
    assert answer.status_code == 401
    assert answer.json()["error"] == "invalid_client"
    described = until(
        "the ScimToken tells it",
        lambda: sent in (text := trusting.kubectl("describe", "sct", NAME, "-n", namespace)) and text,
        30,
        lambda: trusting.story(namespace, NAME),
    )
    assert "aud" in described

    trusting.apply(namespace, NAME, auth=trust(issuer, audiences=["api://another", sent]))
    until(
        "it is accepted",
        lambda: assert_itself(secret, issuer.assertion(Variant.GUIDE)).status_code == 200,
        15,
    )


def test_changing_from_a_client_secret_to_a_workload_identity_leaves_the_secret_to_its_end(
    trusting: Stack, namespace: str, issuer: Issuer
) -> None:
    trusting.apply(namespace, NAME, auth=OAUTH)
    client = trusting.wait_ready(namespace, NAME)
    trusting.apply(namespace, NAME, auth=trust(issuer))
    until("the Secret has no secret", lambda: "client-secret" not in trusting.secret(namespace, SECRET))
    now = trusting.wait_ready(namespace, NAME)
    assert now["client-id"] == client["client-id"]
    assert trusting.ask(access_token(assert_itself(now, issuer.assertion()))) == 200
    assert trusting.sign_in(client).status_code == 200


def test_deleting_it_ends_every_way_in(trusting: Stack, namespace: str, issuer: Issuer) -> None:
    trusting.apply(namespace, NAME, auth=OAUTH)
    client = trusting.wait_ready(namespace, NAME)
    granted = access_token(trusting.sign_in(client))
    trusting.kubectl("delete", "sct", NAME, "-n", namespace, "--wait=true")
    until("it is refused", lambda: trusting.ask(granted) == 401, 20)
    assert trusting.sign_in(client).status_code == 401


def test_neither_secrets_nor_access_tokens_are_in_any_log_event_or_status(
    trusting: Stack, namespace: str
) -> None:
    trusting.apply(namespace, NAME, auth=OAUTH)
    client = trusting.wait_ready(namespace, NAME)
    granted = access_token(trusting.sign_in(client))
    assert trusting.ask(granted) == 200
    assert trusting.api is not None
    texts = [process.log_text() for process in (*trusting.operators, trusting.api)]
    texts.append(trusting.kubectl("get", "sct,events", "-n", namespace, "-o", "json"))
    texts.append(
        json.dumps(
            json.loads(trusting.kubectl("get", "secret", SECRET, "-n", namespace, "-o", "json"))["metadata"]
        )
    )
    assert not [text for text in texts if client["client-secret"] in text or granted in text]
