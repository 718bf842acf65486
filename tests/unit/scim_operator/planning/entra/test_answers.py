"""Graph's answers as values of our own, whatever Graph leaves out or puts in."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scim_operator.planning.entra import answers
from scim_operator.planning.entra.ports import Execution, Job, OnDemandResult, Quarantine
from support.microsoft import BEARER, JOB_ID

UNSET = "0001-01-01T00:00:00Z"
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just(UNSET),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


def with_any_fields(*names: str, inner: st.SearchStrategy[Any] = ANYTHING) -> st.SearchStrategy[Any]:
    """Objects with some of these fields, of any kind."""
    return st.fixed_dictionaries({}, optional=dict.fromkeys(names, inner)) | ANYTHING


ERROR = with_any_fields("code", "message")
EXECUTION = with_any_fields(
    "state", "timeBegan", "timeEnded", "countExported", "error", inner=ERROR | ANYTHING
)
STATUS = with_any_fields(
    "code", "lastExecution", "lastSuccessfulExecution", "quarantine", "countSuccessiveCompleteFailures",
    inner=EXECUTION | with_any_fields("reason", "currentBegan", "nextAttempt", "error", inner=ERROR),
)  # fmt: skip
ANY_JOB = st.fixed_dictionaries(
    {"id": st.just(JOB_ID) | ANYTHING},
    optional={"templateId": ANYTHING, "schedule": with_any_fields("state"), "status": STATUS},
)

HEALTHY: dict[str, Any] = {
    "id": JOB_ID,
    "templateId": "scim",
    "schedule": {"expiration": None, "interval": "PT40M", "state": "Active"},
    "status": {
        "code": "Active",
        "countSuccessiveCompleteFailures": 0,
        "quarantine": None,
        "lastExecution": {
            "state": "EntryLevelErrors",
            "countExported": 7,
            "timeBegan": "2026-11-29T11:57:00Z",
            "timeEnded": "2026-11-29T11:58:24.7682084Z",
            "error": {"code": "SomeFailed", "message": "One\r\nof seven.", "tenantActionable": True},
        },
        "lastSuccessfulExecution": {"state": "Succeeded", "timeEnded": "2026-11-29T11:18:00Z"},
        "steadyStateFirstAchievedTime": UNSET,
    },
}
QUARANTINED: dict[str, Any] = {
    "currentBegan": "2026-11-29T10:00:00Z",
    "nextAttempt": "2026-11-29T16:00:00Z",
    "reason": "EncounteredQuarantineException",
    "error": {"code": "SystemForCrossDomainIdentityManagementInvalidCredentials", "message": ""},
}


def changed(**status: Any) -> dict[str, Any]:
    return HEALTHY | {"status": HEALTHY["status"] | status}


def read(content: Any) -> Job:
    found = answers.job(content)
    assert found is not None
    return found


def test_a_healthy_job_is_read_whole() -> None:
    assert read(HEALTHY) == Job(
        id=JOB_ID,
        template_id="scim",
        code="Active",
        schedule_state="Active",
        last_execution=Execution(
            "EntryLevelErrors",
            datetime(2026, 11, 29, 11, 57, tzinfo=UTC),
            datetime(2026, 11, 29, 11, 58, 24, 768208, tzinfo=UTC),
            7,
            "SomeFailed",
            "One of seven.",
        ),
        last_success_at=datetime(2026, 11, 29, 11, 18, tzinfo=UTC),
        quarantine=None,
        failures=0,
    )


def test_a_quarantine_is_read_with_its_times() -> None:
    found = read(changed(code="Quarantine", quarantine=QUARANTINED, countSuccessiveCompleteFailures=3))
    assert found.failures == 3
    assert found.quarantine == Quarantine(
        "EncounteredQuarantineException",
        datetime(2026, 11, 29, 10, tzinfo=UTC),
        datetime(2026, 11, 29, 16, tzinfo=UTC),
        "SystemForCrossDomainIdentityManagementInvalidCredentials",
    )


def test_a_quarantine_in_which_nothing_is_set_is_none_unless_the_code_says_so() -> None:
    empty = {"currentBegan": UNSET, "nextAttempt": UNSET, "reason": None, "error": None}
    assert read(changed(quarantine=empty)).quarantine is None
    assert read(changed(quarantine={})).quarantine is None
    for quarantine in (empty, {}, None):
        found = read(changed(code="Quarantine", quarantine=quarantine)).quarantine
        assert found == Quarantine("Unknown", None, None)


def test_a_new_job_has_nothing_but_its_id() -> None:
    assert read({"id": JOB_ID}) == Job(JOB_ID, "", "", "")
    assert read({"id": JOB_ID, "status": None, "schedule": None}) == Job(JOB_ID, "", "", "")


def test_unknown_words_are_kept_in_one_line_and_bounded() -> None:
    found = read(changed(code="In\nProgress", lastExecution={"state": "x" * 1000, "countExported": "12"}))
    assert found.code == "In Progress"
    assert found.last_execution == Execution("x" * 127 + "…", None, None, 12)


@pytest.mark.parametrize(
    "text", [UNSET, "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "yesterday", "", 5, None, []]
)
def test_what_is_no_time_counts_as_not_set(text: Any) -> None:
    assert read(changed(lastSuccessfulExecution={"timeEnded": text})).last_success_at is None


def test_a_time_without_an_offset_is_utc() -> None:
    found = read(changed(lastSuccessfulExecution={"timeEnded": "2026-11-29T11:18:00"}))
    assert found.last_success_at == datetime(2026, 11, 29, 11, 18, tzinfo=UTC)


@pytest.mark.parametrize("number", [-1, 2**63, True, 1.5, "x", "9" * 30, "٣", None])
def test_what_is_no_count_counts_as_not_set(number: Any) -> None:
    found = read(changed(lastExecution={"countExported": number, "state": "Failed"}))
    assert found.last_execution == Execution("Failed", None, None, None)


def test_a_message_in_a_job_is_bounded_and_has_no_token_in_it() -> None:
    message = f"refused {BEARER.token} " + "x" * 1000
    execution = read(changed(lastExecution={"error": {"message": message}})).last_execution
    assert execution is not None
    assert execution.error_message is not None
    assert execution.error_message.startswith("refused [hidden] xxx")
    assert len(execution.error_message) == 300


def test_a_list_has_all_jobs_that_have_an_id() -> None:
    content = {"value": [HEALTHY, None, {}, {"id": ""}, {"id": 5}, {"id": "x" * 257}, {"id": "other"}]}
    found = answers.jobs(content)
    assert found is not None
    assert [entry.id for entry in found] == [JOB_ID, "other"]
    assert answers.jobs({"value": []}) == []


@pytest.mark.parametrize("content", [None, {}, [], "x", {"value": None}, {"value": {}}])
def test_what_is_no_list_of_jobs_is_not_taken_for_an_empty_one(content: Any) -> None:
    assert answers.jobs(content) is None


@given(ANY_JOB | ANYTHING)
def test_no_json_makes_the_reading_of_a_job_fail(content: Any) -> None:
    found = answers.job(content)
    assert answers.jobs({"value": [content]}) == ([] if found is None else [found])
    if found is not None:
        assert len(found.code) <= answers.CODE_LIMIT
        assert found.failures >= 0


@given(st.binary() | st.text())
def test_no_bytes_make_the_parsing_fail(body: bytes | str) -> None:
    answers.parsed(body)


def test_too_deep_or_too_large_for_json_counts_as_no_json() -> None:
    assert answers.parsed(b"[" * 100_000) is None
    assert answers.parsed(b"1" * 100_000) is None


def test_saved_secrets_are_read_by_key() -> None:
    pairs = [
        {"key": "BaseAddress", "value": "x"},
        {"key": "SecretToken", "value": None},
        {"value": "y"},
        None,
    ]
    assert answers.saved_secrets({"value": pairs}) == {"BaseAddress": "x", "SecretToken": ""}


@given(with_any_fields("value", inner=st.lists(with_any_fields("key", "value")) | ANYTHING))
def test_no_json_makes_the_reading_of_saved_secrets_fail(content: Any) -> None:
    answers.saved_secrets(content)


def rule(rule_id: str, *mappings: dict[str, Any]) -> dict[str, Any]:
    return {"id": rule_id, "name": "USER_TO_USER", "objectMappings": list(mappings)}


USERS = {"sourceObjectName": "User", "targetObjectName": "urn:ietf:params:scim:schemas:core:2.0:User"}
GROUPS = {"sourceObjectName": "Group", "targetObjectName": "urn:ietf:params:scim:schemas:core:2.0:Group"}


@pytest.mark.parametrize(
    ("rules", "found"),
    [
        ([rule("one", GROUPS, USERS)], "one"),
        ([rule("groups", GROUPS), rule("users", USERS), rule("more", USERS)], "users"),
        ([rule("off", USERS | {"enabled": False}), rule("on", USERS | {"enabled": True})], "on"),
        ([rule("lower", {"sourceObjectName": "user"})], "lower"),
        ([rule("groups", GROUPS)], None),
        ([{}, None, rule("", USERS), {"id": "x", "objectMappings": [None, {}]}], None),
        (None, None),
    ],
)
def test_the_rule_for_users_is_the_first_that_maps_entras_user(rules: Any, found: str | None) -> None:
    assert answers.user_rule({"synchronizationRules": rules}) == found


@given(
    with_any_fields(
        "synchronizationRules",
        inner=st.lists(with_any_fields("id", "objectMappings", inner=st.lists(ANYTHING) | ANYTHING)),
    )
)
def test_no_json_makes_the_reading_of_a_schema_fail(content: Any) -> None:
    answers.user_rule(content)


def provisioned(key: Any, value: Any = None) -> dict[str, str]:
    return {"key": json.dumps(key), "value": json.dumps(value)}


CHANGED = {
    "modifiedProperties": [
        {"displayName": "userName", "newValue": "ada@example.com"},
        {"displayName": "active"},
    ]
}


@pytest.mark.parametrize(
    ("content", "result"),
    [
        (
            provisioned(
                {
                    "result": "Skipped",
                    "details": {"errorCode": "RedundantExport", "errorMessage": "They match."},
                }
            ),
            OnDemandResult("Skipped", "RedundantExport: They match."),
        ),
        (
            provisioned({"result": "Success", "details": {}}, CHANGED),
            OnDemandResult("Success", "changed: userName, active"),
        ),
        (
            provisioned(
                {"result": "Failure", "details": None},
                CHANGED | {"statusInfo": {"status": "Failure", "errorCode": "E", "reason": "R"}},
            ),
            OnDemandResult("Failure", "E: R"),
        ),
        (provisioned(None, {"statusInfo": {"status": "Warning"}}), OnDemandResult("Warning", "no details")),
        ({"key": {"result": "Success"}}, OnDemandResult("Success", "no details")),
        (provisioned({}), None),
        ({"key": "no json", "value": 5}, None),
        (None, None),
    ],
)
def test_provisioning_on_demand_is_told_by_code_and_reason_or_what_changed(
    content: Any, result: OnDemandResult | None
) -> None:
    assert answers.on_demand_result(content) == result


def test_the_detail_of_provisioning_on_demand_is_bounded() -> None:
    content = provisioned({"result": "Failure", "details": {"errorMessage": "x\n" * 1000}})
    found = answers.on_demand_result(content)
    assert found is not None
    assert len(found.detail) == answers.DETAIL_LIMIT


@given(with_any_fields("key", "value", inner=ANYTHING.map(json.dumps) | ANYTHING))
def test_no_json_makes_the_reading_of_provisioning_on_demand_fail(content: Any) -> None:
    found = answers.on_demand_result(content)
    assert found is None or len(found.detail) <= answers.DETAIL_LIMIT
