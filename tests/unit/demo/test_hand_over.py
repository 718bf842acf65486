"""The demo's part about the hand-over: what it reads of an example and of kubectl, and how it counts cycles."""

from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from demo.console import DemoFailed
from demo.hand_over import EXAMPLE, Cycles, Ids, Way, columns, described, ids_of
from entra_standin.cycle import CycleReport
from entra_standin.graph import Execution, ExecutionState
from entra_standin.graph.cycles import Cycle
from entra_standin.quarantine import Reason

ROOT = Path(__file__).resolve().parents[3]
NOW = datetime(2026, 11, 29, tzinfo=UTC)
WIDE = """\
NAME    READY   EXPIRES                NEXT ROTATION          LAST USED   AGE   ENTRA   JOB           ENDPOINT
entra   True    2027-02-27T18:15:46Z   2027-01-28T18:15:46Z   2s          14s   InUse   Quarantined   http://127.0.0.1/scim/v2
other   False   2027-02-27T18:15:46Z                                      14s           NotRun        http://127.0.0.1/scim/v2
"""
DESCRIBED = """\
Name:         entra
Spec:
  Auth:
    Type:  OAuthClientCredentials
Status:
  Conditions:
    Last Transition Time:  2026-11-29T18:15:46Z
    Message:               the job is active; its last cycle ended at 2026-11-29T18:15:55Z with Succeeded
    Observed Generation:   2
    Reason:                Active
    Status:                True
    Type:                  Provisioning
    Last Transition Time:  2026-11-29T18:15:46Z
    Message:               Entra has it: and came with it
    Reason:                InUse
    Status:                False
    Type:                  HandedOver
Events:
  Type     Reason        Age   From           Message
"""


def execution(
    *, sent: int = 0, rejected: dict[int, int] | None = None, began: bool = True, reason: Reason | None = None
) -> Execution:
    report = CycleReport((), (), (), (), (), (), (), {}, sent, rejected or {}, None)
    cycle = Cycle(report, None, None) if began else None
    return Execution("1", NOW, NOW, ExecutionState.SUCCEEDED, None, cycle, 0, reason)


def test_the_played_entra_has_the_ids_of_the_example_as_it_stands() -> None:
    assert ids_of((ROOT / EXAMPLE).read_text(encoding="utf-8")) == Ids(
        namespace="identity",
        account="entra-hand-over",
        tenant="3f2504e0-4f89-11d3-9a0c-0305e82c3301",
        client="0c9e37a2-5b0f-4b8e-9d0a-2d1f6a0c9e37",
        service_principal="7a1f6c52-6d0e-4a53-8a5e-5b0f2f0e9d0a",
    )


def test_an_example_without_spec_entra_is_refused() -> None:
    with pytest.raises(DemoFailed, match=r"spec\.entra"):
        ids_of((ROOT / "examples/scimtoken.yaml").read_text(encoding="utf-8"))


def test_cycles_are_counted_with_their_requests() -> None:
    assert Cycles.of([execution(sent=7), execution(sent=2, rejected={})]) == Cycles(2, 9, 0, 0)


def test_each_refused_request_and_each_cycle_that_could_not_begin_counts_as_refused() -> None:
    cycles = [execution(sent=3, rejected={401: 2, 404: 1}), execution(began=False)]
    assert Cycles.of(cycles) == Cycles(2, 3, 4, 0)


def test_a_cycle_that_leads_to_quarantine_is_counted_as_such() -> None:
    assert Cycles.of([execution(began=False, reason=Reason.BAD_CREDENTIALS)]) == Cycles(1, 0, 1, 1)


def test_columns_are_cut_out_of_a_table_whose_names_have_spaces_and_whose_cells_are_empty() -> None:
    assert columns(WIDE, ("NAME", "NEXT ROTATION", "ENTRA", "JOB")).splitlines() == [
        "NAME    NEXT ROTATION          ENTRA   JOB",
        "entra   2027-01-28T18:15:46Z   InUse   Quarantined",
        "other                                  NotRun",
    ]


def test_conditions_are_read_out_of_a_description_in_the_order_asked_for() -> None:
    assert described(DESCRIBED, ("HandedOver", "Provisioning", "Missing")).splitlines() == [
        "HandedOver    False  InUse: Entra has it: and came with it",
        "Provisioning  True   Active: the job is active; its last cycle ended at 2026-11-29T18:15:55Z with Succeeded",
    ]


def test_nothing_passes_a_closed_way_and_everything_an_open_one() -> None:
    way = Way(httpx.MockTransport(lambda _request: httpx.Response(204)))
    with httpx.Client(transport=way) as client:
        way.is_open = False
        with pytest.raises(httpx.ConnectError):
            client.get("http://127.0.0.1/scim/v2/Users")
        way.is_open = True
        assert client.get("http://127.0.0.1/scim/v2/Users").status_code == 204
