"""The judge finds every planted fault of a follower and of the log, and calls nothing a fault that is none."""

import dataclasses
import itertools
from collections.abc import Sequence

import pytest

from torture.changes.rules import (
    PATIENCE,
    USER_TYPES,
    Deliveries,
    Fault,
    Outage,
    Row,
    State,
    Violation,
    delays,
    differences,
    judge_deliveries,
    judge_log,
    judge_messages,
    of_types,
)
from torture.changes.schedule import POSTGRESQL_FAULTS, steps

COMMITTED = 1000.0
LOG = (
    Row(1, "user.created", "ada", None, 1, COMMITTED),
    Row(2, "group.created", "staff", None, 1, COMMITTED),
    Row(3, "group.member_added", "staff", "ada", 2, COMMITTED),
    Row(4, "user.deactivated", "ada", None, 2, COMMITTED),
    Row(5, "user.updated", "ada", None, 2, COMMITTED),
)
TABLES = State({"ada": (False, 2)}, {"staff": 2}, {("staff", "ada")})


def told(pks: Sequence[int], answered: float = COMMITTED + 1, began: int = 0) -> Deliveries:
    """One who got these in one page, and applied them."""
    made = Deliveries(began)
    made.receive(pks, answered - 0.1, answered, is_all=True)
    made.applied.extend(pks)
    return made


def faults(found: Sequence[Violation]) -> list[Fault]:
    return [one.fault for one in found]


def test_one_who_gets_everything_once_and_in_order_breaks_no_promise() -> None:
    assert judge_deliveries(LOG, told([1, 2, 3, 4, 5])) == []
    assert judge_deliveries(LOG, told([2, 3, 1, 4, 5])) == []  # in order for each resource
    assert judge_deliveries(LOG, told([4, 5], began=3)) == []


def test_a_change_that_is_dropped_is_found() -> None:
    assert faults(judge_deliveries(LOG, told([1, 2, 3, 5]))) == [Fault.MISSED]


def test_two_changes_of_a_resource_in_the_other_order_are_found() -> None:
    assert faults(judge_deliveries(LOG, told([1, 2, 3, 5, 4]))) == [Fault.DISORDER]


def test_a_change_that_comes_twice_is_found_unless_the_follower_began_again_meanwhile() -> None:
    twice = told([1, 2, 3, 4])
    twice.receive([4, 5], COMMITTED + 2, COMMITTED + 2, is_all=True)
    twice.applied.append(5)
    assert faults(judge_deliveries(LOG, twice)) == [Fault.REPEATED]

    again = told([1, 2, 3, 4])
    again.runs += 1
    again.receive([4, 5], COMMITTED + 2, COMMITTED + 2, is_all=True)
    again.applied.append(5)
    assert judge_deliveries(LOG, again) == []


def test_a_change_that_goes_into_the_copy_twice_is_found() -> None:
    assert Fault.REPEATED in faults(judge_deliveries(LOG, told([1, 2, 3, 4, 5, 5])))


def test_a_change_that_is_not_in_the_log_is_found() -> None:
    assert faults(judge_deliveries(LOG, told([1, 2, 3, 4, 5, 6]))) == [Fault.INVENTED]


def test_what_an_answer_leaves_out_that_says_it_was_all_is_held_up() -> None:
    late = told([1, 2, 3, 4], answered=COMMITTED + PATIENCE + 1)
    late.receive([5], COMMITTED + PATIENCE + 2, COMMITTED + PATIENCE + 2, is_all=True)
    late.applied.append(5)
    assert faults(judge_deliveries(LOG, late)) == [Fault.HELD_UP]

    soon = told([1, 2, 3, 4], answered=COMMITTED + PATIENCE)
    soon.receive([5], COMMITTED + PATIENCE + 2, COMMITTED + PATIENCE + 2, is_all=True)
    soon.applied.append(5)
    assert judge_deliveries(LOG, soon) == []


@pytest.mark.parametrize(
    ("outages", "found"),
    [((), [Fault.HELD_UP]), ((Outage(COMMITTED + 1, COMMITTED + 20),), [])],
    ids=["the service was up", "the service was down"],
)
def test_what_a_waiting_request_brings_long_after_its_commit_is_held_up(
    outages: Sequence[Outage], found: list[Fault]
) -> None:
    waiting = Deliveries()
    waiting.receive([1, 2, 3, 4, 5], COMMITTED - 10, COMMITTED + 20, is_all=True)
    waiting.applied.extend([1, 2, 3, 4, 5])
    assert faults(judge_deliveries(LOG, waiting, outages)) == found


def test_one_who_is_behind_is_not_told_late() -> None:
    behind = Deliveries()
    for pk in range(1, 6):
        behind.receive([pk], COMMITTED + 100 * pk, COMMITTED + 100 * pk + 1, is_all=pk == 5)
        behind.applied.append(pk)
    assert judge_deliveries(LOG, behind) == []
    assert delays(LOG, behind) == [101, 201, 301, 401, 501]


def test_who_took_a_snapshot_between_need_not_have_everything() -> None:
    assert judge_deliveries(LOG, told([1, 2, 5]), is_whole=False) == []
    assert faults(judge_deliveries(LOG, told([1, 5, 4]), is_whole=False)) == [Fault.DISORDER]


@pytest.mark.parametrize(
    ("pks", "found"),
    [
        ([1, 4, 5], []),
        ([1, 4], [Fault.MISSED]),
        ([4, 5], [Fault.MISSED]),
        ([1, 5, 4], [Fault.DISORDER]),
        ([1, 3, 4, 5], [Fault.UNWANTED]),
        ([1, 4, 5, 6], [Fault.INVENTED]),
    ],
)
def test_who_asked_for_changes_of_users_has_to_get_all_of_those_and_no_other(
    pks: Sequence[int], found: list[Fault]
) -> None:
    assert faults(judge_deliveries(LOG, told(pks), types=USER_TYPES)) == found


def test_a_message_that_says_another_than_the_log_is_found() -> None:
    said = [row[:4] for row in LOG[1:]]
    assert judge_messages(LOG, said) == []
    pk, kind, resource, member = said[1]
    for wrong in (
        (9, kind, resource, member),
        (pk, "group.member_removed", resource, member),
        (pk, kind, "crew", member),
        (pk, kind, resource, "eve"),
    ):
        assert faults(judge_messages(LOG, [*said, wrong])) == [Fault.INVENTED], wrong


def test_who_hears_of_users_alone_has_to_have_the_users_alone() -> None:
    users = of_types(USER_TYPES, TABLES)
    assert differences(Fault.COPY, "users", State(TABLES.users), users) == []
    assert of_types((), TABLES) == TABLES
    assert of_types(["group.created"], TABLES) == State({}, TABLES.groups, TABLES.memberships)
    for copy in (TABLES, State(), State({"ada": (True, 2)}), State({"ada": (False, 1)})):
        assert Fault.COPY in faults(differences(Fault.COPY, "users", copy, users)), copy


@pytest.mark.parametrize(
    "changes",
    [
        {"users": {"ada": (True, 2)}},
        {"users": {"ada": (False, 1)}},
        {"users": {}},
        {"users": {"ada": (False, 2), "eve": (True, 1)}},
        {"groups": {"staff": 1}},
        {"memberships": set()},
        {"memberships": {("staff", "ada"), ("staff", "eve")}},
    ],
    ids=["active", "version", "missing", "too many", "group", "no member", "another member"],
)
def test_a_copy_that_differs_is_found(changes: dict[str, object]) -> None:
    copy = dataclasses.replace(TABLES, **changes)  # type: ignore[arg-type]
    assert faults(differences(Fault.COPY, "feed", copy, TABLES)) == [Fault.COPY]
    assert differences(Fault.COPY, "feed", TABLES, TABLES) == []


def test_a_log_adds_up_to_the_tables_and_without_any_of_its_rows_it_does_not() -> None:
    assert judge_log(LOG, TABLES) == []
    for row in LOG[:-1]:  # the last two are of one write
        assert judge_log([one for one in LOG if one is not row], TABLES) != [], row


def test_a_log_ends_with_the_deletion_of_what_was_there() -> None:
    end = (
        Row(6, "group.member_removed", "staff", "ada", 3, None),
        Row(7, "user.deleted", "ada", None, 2, None),
        Row(8, "group.deleted", "staff", None, 3, None),
    )
    assert judge_log([*LOG, *end], State()) == []
    for row in end:
        assert judge_log([one for one in [*LOG, *end] if one is not row], State()) != [], row


def test_a_row_that_changes_nothing_is_found() -> None:
    for again in (
        Row(6, "group.member_added", "staff", "ada", 2, None),
        Row(6, "group.member_removed", "staff", "eve", 2, None),
        Row(6, "user.deactivated", "ada", None, 2, None),
        Row(6, "user.created", "ada", None, 1, None),
    ):
        assert Fault.LOG in faults(judge_log([*LOG, again], TABLES)), again


def test_the_same_seed_plans_the_same_faults_and_a_round_holds_every_kind() -> None:
    one, other = (list(steps(7, 100, POSTGRESQL_FAULTS, 2)) for _ in range(2))
    assert one == other
    assert one != list(steps(8, 100, POSTGRESQL_FAULTS, 2))
    for begin in (0, len(POSTGRESQL_FAULTS)):
        whole = itertools.islice(one, begin, begin + len(POSTGRESQL_FAULTS))
        assert {step.fault for step in whole} == set(POSTGRESQL_FAULTS)
