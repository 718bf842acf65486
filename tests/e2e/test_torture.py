"""A bounded campaign: every kind of fault about once, and no promise broken. ``make torture`` runs longer ones."""

import pytest

from localcluster import Tools
from torture.campaign import campaign

SECONDS = 75.0
SEED = 20261123


@pytest.mark.timeout(420)
def test_no_promise_is_broken_while_everything_is_killed_frozen_and_edited(tools: Tools) -> None:
    result = campaign(SEED, SECONDS, print, tools)

    assert result.violations == [], result.table()
    assert result.rotations >= 6
    assert sum(result.faults.values()) >= 8
    assert result.counts.served > 500
    assert result.counts.refused > 20
    assert result.people > 20
