"""What is shown of measurements, and how it comes onto the page."""

import dataclasses
import json
from pathlib import Path

from bench import goals, peers, picture
from bench.compare import tables
from bench.contenders import BARE, COMPILED, OURS, PEERS
from bench.load import Sample
from bench.results import Key, Results, inserted, markdown, raw, table
from bench.workloads import ACCESS_TOKEN, NAMES

DOCS = Path(__file__).resolve().parents[2] / "docs"
EVERY = (*OURS, *BARE, *PEERS)


def sample(rate: float, latency: float = 0.001) -> Sample:
    return Sample(round(rate), 1.0, [latency] * 100, 0.1)


def results(of_ours: float, *, p99: float = 0.001, compiled: float = 1_000, mebibytes: int = 70) -> Results:
    """Bare references reach 1,000/s at 1,000 people, interpreted peers 100/s, and ours ``of_ours``."""
    made = Results(pace=200.0)
    for contender in EVERY:
        rate = 100.0
        if contender in (*OURS, *BARE, *COMPILED):
            rate = of_ours if contender in OURS else 1_000 if contender in BARE else compiled
        for count in (1_000, 1_000_000) if contender in OURS else (1_000,):
            for name in NAMES:
                made.saturated[Key(contender, count, name)] = [sample(rate), sample(rate)]
    for contender in OURS:
        for count in (1_000, 1_000_000):
            key = Key(contender, count, "Entra mix")
            made.paced[key] = [sample(200, p99 if count > 1_000 else 0.001)] * 2
            made.memory[contender, count] = mebibytes * 1024**2
            made.first_answer[contender, count] = 0.7
    for contender in COMPILED:
        for name, reason in peers.ALL[contender].cannot.items():
            key = Key(contender, 1_000, name)
            del made.saturated[key]
            made.cannot[key] = reason
    return made


def everything(made: Results) -> dict[str, object]:
    return {**raw(made), "goals": [dataclasses.asdict(one) for one in goals.verdicts(made)]}


def missed(made: Results) -> list[tuple[str, str]]:
    return [(verdict.database, verdict.goal) for verdict in goals.verdicts(made) if not verdict.met]


def test_goals_that_are_met_are_met() -> None:
    assert missed(results(1_201)) == []


def test_a_rate_below_the_bare_reference_is_missed_where_it_has_to_be_reached() -> None:
    found = missed(results(950))

    for database in ("SQLite", "PostgreSQL"):
        for workload in ("filter userName", "filter e-mail", "get", "list 100", "create"):
            assert (database, f"{workload}, times bare") in found
    assert ("SQLite", "patch, times bare") in found
    assert ("PostgreSQL", "patch, times bare") not in found


def test_a_rate_below_twice_the_better_interpreted_server_is_missed_and_names_the_workload() -> None:
    made = results(1_201)
    slow = Key("ours, SQLite", 1_000, "create")
    made.saturated[slow] = [sample(199), sample(199)]

    verdict = next(one for one in goals.verdicts(made) if one.goal.startswith("every workload"))

    assert (verdict.met, verdict.found) == (False, "1.99 (create), the others more")


def test_compiled_servers_have_to_be_reached_in_what_they_can_do() -> None:
    found = missed(results(1_201, compiled=1_300))

    for peer in COMPILED:
        for workload in ("filter userName", "list 100", "patch", "Entra mix"):
            assert ("SQLite", f"{workload}, times {peer}") in found
    assert not [goal for _, goal in found if goal.startswith(("get", "create", "filter e-mail"))]
    assert ("SQLite", "create, times elimity-com/scim") in missed(results(1_201, compiled=2_100))


def test_latencies_that_grow_with_people_are_missed() -> None:
    assert [goal for _, goal in missed(results(1_201, p99=0.0012)) if "p99" in goal]


def test_memory_is_judged_at_each_size() -> None:
    goal = "memory with {:,} users".format

    assert {(kind, goal(size)) for kind in goals.DATABASES for size in (1_000, 1_000_000)} == set(
        missed(results(1_201, mebibytes=81))
    )


def test_table_picture_and_raw_data_have_every_contender() -> None:
    made = results(1_201)
    shown = table(made), picture.draw(made), json.dumps(raw(made)), markdown(raw(made))

    for contender in EVERY:
        assert all(contender in text for text in shown)


def test_a_workload_that_a_contender_has_not_is_shown_as_such() -> None:
    made = results(1_201)
    for key in [key for key in made.saturated if key.workload == ACCESS_TOKEN and key.contender not in OURS]:
        del made.saturated[key]

    line = next(line for line in markdown(raw(made)).splitlines() if line.startswith("| SCIMMY"))

    assert line.endswith("| – |")
    assert missed(made) == []
    assert "SCIMMY" in table(made)
    assert picture.draw(made)


def test_what_a_contender_cannot_do_is_no_zero_and_has_its_reason_in_the_raw_data() -> None:
    made = results(1_201)

    line = next(line for line in markdown(raw(made)).splitlines() if line.startswith("| elimity-com/scim"))

    assert line.split(" | ")[2] == "cannot"
    assert "cannot" in next(line for line in table(made).splitlines() if "elimity" in line)
    assert picture.draw(made).count(">cannot<") == len(COMPILED)
    reasons = {one["contender"]: one["reason"] for one in raw(made)["cannot"]}
    assert "value path" in reasons["elimity-com/scim"]


def test_each_goal_is_one_line_with_a_column_for_each_database() -> None:
    lines = goals.markdown(everything(results(950))["goals"]).splitlines()  # type: ignore[arg-type]

    assert lines[0] == "| goal | wanted | SQLite | PostgreSQL |"
    assert len({line.split(" | ")[0] for line in lines[2:]}) == len(lines) - 2
    line = next(line for line in lines if "patch, times bare" in line)
    found = "0.95 (0.95 to 0.95)"
    assert line == f"| patch, times bare | ≥ 1.0 / ≥ 0.9 | **{found}**, missed | {found} |"


def test_the_page_shows_what_the_raw_data_beside_it_says() -> None:
    page = (DOCS / "performance.md").read_text()

    assert inserted(page, tables(json.loads((DOCS / "requests.json").read_text()))) == page
