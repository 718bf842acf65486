"""What is concluded from measurements, and how it comes onto the page."""

import json
from pathlib import Path

from bench import picture
from bench.contenders import BARE, OURS, PEERS
from bench.load import Sample
from bench.results import Key, Results, inserted, markdown, raw, table, verdicts
from bench.workloads import ACCESS_TOKEN, NAMES

DOCS = Path(__file__).resolve().parents[2] / "docs"


def sample(rate: float, latency: float = 0.001) -> Sample:
    return Sample(round(rate), 1.0, [latency] * 100, 0.1)


def results(of_ours: float, *, p99: float = 0.001) -> Results:
    """All contenders at 1,000 people reach 1,000/s, peers 100/s, and ours ``of_ours``."""
    made = Results(pace=200.0)
    for contender in (*OURS, *BARE, *PEERS):
        rate = of_ours if contender in OURS else 1_000 if contender in BARE else 100
        for count in (1_000, 1_000_000) if contender in OURS else (1_000,):
            for name in NAMES:
                made.saturated[Key(contender, count, name)] = [sample(rate), sample(rate)]
    for contender in OURS:
        for count in (1_000, 1_000_000):
            key = Key(contender, count, "Entra mix")
            made.paced[key] = [sample(200, p99 if count > 1_000 else 0.001)] * 2
            made.memory[contender, count] = 100 * 1024**2
            made.first_answer[contender, count] = 1.0
    return made


def missed(made: Results) -> list[str]:
    return [verdict.goal for verdict in verdicts(made) if not verdict.met]


def test_goals_that_are_met_are_met() -> None:
    assert missed(results(1_001)) == []


def test_a_rate_below_the_bare_reference_is_missed_where_it_has_to_be_reached() -> None:
    found = missed(results(850))

    assert len([goal for goal in found if "SQLite, " in goal and "by bare" in goal]) == 6
    assert [goal for goal in found if goal.startswith("ours, PostgreSQL, patch")] == []
    assert [goal for goal in found if goal.startswith("ours, PostgreSQL, create, by bare")] != []


def test_a_rate_below_twice_the_best_peer_is_missed() -> None:
    assert [goal for goal in missed(results(199)) if "by scim2-server" in goal or "by SCIMMY" in goal]


def test_latencies_that_grow_with_people_are_missed() -> None:
    assert [goal for goal in missed(results(1_001, p99=0.0013)) if "p99" in goal]


def test_table_picture_and_raw_data_have_every_contender() -> None:
    made = results(1_001)
    shown = table(made), picture.draw(made), json.dumps(raw(made))

    for contender in (*OURS, *BARE, *PEERS):
        assert all(contender in text for text in shown)


def test_a_workload_that_a_contender_has_not_is_shown_as_such() -> None:
    made = results(1_001)
    for key in [key for key in made.saturated if key.workload == ACCESS_TOKEN and key.contender not in OURS]:
        del made.saturated[key]

    line = next(line for line in markdown(raw(made)).splitlines() if line.startswith("| SCIMMY"))

    assert line.endswith("| – |")
    assert missed(made) == []
    assert "SCIMMY" in table(made)
    assert picture.draw(made)


def test_the_page_shows_what_the_raw_data_beside_it_says() -> None:
    page = (DOCS / "performance.md").read_text()

    assert inserted(page, json.loads((DOCS / "requests.json").read_text())) == page
