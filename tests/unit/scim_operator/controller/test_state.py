"""What the planner may see of a Secret: digests in the place of plaintext, and drift."""

import dataclasses
import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from scim_api.contract.admin import Connection, WorkloadIdentityTrust
from scim_operator.api.scimtoken import TOKENS_ANNOTATION, ScimToken
from scim_operator.controller.state import State, is_ours, observed_secret
from scim_operator.planning.actions import Refuse
from scim_operator.planning.ports import ScimApiRejected, SecretSnapshot
from scim_operator.planning.token_ledger import LedgerEntry, TokenLedger
from support.operator_world import SIGNER

PLAINTEXT = "sct_" + "a" * 49
TOKEN = ScimToken.from_object(
    {
        "metadata": {"name": "entra", "namespace": "team", "uid": "u"},
        "spec": {"secret": {"labels": {"team": "identity"}, "annotations": {"mirror": "yes"}}},
    }
)


def snapshot(**changes: Any) -> SecretSnapshot:
    whole: dict[str, Any] = {
        "name": "entra-scim-token",
        "resource_version": "7",
        "owned": True,
        "data": {
            "token": PLAINTEXT,
            "endpoint": "https://scim.test",
            "token-id": "id1",
            "expires-at": "then",
        },
        "labels": TOKEN.secret_labels(),
        "annotations": {"mirror": "yes", TOKENS_ANNOTATION: "{}"},
        "managed_labels": frozenset(TOKEN.secret_labels()),
        "managed_annotations": frozenset({"mirror", TOKENS_ANNOTATION}),
    }
    return SecretSnapshot(**(whole | changes))


def test_plaintext_becomes_its_digest_and_appears_nowhere() -> None:
    seen = observed_secret(TOKEN, snapshot(data={"token": PLAINTEXT, "next-token": PLAINTEXT[::-1]}), SIGNER)
    assert seen is not None
    assert seen.token == hashlib.sha256(PLAINTEXT.encode()).hexdigest()
    assert seen.next_token == hashlib.sha256(PLAINTEXT[::-1].encode()).hexdigest()
    assert PLAINTEXT not in repr(seen)
    assert PLAINTEXT not in repr(snapshot())


def test_a_client_secret_becomes_its_digest_too() -> None:
    secret = "scs_" + "a" * 49
    data = {"client-secret": secret, "next-client-secret": secret[::-1], "client-id": "c"}
    seen = observed_secret(TOKEN, snapshot(data=data), SIGNER)
    assert seen is not None
    assert (seen.kind, seen.next_kind) == ("ClientSecret", "ClientSecret")
    assert seen.token == hashlib.sha256(secret.encode()).hexdigest()
    assert seen.next_token == hashlib.sha256(secret[::-1].encode()).hexdigest()
    assert secret not in repr(seen)
    assert dict(seen.public) == {"client-id": "c"}


def test_a_secret_without_plaintext_stands_for_the_newest_trust_of_a_ledger_that_is_ours() -> None:
    trust = WorkloadIdentityTrust(
        tenant_id="3f2504e0-4f89-11d3-9a0c-0305e82c3301",
        subjects=("s",),
        audiences=("a",),
        issuers=("i",),
        keys_url="https://keys.test",
    )
    at, day = datetime(2026, 1, 1, tzinfo=UTC), timedelta(days=1)
    old = LedgerEntry("id1", "1a" * 32, at, at + 9 * day, kind="WorkloadIdentity", trust=trust)
    new = dataclasses.replace(old, id="id2", digest="2a" * 32, issued_at=at + day)
    gone = dataclasses.replace(
        new, id="id3", digest="4a" * 32, issued_at=at + 2 * day, superseded_at=at + 3 * day
    )
    data = {"client-id": "c", "endpoint": "https://scim.test"}
    signed = SIGNER.to_text(TOKEN.key, TokenLedger((gone, new, old)))
    seen = observed_secret(TOKEN, snapshot(data=data, annotations={TOKENS_ANNOTATION: signed}), SIGNER)
    assert seen is not None
    assert (seen.kind, seen.token, seen.published_id) == ("WorkloadIdentity", new.digest, "id2")
    forged = signed.replace("2a" * 32, "3a" * 32)
    seen = observed_secret(TOKEN, snapshot(data=data, annotations={TOKENS_ANNOTATION: forged}), SIGNER)
    assert seen is not None
    assert (seen.token, seen.published_id) == (None, None)


def test_public_parts_are_those_that_stand_there() -> None:
    seen = observed_secret(TOKEN, snapshot(data={"endpoint": "https://scim.test", "other": "x"}), SIGNER)
    assert seen is not None
    assert (seen.token, seen.next_token, dict(seen.public)) == (None, None, {"endpoint": "https://scim.test"})


@pytest.mark.parametrize(
    ("changes", "drifted"),
    [
        ({}, False),
        ({"labels": {**TOKEN.secret_labels(), "of": "somebody else"}}, False),
        ({"labels": {}}, True),
        ({"labels": {**TOKEN.secret_labels(), "team": "other"}}, True),
        ({"annotations": {"mirror": "no"}}, True),
        ({"annotations": {}}, True),
        ({"labels": {**TOKEN.secret_labels(), "former": "x"}, "managed_labels": frozenset({"former"})}, True),
        (
            {"annotations": {"mirror": "yes", "former": "x"}, "managed_annotations": frozenset({"former"})},
            True,
        ),
        ({"managed_labels": frozenset(), "managed_annotations": frozenset()}, False),
    ],
)
def test_drift_is_a_label_or_annotation_of_ours_that_is_missing_or_other_or_no_longer_wanted(
    changes: dict[str, Any], drifted: bool
) -> None:
    seen = observed_secret(TOKEN, snapshot(**changes), SIGNER)
    assert seen is not None
    assert seen.drifted is drifted


def test_without_a_scimtoken_or_a_secret_there_is_nothing_to_see() -> None:
    assert observed_secret(None, snapshot(), SIGNER) is None
    assert observed_secret(TOKEN, None, SIGNER) is None


def test_the_planner_sees_orphaned_secrets_by_name_and_that_settings_were_rejected() -> None:
    connection = Connection(
        namespace="team", name="entra", exists=False, revision="0", now=datetime(2026, 1, 1, tzinfo=UTC)
    )
    state = State(SIGNER, connection, TOKEN, None, [snapshot(name="former")])
    former = observed_secret(TOKEN, snapshot(name="former"), SIGNER)
    assert state.observed().orphaned_secrets == {"former": former}
    assert not state.observed().settings_refused
    state.rejected_settings = ScimApiRejected("SettingsConflict", "differs")
    assert state.observed().settings_refused


def test_while_the_wanted_secret_is_refused_the_one_of_the_former_name_takes_its_place() -> None:
    connection = Connection(
        namespace="team", name="entra", exists=False, revision="0", now=datetime(2026, 1, 1, tzinfo=UTC)
    )
    refusal = Refuse("SecretNotOwned", "not ours")
    wanted, former = snapshot(owned=False, controller="Deployment x"), snapshot(name="former")
    state = State(SIGNER, connection, TOKEN, wanted, [snapshot(name="restored", owned=False), former])
    assert state.fall_back(refusal)
    assert state.token is not None
    assert (state.token.secret_name, state.secret) == ("former", former)
    assert state.refused_name is not None
    assert "former" in state.refused_name.message
    assert not State(SIGNER, connection, TOKEN, wanted, []).fall_back(refusal)
    assert not State(SIGNER, connection, TOKEN, wanted, [snapshot(name="former", deleting=True)]).fall_back(
        refusal
    )


def test_a_secret_under_another_name_is_ours_when_it_is_owned_or_proven() -> None:
    connection = Connection(
        namespace="team", name="entra", exists=False, revision="0", now=datetime(2026, 1, 1, tzinfo=UTC)
    )
    entry = {
        "id": "id1", "digest": hashlib.sha256(PLAINTEXT.encode()).hexdigest(),
        "issuedAt": "2026-01-01T00:00:00Z", "expiresAt": "2026-02-01T00:00:00Z",
    }  # fmt: skip
    ledger = TokenLedger.from_text(json.dumps({"tokens": [entry]}))
    listed = {TOKENS_ANNOTATION: SIGNER.to_text(TOKEN.key, ledger)}
    assert is_ours(TOKEN, snapshot(), connection, SIGNER)
    assert is_ours(TOKEN, snapshot(owned=False, annotations=listed), connection, SIGNER)
    assert not is_ours(TOKEN, snapshot(owned=False), connection, SIGNER)
