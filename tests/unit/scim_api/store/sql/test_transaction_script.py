"""Scripts that both drivers run."""

import pytest

from scim_api.store.sql.transaction_script import Statement, number_placeholders, run_all


@pytest.mark.parametrize(
    ("sql", "numbered"),
    [
        ("SELECT 1", "SELECT 1"),
        ("SELECT ?", "SELECT $1"),
        ("a = ? AND b IN (?, ?)", "a = $1 AND b IN ($2, $3)"),
        (", ".join("?" * 11), ", ".join(f"${n}" for n in range(1, 12))),
    ],
)
def test_placeholders_are_numbered_from_one(sql: str, numbered: str) -> None:
    assert number_placeholders(sql) == numbered


def test_statements_run_one_after_the_other_whatever_their_rows() -> None:
    wanted = [Statement("a"), Statement("b", (1,))]
    script = run_all(wanted)
    asked = [next(script), script.send([("a row",)])]
    with pytest.raises(StopIteration) as end:
        script.send([])
    assert (asked, end.value.value) == (wanted, None)


def test_no_statements_are_a_script_that_ends_at_once() -> None:
    assert list(run_all([])) == []


def test_a_statement_has_no_parameters_unless_it_says_so() -> None:
    assert Statement("a") == ("a", ())
