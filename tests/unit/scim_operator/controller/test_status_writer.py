"""The status is written when it differs, and an Event is recorded when there is news."""

import dataclasses
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import pytest

from scim_api.contract.admin import Connection, CredentialStatus, TokenRefusal
from scim_operator.api.scimtoken import ScimToken
from scim_operator.controller.status_writer import StatusWriter
from scim_operator.planning.actions import Done, ObservedSecret
from scim_operator.planning.conditions import Failure, ReconcileOutcome
from scim_operator.planning.ports import Conflict, Gone
from scim_operator.planning.token_ledger import LedgerEntry, TokenLedger
from scim_operator.planning.token_usage import SupersededTokenInUse

NOW = datetime(2026, 1, 10, tzinfo=UTC)
DAY = timedelta(days=1)
ACTIVE = LedgerEntry("id2", "bb" * 32, NOW - DAY, NOW + 89 * DAY)
DONE = Done(NOW + 59 * DAY, ACTIVE, NOW + 59 * DAY)
FAILED = Failure("Registered", "SettingsConflict", "another connection has other settings")
CONNECTION = Connection(
    namespace="team",
    name="entra",
    exists=True,
    revision="r",
    now=NOW,
    credentials=(
        CredentialStatus(
            id="id2", digest=ACTIVE.digest, issued_at=ACTIVE.issued_at, expires_at=ACTIVE.expires_at
        ),
    ),
)
SECRET = ObservedSecret(
    owned=True,
    deleting=False,
    token=ACTIVE.digest,
    next_token=None,
    ledger=TokenLedger(),
    public={"token-id": "id2"},
    drifted=False,
)


@dataclasses.dataclass
class Cluster:
    """Takes statuses and Events, and forgets nothing."""

    refuses: Conflict | None = None
    statuses: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    events: list[tuple[str, str]] = dataclasses.field(default_factory=list)

    async def apply_status(self, _owner: ScimToken, status: Mapping[str, object]) -> None:
        if self.refuses is not None:
            raise self.refuses
        self.statuses.append(dict(status))

    async def event(
        self, _owner: ScimToken, kind: Literal["Normal", "Warning"], reason: str, _message: str
    ) -> None:
        self.events.append((kind, reason))


def scim_token(status: dict[str, Any] | None = None, **metadata: Any) -> ScimToken:
    meta = {"name": "entra", "namespace": "team", "uid": "u", "generation": 1, **metadata}
    return ScimToken.from_object({"metadata": meta, "spec": {}, "status": status or {}})


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


@pytest.fixture
def steps() -> list[str]:
    return []


@pytest.fixture
def writer(cluster: Cluster, steps: list[str]) -> StatusWriter:
    return StatusWriter(cluster, "https://scim.test/scim/v2", steps.append)  # type: ignore[arg-type]


async def write(
    writer: StatusWriter, token: ScimToken, *, failure: Failure | None = None, done: Done | None = DONE
) -> None:
    done = None if failure is not None else done
    await writer.write(ReconcileOutcome(token, CONNECTION, SECRET, done, failure), NOW)


async def test_the_same_outcome_again_writes_no_status_and_no_event(
    writer: StatusWriter, cluster: Cluster, steps: list[str]
) -> None:
    await write(writer, scim_token())
    await write(writer, scim_token(cluster.statuses[0]))
    assert len(cluster.statuses) == 1
    assert (cluster.events, steps) == ([], ["apply-status"])


async def test_a_failure_is_a_warning_and_so_is_another_reason_for_it(
    writer: StatusWriter, cluster: Cluster
) -> None:
    await write(writer, scim_token(), failure=FAILED)
    await write(
        writer, scim_token(cluster.statuses[-1]), failure=dataclasses.replace(FAILED, reason="TenantPurging")
    )
    await write(writer, scim_token(cluster.statuses[-1]))
    assert cluster.events == [
        ("Warning", "SettingsConflict"),
        ("Warning", "TenantPurging"),
        ("Normal", "Ready"),
    ]


async def test_a_refused_sign_in_is_an_event_once_for_each_reason(
    writer: StatusWriter, cluster: Cluster
) -> None:
    """Whoever knows the client id could otherwise write Events, each with another text."""
    secret = CONNECTION.credentials[0].model_copy(update={"kind": "ClientSecret"})
    status: dict[str, Any] = {}
    for check, received in [("aud", "a"), ("aud", "b"), ("sub", "b"), (None, ""), ("sub", "c")]:
        last = None if check is None else TokenRefusal(at=NOW, check=check, received=received)
        seen = CONNECTION.model_copy(update={"credentials": (secret,), "last_refusal": last})
        await writer.write(ReconcileOutcome(scim_token(status), seen, SECRET, DONE, None), NOW)
        status = cluster.statuses[-1]
        assert (status.get("lastRefusedSignIn") or {}).get("received", "") == received
    assert cluster.events == [("Warning", "SignInRefused")] * 3


async def test_another_message_for_the_same_reason_is_no_event(
    writer: StatusWriter, cluster: Cluster
) -> None:
    await write(writer, scim_token(), failure=FAILED)
    await write(
        writer, scim_token(cluster.statuses[-1]), failure=dataclasses.replace(FAILED, message="other")
    )
    assert len(cluster.statuses) == 2
    assert cluster.events == [("Warning", "SettingsConflict")]


async def test_a_superseded_token_in_use_is_an_event_once_for_each_message(
    writer: StatusWriter, cluster: Cluster
) -> None:
    use = SupersededTokenInUse("id1", NOW - 9 * DAY, NOW + DAY, NOW, "Azure-AD-SCIM")
    in_use = dataclasses.replace(DONE, in_use=(use,))
    await write(writer, scim_token(), done=in_use)
    await write(writer, scim_token(cluster.statuses[-1]), done=in_use)
    assert cluster.events.count(("Warning", "SupersededTokenInUse")) == 1
    later = dataclasses.replace(use, last_used_at=NOW + DAY)
    await write(writer, scim_token(cluster.statuses[-1]), done=dataclasses.replace(DONE, in_use=(later,)))
    assert cluster.events.count(("Warning", "SupersededTokenInUse")) == 2


async def test_an_invalid_revoke_annotation_is_an_event_once(writer: StatusWriter, cluster: Cluster) -> None:
    invalid = dataclasses.replace(DONE, invalid_revoke="all-before/soon: write an RFC 3339 time")
    await write(writer, scim_token(), done=invalid)
    await write(writer, scim_token(cluster.statuses[-1]), done=invalid)
    assert cluster.events == [("Warning", "InvalidRevoke")]


async def test_a_scimtoken_that_only_we_still_see_is_left_alone(
    writer: StatusWriter, cluster: Cluster
) -> None:
    await write(writer, scim_token(deletionTimestamp="2026-01-09T00:00:00Z"))
    assert (cluster.statuses, cluster.events) == ([], [])


async def test_one_that_went_while_its_status_was_written_is_no_error(
    writer: StatusWriter, cluster: Cluster
) -> None:
    cluster.refuses = Gone("404")
    await write(writer, scim_token())
    assert cluster.statuses == []


async def test_a_status_that_others_wrote_at_the_same_moment_is_decided_anew(
    writer: StatusWriter, cluster: Cluster
) -> None:
    """Nothing else would write it: it would say what was, until the next rotation."""
    cluster.refuses = Conflict("409")
    with pytest.raises(Conflict):
        await write(writer, scim_token())
