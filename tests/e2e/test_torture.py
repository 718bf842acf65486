"""Bounded campaigns, without hand-over and with it: no promise is broken. ``make torture`` runs longer ones."""

import pytest

from localcluster import Tools
from torture.campaign import campaign

SECONDS = 75.0
SEED = 20261123
HAND_OVER_SECONDS = 32.0
HAND_OVER_SEED = 149015
"""Of its faults none makes anybody wait for the minute after which a save is repeated."""


@pytest.mark.timeout(420)
def test_no_promise_is_broken_while_everything_is_killed_frozen_and_edited(tools: Tools) -> None:
    result = campaign(SEED, SECONDS, print, tools)

    assert result.violations == [], result.table()
    assert result.rotations >= 6
    assert sum(result.faults.values()) >= 8
    assert result.counts.served > 500
    assert result.counts.refused > 20
    assert result.people > 20


@pytest.mark.timeout(420)
def test_what_entra_holds_is_accepted_at_every_instant_whatever_fails_at_either_side(tools: Tools) -> None:
    result = campaign(HAND_OVER_SEED, HAND_OVER_SECONDS, print, tools, hand_over=True)

    assert result.violations == [], result.table()
    assert result.entra is not None
    assert result.entra.applications == 2
    assert result.entra.used >= 4
    assert result.entra.answers > 40
    assert result.entra.met.total() >= 3
    assert sum(result.faults.values()) >= 5
