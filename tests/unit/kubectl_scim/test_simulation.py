"""Entra's part, played: what is sent is what Entra sends, and what comes back is judged."""

from collections.abc import Callable
from typing import Any

import pytest

from entra_standin import dialects, mapping
from entra_standin.directory import Person
from kubectl_scim import simulation
from kubectl_scim.scim_service import USER_AGENT, Answer
from kubectl_scim.scimtoken import ScimToken
from kubectl_scim.simulation import DEPARTMENT, EXTERNAL_ID, GROUP_NAME, USER_NAME, Simulation, Step, warning
from scim_console.model import Denied, Unreachable
from support.played_scim import PlayedScim
from support.scimtoken_objects import NOW, credential, scimtoken


@pytest.fixture
def scim() -> PlayedScim:
    return PlayedScim()


def run(scim: PlayedScim, matching: str = "workEmail", *, has_groups: bool = True) -> list[Step]:
    """A whole run, and the cleaning."""
    played = Simulation(scim.send, matching, has_groups=has_groups)
    return [*played.steps(), *played.clean()]


def failed(steps: list[Step]) -> dict[str, str]:
    return {step.name: step.came_back for step in steps if step.outcome == "failed"}


@pytest.mark.parametrize("matching", ["workEmail", "userName", "externalId"])
def test_a_service_as_entra_wants_it_passes_and_is_left_empty(scim: PlayedScim, matching: str) -> None:
    steps = run(scim, matching)
    assert {step.outcome for step in steps} == {"passed"}
    assert len(steps) == 11
    assert scim.resources == {"Users": {}, "Groups": {}}


def test_without_groups_their_steps_are_skipped(scim: PlayedScim) -> None:
    outcomes = {step.name: step.outcome for step in run(scim, has_groups=False)}
    assert [name for name, outcome in outcomes.items() if outcome == "skipped"] == [
        "group created", "member added", "member removed", "group deleted",
    ]  # fmt: skip
    assert not any(method != "GET" for method, path, _ in scim.requests if "/Groups" in path)


def test_what_is_sent_is_what_the_stand_in_for_entra_sends() -> None:
    classic, optimised = dialects.Dialect.CLASSIC, dialects.Dialect.AAD_OPT_SCIM
    assert simulation.classic(
        ("Replace", "active", "False"), ("Replace", "title", "x")
    ) == dialects.patch_body({"active": False, "title": "x"}, classic)
    changes: dict[str, dialects.Value] = {"title": "x", DEPARTMENT: "y"}
    assert simulation.optimised(changes) == dialects.patch_body(changes, optimised)
    assert optimised.value == simulation._FLAG
    members = [{"$ref": None, "value": "1"}]
    assert simulation.classic(("Add", "members", members)) == dialects.add_members_body(["1"], classic)
    assert simulation.classic(("Remove", "members", members)) == dialects.remove_members_body(["1"], classic)
    theirs = mapping.create_body(Person("k", "n", "m", "d"))
    assert theirs.keys() - simulation.new_user().keys() == {"addresses", "phoneNumbers"}
    assert simulation.new_user().keys() <= theirs.keys()
    assert dict(simulation._PATHS) == {one.value: one.path for one in mapping.Matching}
    assert not simulation.AGENT.startswith(USER_AGENT.partition("/")[0])


def answers(status: int, body: Any = None) -> Callable[[Answer], Answer]:
    return lambda _right: Answer(status, body)


def emptied(right: Answer) -> Answer:
    return Answer(200, {**right.body, "Resources": [], "totalResults": 0})


LISTED = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"]}


@pytest.mark.parametrize(
    ("where", "instead", "step", "said"),
    [
        (("GET", "Users"), answers(404, {"detail": "no"}), "Test Connection", "404 in place of 200: no"),
        (("GET", "Users"), answers(200, {"Resources": []}), "Test Connection", "no ListResponse"),
        (("GET", "Users"), answers(200, {**LISTED, "totalResults": 1, "Resources": [{}]}), "Test Connection", "1 found in place of 0"),
        (("GET", "Groups"), answers(404, None), "Test Connection", "404 without an explanation"),
        (
            ("POST", "Users"), answers(409, {"detail": "there", "scimType": "uniqueness"}),
            "user created", "409 uniqueness in place of 201: there",
        ),
        (("POST", "Users"), answers(201, {}), "user created", "no resource with an id"),
        (("POST", "Users"), lambda right: Answer(201, {**right.body, "active": "True"}), "user created", "active is 'True' in place of True"),
        (("POST", "Users"), lambda right: Answer(201, {**right.body, "active": 1}), "user created", "active is 1 in place of True"),
        (("PATCH", "Users"), answers(400, {"detail": "op"}), "changed, as Entra patches", "400 in place of 200 or 204: op"),
        (("GET", "Users/"), lambda right: Answer(200, {**right.body, "title": "old"}), "changed, as with aadOptscim062020", "title is 'old'"),
        (("PATCH", "Users"), lambda right: Answer(200, right.body.update(active=True)), "disabled, and still found", "active is True in place of False"),
        (("POST", "Groups"), answers(403, {"detail": "no"}), "group created", "403"),
        (("PATCH", "Groups"), answers(500, None), "member added", "500"),
        (("DELETE", "Groups"), answers(200, None), "group deleted", "200 in place of 204"),
        (("GET", "Groups/"), answers(200, {}), "group deleted", "200 in place of 404"),
        (("DELETE", "Users"), answers(403, None), "user deleted", "403 in place of 204"),
    ],
)  # fmt: skip
def test_an_answer_that_entra_does_not_take_fails_its_step(
    scim: PlayedScim, where: tuple[str, str], instead: Callable[[Answer], Answer], step: str, said: str
) -> None:
    scim.wrong[where] = instead
    found = failed(list(Simulation(scim.send, "workEmail", has_groups=True).steps()))
    assert said in found[step]


def test_another_user_than_the_created_one_is_no_find(scim: PlayedScim) -> None:
    def other(right: Answer) -> Answer:
        found = [{**one, "id": "other"} for one in right.body["Resources"]]
        return Answer(right.status, {**right.body, "Resources": found})

    scim.wrong["GET", "Users"] = lambda right: other(right) if "Resources" in right.body else right
    assert failed(run(scim))['found by emails[type eq "work"].value'] == "another user was found: id other"


def test_nothing_is_tried_without_test_connection(scim: PlayedScim) -> None:
    scim.wrong["GET", "Users"] = answers(401)
    assert [(step.name, step.outcome) for step in run(scim)] == [("Test Connection", "failed")]
    assert len(scim.requests) == 1


@pytest.mark.parametrize("error", [Denied("not accepted"), Unreachable("nobody there")])
def test_what_gets_no_answer_fails_and_says_why(scim: PlayedScim, error: Exception) -> None:
    def refuse(_right: Answer) -> Answer:
        raise error

    scim.wrong["POST", "Users"] = refuse
    steps = run(scim)
    assert failed(steps)["user created"] == str(error)
    assert {step.outcome for step in steps if "user deleted" in step.name or "changed" in step.name} == {
        "skipped"
    }
    assert scim.resources["Groups"] == {}


def test_what_an_earlier_run_left_is_removed_first(scim: PlayedScim) -> None:
    interrupted = Simulation(scim.send, "workEmail", has_groups=True).steps()
    for step in interrupted:
        if step.name == "member added":
            break
    assert [len(there) for there in scim.resources.values()] == [1, 1]
    steps = run(scim)
    assert failed(steps) == {}
    [group, user] = [step.came_back for step in steps if step.name == "removed what an earlier run left"]
    assert group.startswith("group 2 of 2026")
    assert user.startswith("user 1 of 2026")
    assert scim.resources == {"Users": {}, "Groups": {}}


def test_what_is_there_when_it_is_ended_early_is_cleaned_up(scim: PlayedScim) -> None:
    played = Simulation(scim.send, "workEmail", has_groups=True)
    steps = played.steps()
    for step in steps:
        if step.name == "member added":
            break
    assert [step.name for step in played.clean()] == ["cleaned up", "cleaned up"]
    assert scim.resources == {"Users": {}, "Groups": {}}


def test_nobody_else_is_ever_removed(scim: PlayedScim) -> None:
    scim.resources["Users"]["a"] = {"id": "a", "userName": USER_NAME, "externalId": "another"}
    scim.resources["Groups"]["b"] = {"id": "b", "displayName": GROUP_NAME}
    played = Simulation(scim.send, "externalId", has_groups=True)
    played._has_begun = True
    assert list(played.clean()) == []
    assert [len(there) for there in scim.resources.values()] == [1, 1]
    assert EXTERNAL_ID == "scim-simulate"


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"overlap": "untilInUse"}, "With overlap: untilInUse the operator takes it for Entra's"),
        ({"entra": {}, "overlap": "untilInUse"}, "With overlap: untilInUse and spec.entra the operator"),
        ({"entra": {}}, "once there is a rotation that Entra has not followed"),
    ],
)
def test_it_is_told_where_a_run_passes_for_entras_use(spec: dict[str, Any], said: str) -> None:
    text = warning(ScimToken(scimtoken(spec=spec)), NOW)
    assert said in text
    assert "make another ScimToken with tenant: entra" in text


def test_it_is_told_what_is_at_stake() -> None:
    old = credential("t0", "Superseded", lastUsedAt="2026-11-30T11:00:00Z")
    both = warning(ScimToken(scimtoken(spec={"entra": {}}, credentials=(credential(), old))), NOW)
    assert "may end what Entra still has: t0, last recorded use 1 h ago." in both
    plain = warning(ScimToken(scimtoken(credentials=(credential(), old))), NOW)
    assert "operator takes it" not in plain
    assert "a use of the credential of entra" in plain
    assert "see them come and go" in plain
