from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from scim_api.contract.admin import Connection, CredentialStatus
from scim_operator.api.scimtoken import ScimToken
from scim_operator.api.status import CredentialKind
from scim_operator.planning.kind_texts import NOUNS, client_of, published, remedy, still_used
from scim_operator.planning.secret_layout import KEYS

NOW = datetime(2026, 1, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)
TOKEN = ScimToken.from_object({"metadata": {"name": "entra", "namespace": "team"}, "spec": {}})

READER = ScimToken.from_object(
    {"metadata": {"name": "reader", "namespace": "team"}, "spec": {"access": "ReadOnly"}}
)


def credential(name: str, kind: str, used: datetime | None = None, **more: Any) -> CredentialStatus:
    return CredentialStatus.model_validate(
        {
            "id": name,
            "kind": kind,
            "digest": name[-1] * 64,
            "issued_at": NOW - HOUR,
            "expires_at": NOW + HOUR,
            "last_used_at": used,
            **more,
        }
    )


def used_still(*credentials: CredentialStatus) -> str | None:
    connection = Connection(
        namespace="team", name="entra", exists=True, revision="r", now=NOW, credentials=credentials
    )
    return still_used(TOKEN, connection, "id1")


@pytest.mark.parametrize("kind", NOUNS)
def test_people_are_told_the_keys_that_the_secret_has(kind: CredentialKind) -> None:
    keys = KEYS.get(kind)
    plaintext = keys.plaintext if keys is not None else "client-id"
    assert plaintext in published(TOKEN, kind)
    assert plaintext in remedy(TOKEN, kind)
    assert "Secret team/entra-scim-token" in remedy(TOKEN, kind)


@pytest.mark.parametrize("kind", NOUNS)
def test_what_is_said_of_one_that_only_reads_is_for_an_application_and_claims_nothing_of_entra(
    kind: CredentialKind,
) -> None:
    keys = KEYS.get(kind)
    plaintext = keys.plaintext if keys is not None else "client-id"
    for text in (published(READER, kind), remedy(READER, kind)):
        assert plaintext in text
        assert "Entra" not in text
    assert "Secret team/reader-scim-token" in remedy(READER, kind)
    assert (client_of(READER), client_of(TOKEN)) == ("the application", "Entra")


def test_nothing_is_claimed_to_be_proven_where_only_entra_can_sign() -> None:
    assert "nothing was proven here: Test Connection in Entra does it" in published(TOKEN, "WorkloadIdentity")


@pytest.mark.parametrize(
    ("active", "other", "told"),
    [
        (None, NOW - HOUR, True),
        (NOW - 2 * HOUR, NOW - HOUR, True),
        (NOW - HOUR, NOW - 2 * HOUR, False),
        (NOW - HOUR, NOW - HOUR, False),
        (None, None, False),
        (NOW, None, False),
    ],
)
def test_the_kind_that_came_last_is_the_one_in_use(
    active: datetime | None, other: datetime | None, told: bool
) -> None:
    said = used_still(
        credential("id1", "ClientSecret", active), credential("id2", "BearerToken", other, user_agent="Entra")
    )
    assert (said is not None) is told
    assert said is None or said.startswith(
        "Entra still signs in with token id2, which is accepted until 2026-01-10T01:00:00Z; before that, paste"
    )


def test_a_client_without_a_name_is_told_as_one() -> None:
    said = used_still(credential("id1", "ClientSecret"), credential("id2", "BearerToken", NOW))
    assert said is not None
    assert said.startswith("A client without a name still")


def test_neither_a_rotation_nor_what_has_ended_is_told() -> None:
    active = credential("id1", "ClientSecret")
    assert used_still(active, credential("id2", "ClientSecret", NOW)) is None
    assert used_still(active, credential("id2", "BearerToken", NOW, retires_at=NOW)) is None
    assert used_still(credential("id2", "BearerToken", NOW)) is None
