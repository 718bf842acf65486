"""When the demo takes a kind for served."""

from typing import Any

import pytest

from demo.installation import is_established


@pytest.mark.parametrize(
    ("status", "established"),
    [
        (None, False),
        ({"conditions": None}, False),
        ({"conditions": []}, False),
        ({"conditions": [{"type": "NamesAccepted", "status": "True"}]}, False),
        ({"conditions": [{"type": "Established", "status": "False"}]}, False),
        (
            {
                "conditions": [
                    {"type": "NamesAccepted", "status": "True"},
                    {"type": "Established", "status": "True"},
                ]
            },
            True,
        ),
    ],
)
def test_a_kind_is_established_by_its_condition_which_a_new_one_lacks(
    status: dict[str, Any] | None, established: bool
) -> None:
    crd: dict[str, Any] = {"metadata": {}} if status is None else {"metadata": {}, "status": status}
    assert is_established(crd) is established
