"""The order of a cycle's requests, what it reports, and that a faulty service does not pass."""

import dataclasses
from typing import Any

import httpx
import pytest

from entra_standin.__main__ import changed_people, main, play
from entra_standin.client import EntraClient
from entra_standin.cycle import incremental_cycle, initial_cycle
from entra_standin.dialects import ENTERPRISE_SCHEMA, MANAGER, Dialect
from entra_standin.directory import Person, six_people
from entra_standin.mapping import Matching
from entra_standin.quarantine import Reason
from unit.entra_standin.faulty_service import TOKEN, URL, Fault, Service, error, instead, listing, on, scim

PEOPLE = six_people()
ADA = PEOPLE[0]


def methods(service: Service) -> list[str]:
    return [request.method for request in service.requests]


def test_the_first_cycle_tests_the_connection_then_asks_creates_and_reads_each_person(
    client: EntraClient, service: Service
) -> None:
    report = initial_cycle(client, [dataclasses.replace(ADA, manager=None)])
    assert methods(service) == ["GET", "GET", "POST", "GET", "GET"]
    assert report.created == ("ada",)
    assert report.sent == 5
    assert report.ok


@pytest.mark.parametrize("dialect", list(Dialect))
def test_managers_come_after_all_users(service: Service, dialect: Dialect) -> None:
    with EntraClient(URL, TOKEN, dialect, transport=service.transport()) as client:
        report = initial_cycle(client, reversed(PEOPLE))
    assert report.ok, report.lines()
    ordered = methods(service)
    assert ordered.index("PATCH") > max(at for at, method in enumerate(ordered) if method == "POST")
    assert service.users["id-grace"][ENTERPRISE_SCHEMA]["manager"] == {"value": "id-ada"}
    assert report.ids["grace"] == "id-grace"


def test_a_restart_matches_everybody_and_changes_nothing(client: EntraClient) -> None:
    initial_cycle(client, PEOPLE)
    report = initial_cycle(client, PEOPLE)
    assert report.created == report.updated == ()
    assert report.matched == tuple(person.key for person in PEOPLE)
    assert report.rejected == {}


def test_a_matched_person_who_differs_is_patched_with_the_difference_only(
    client: EntraClient, service: Service
) -> None:
    initial_cycle(client, [ADA])
    service.users["id-ada"]["title"] = "Other"
    report = initial_cycle(client, [ADA])
    assert report.updated == ("ada",)
    (sent,) = service.bodies("PATCH")
    assert sent["Operations"] == [{"op": "Replace", "path": "title", "value": "Analyst"}]


def test_an_incremental_cycle_sends_only_what_changed(client: EntraClient, service: Service) -> None:
    initial_cycle(client, PEOPLE)
    service.requests.clear()
    report = incremental_cycle(client, PEOPLE, changed_people(PEOPLE))
    assert report.ok, report.lines()
    assert report.updated == ("ada", "grace", "edsger", "katherine", "konrad")
    assert report.deleted == ("radia",)
    operations = [body["Operations"] for body in service.bodies("PATCH")]
    assert operations[1] == [{"op": "Replace", "path": "active", "value": "False"}]
    assert operations[-2:] == [
        [{"op": "Add", "path": MANAGER, "value": "id-katherine"}],
        [{"op": "Remove", "path": MANAGER}],
    ]
    assert "id-radia" not in service.users


def test_a_new_person_of_an_incremental_cycle_is_created_with_their_manager(
    client: EntraClient, service: Service
) -> None:
    initial_cycle(client, [ADA])
    report = incremental_cycle(client, [ADA], PEOPLE[:2])
    assert report.created == ("grace",)
    assert service.users["id-grace"][ENTERPRISE_SCHEMA]["manager"] == {"value": "id-ada"}


def test_a_person_whom_the_service_lost_is_made_again_with_their_manager(
    client: EntraClient, service: Service
) -> None:
    initial_cycle(client, PEOPLE)
    del service.users["id-grace"]
    report = incremental_cycle(client, PEOPLE, PEOPLE)
    assert report.created == ("grace",)
    assert service.users["id-grace"][ENTERPRISE_SCHEMA]["manager"] == {"value": "id-ada"}


def test_a_delete_that_was_done_already_is_nothing_to_do(client: EntraClient, service: Service) -> None:
    report = incremental_cycle(client, [ADA], [])
    assert report.deleted == ()
    assert "DELETE" not in methods(service)
    assert report.ok


def test_a_person_without_mail_is_skipped_and_no_failure(client: EntraClient) -> None:
    report = initial_cycle(client, [Person("ghost", "ghost@contoso.example", None, "Ghost"), ADA])
    assert report.skipped == ("ghost",)
    assert report.created == ("ada",)
    assert report.ok
    assert report.reason is None


@pytest.mark.parametrize(
    ("status", "reason"), [(400, Reason.BAD_CREDENTIALS), (404, Reason.BAD_CREDENTIALS), (500, None)]
)
def test_a_refused_test_connection_ends_the_cycle_before_anybody_is_sent(
    client: EntraClient, service: Service, status: int, reason: Reason | None
) -> None:
    service.fault = instead("GET", lambda: error(status))
    report = initial_cycle(client, PEOPLE)
    assert methods(service) == ["GET"]
    assert report.reason is reason
    assert len(report.failures) == 1


def test_a_404_that_is_no_scim_error_is_a_finding_and_quarantines_all_the_same(
    client: EntraClient, service: Service
) -> None:
    service.fault = instead("GET", lambda: httpx.Response(404, text="not found"))
    report = initial_cycle(client, PEOPLE)
    assert report.reason is Reason.BAD_CREDENTIALS
    assert len(report.findings) == 1


def test_too_many_failures_quarantine_the_job_and_no_one_failure_stops_the_others(
    client: EntraClient, service: Service
) -> None:
    service.fault = instead("POST", lambda: error(500, detail="oops"))
    report = initial_cycle(client, PEOPLE)
    assert len(report.failures) == methods(service).count("POST") == 6
    assert report.reason is Reason.TOO_MANY_FAILURES
    assert report.rejected == {500: 6}


def lost(service: Service, times: int, *, arrives: bool) -> Fault:
    """So many POSTs get no answer; ``arrives`` tells whether the service has carried them out by then."""
    left = [times]

    def fault(request: httpx.Request, answer: httpx.Response) -> httpx.Response:
        if request.method != "POST" or not left[0]:
            return answer
        left[0] -= 1
        if not arrives:
            service.users.clear()
        raise httpx.ReadTimeout("lost")

    return fault


@pytest.mark.parametrize("arrives", [True, False])
def test_a_create_without_an_answer_is_sent_once_more_and_leaves_one_person(
    client: EntraClient, service: Service, *, arrives: bool
) -> None:
    service.fault = lost(service, 1, arrives=arrives)
    report = initial_cycle(client, [ADA])
    assert methods(service).count("POST") == 2
    assert report.ok, report.lines()
    assert report.created == ("ada",)
    assert list(service.users) == ["id-ada"]
    assert report.rejected == ({409: 1} if arrives else {})


def test_a_create_without_an_answer_twice_is_a_failure(client: EntraClient, service: Service) -> None:
    service.fault = lost(service, 2, arrives=True)
    report = initial_cycle(client, [ADA])
    assert report.failures == ("POST /Users: ReadTimeout",)
    assert report.created == ()


def test_a_retry_refused_as_a_duplicate_of_somebody_whom_nobody_finds_is_a_failure(
    client: EntraClient, service: Service
) -> None:
    no_answer = lost(service, 1, arrives=False)

    def refuses(request: httpx.Request, answer: httpx.Response) -> httpx.Response:
        after = no_answer(request, answer)
        if request.method != "POST":
            return after
        service.users.clear()
        return error(409, "uniqueness")

    service.fault = refuses
    assert len(initial_cycle(client, [ADA]).failures) == 1


def test_an_empty_string_left_behind_where_a_value_was_cleared_is_found(
    client: EntraClient, service: Service
) -> None:
    initial_cycle(client, [ADA])

    def left_behind(request: httpx.Request, answer: httpx.Response) -> httpx.Response:
        if request.method == "PATCH":
            service.users["id-ada"]["title"] = ""
        return answer

    service.fault = left_behind
    report = incremental_cycle(client, [ADA], [dataclasses.replace(ADA, job_title="")])
    assert report.findings == ("GET /Users/id-ada: title is not what was sent",)


def forgets_title(body: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in body.items() if key != "title"}


FAULTS: list[tuple[Fault, str]] = [
    (on("GET", forgets_title), "title is not what was sent"),
    (on("GET", lambda body: {**body, "id": "other"} if "id" in body else body), "another id"),
]


@pytest.mark.parametrize(("fault", "message"), FAULTS, ids=[message for _, message in FAULTS])
def test_a_service_that_does_not_keep_what_was_sent_is_found(
    client: EntraClient, service: Service, fault: Fault, message: str
) -> None:
    service.fault = fault
    initial_cycle(client, [ADA])
    report = incremental_cycle(client, [ADA], [dataclasses.replace(ADA, job_title="Countess")])
    assert any(message in text for text in report.findings), report.lines()
    assert "Countess" not in "".join(report.lines())


def test_a_patch_that_is_answered_and_not_done_is_found(client: EntraClient, service: Service) -> None:
    initial_cycle(client, [ADA])

    def undone(request: httpx.Request, answer: httpx.Response) -> httpx.Response:
        if request.method == "PATCH":
            service.users["id-ada"]["title"] = "Analyst"
        return answer

    service.fault = undone
    report = incremental_cycle(client, [ADA], [dataclasses.replace(ADA, job_title="Countess")])
    assert report.findings == ("GET /Users/id-ada: title is not what was sent",)


def test_a_delete_that_leaves_the_user_behind_is_found(client: EntraClient, service: Service) -> None:
    initial_cycle(client, [ADA])
    left = dict(service.users["id-ada"])

    def still_there(request: httpx.Request, answer: httpx.Response) -> httpx.Response:
        searched = request.method == "GET" and "ada@contoso.example" in request.url.params.get("filter", "")
        return listing([left]) if searched else answer

    service.fault = still_there
    report = incremental_cycle(client, [ADA], [])
    assert report.findings == ("DELETE /Users/id-ada: the user is still found",)


def test_the_report_is_told_line_by_line(client: EntraClient) -> None:
    assert initial_cycle(client, [ADA]).lines() == [
        "created: 1",
        "matched: 0",
        "updated: 0",
        "deleted: 0",
        "skipped: 0",
        "requests: 5, refused: none",
    ]


@pytest.mark.parametrize("dialect", list(Dialect))
@pytest.mark.parametrize("matching", list(Matching))
def test_a_right_service_passes_the_whole_play(
    service: Service, dialect: Dialect, matching: Matching
) -> None:
    told: list[str] = []
    with EntraClient(URL, TOKEN, dialect, matching, transport=service.transport()) as client:
        assert play(client, told.append), told
    assert told[-1] == "retry: a create sent twice is refused as a duplicate"


def test_a_play_ends_at_the_first_cycle_with_a_finding(client: EntraClient, service: Service) -> None:
    service.fault = on("GET", forgets_title)
    told: list[str] = []
    assert not play(client, told.append)
    assert any("finding" in line for line in told)
    assert not any(line.startswith("incremental") for line in told)


def test_a_play_fails_when_a_retry_makes_a_second_user(client: EntraClient, service: Service) -> None:
    def accepts(request: httpx.Request, answer: httpx.Response) -> httpx.Response:
        return scim(201, {}) if request.method == "POST" and answer.status_code == 409 else answer

    service.fault = accepts
    told: list[str] = []
    assert not play(client, told.append)
    assert told[-1] == "retry: POST /Users answered 201: a create sent twice is not refused"


def test_the_command_reads_the_token_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--url", "http://127.0.0.1:9/scim/v2", "--token-env", "SCIM_TOKEN"]
    monkeypatch.delenv("SCIM_TOKEN", raising=False)
    assert main(options) == 1
    assert "SCIM_TOKEN is not set" in capsys.readouterr().err
    monkeypatch.setenv("SCIM_TOKEN", TOKEN)
    assert main(options) == 1
    captured = capsys.readouterr()
    assert "Test Connection: GET /Users?filter=…: ConnectError" in captured.out
    assert TOKEN not in captured.out + captured.err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No such file"),
        (b"", "the token is empty"),
        (b"sct_\xff secret", "not UTF-8"),
        (b"sct_two secrets", "a bearer token can't have"),
    ],
)
def test_the_command_says_why_it_can_not_begin_and_shows_no_token(
    tmp_path_factory: pytest.TempPathFactory,
    capsys: pytest.CaptureFixture[str],
    content: bytes | None,
    message: str,
) -> None:
    file = tmp_path_factory.mktemp("secret") / "token"
    if content is not None:
        file.write_bytes(content)
    assert main(["--url", "http://127.0.0.1:9/scim/v2", "--token-file", str(file)]) == 1
    captured = capsys.readouterr()
    assert message in captured.err
    assert "sct_" not in captured.err + captured.out
