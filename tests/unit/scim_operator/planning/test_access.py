"""``spec.access: ReadOnly`` through the real reconciler: a token for an application that reads."""

import json
from datetime import timedelta
from typing import Any, Final

import pytest

from scim_api.contract.admin import Matching, TenantSettings
from scim_operator.api.custom_object import ROTATE_ANNOTATION
from scim_operator.api.scimtoken import REVOKE_ANNOTATION
from support.auth_life import OAUTH, events, identity, ready
from support.token_life import Life, begun, life, quiet, rotated

__all__ = ["life", "quiet"]

READER: Final[dict[str, Any]] = {"access": "ReadOnly"}
SETTINGS = TenantSettings(matching=Matching.USER_NAME, deletion_policy="Delete")


def said(life: Life) -> str:
    """All that conditions and Events say."""
    assert life.world.object is not None
    return json.dumps([life.world.object["status"]["conditions"], life.world.events])


async def test_a_reader_has_secret_and_rotation_as_any_other(life: Life) -> None:
    first = await begun(life, **READER)
    assert life.world.access == "ReadOnly"
    assert life.world.accepts(first)
    second = await rotated(life)
    assert second != first
    assert life.world.accepts(first)
    assert life.world.accepts(second)
    assert life.states() == ["Active", "Superseded"]
    assert life.world.access == "ReadOnly"
    await life.reconcile()
    assert "put-connection" not in life.steps


async def test_the_tenants_settings_are_left_alone_whatever_they_become(life: Life) -> None:
    await begun(life, **READER)
    life.world.settings = SETTINGS
    await life.reconcile()
    assert "put-connection" not in life.steps
    await rotated(life)
    assert life.world.settings == SETTINGS
    life.world.annotate(REVOKE_ANNOTATION, "all-superseded")
    await life.reconcile()
    assert (life.world.live(), life.world.settings, life.world.access) == (1, SETTINGS, "ReadOnly")


async def test_its_deletion_changes_no_policy_of_the_tenant(life: Life) -> None:
    await begun(life, **READER)
    life.world.settings = SETTINGS
    assert life.world.object is not None
    life.world.object["metadata"]["finalizers"] = ["foregroundDeletion"]
    life.world.delete()
    await life.reconcile()
    assert not life.world.exists
    assert "put-connection" not in life.steps


@pytest.mark.parametrize("spec", [{}, OAUTH, identity("s1")], ids=["token", "secret", "identity"])
async def test_nothing_that_people_are_told_of_a_reader_is_about_entra(
    life: Life, spec: dict[str, object]
) -> None:
    await ready(life, **READER, **spec)
    [first] = life.world.credentials
    life.world.annotate(ROTATE_ANNOTATION, "now")
    await life.reconcile()
    life.world.now += timedelta(days=89, hours=23)
    life.world.use_credential(first, "report")
    await life.reconcile()
    assert "Entra" not in said(life)
    if not spec:
        warning = life.world.condition("SupersededTokenInUse")
        assert (warning["status"], warning["reason"]) == ("True", "InUse")
        assert (
            "have the application read key token of Secret team/entra-scim-token again" in warning["message"]
        )


async def test_until_in_use_waits_for_whoever_reads(life: Life) -> None:
    first = await begun(life, **READER, overlap="untilInUse")
    second = await rotated(life)
    life.world.now += timedelta(hours=2)
    life.world.use(first, "report")
    await life.reconcile()
    assert life.world.accepts(first)
    life.world.now += timedelta(hours=2)
    life.world.use(second, "report")
    await life.reconcile()
    assert [life.world.accepts(token) for token in (first, second)] == [False, True]


async def test_an_api_of_the_release_before_would_let_it_write_and_gets_no_token(life: Life) -> None:
    life.world.knows_access = False
    life.world.apply(**READER)
    for _ in range(3):
        await life.reconcile()
    condition = life.world.condition()
    assert (condition["status"], condition["reason"]) == ("False", "AccessNotSupported")
    assert condition["message"].startswith("upgrade the SCIM API: ")
    assert (life.world.live(), life.made) == (0, 1)
    assert "token" not in life.world.secret()
    life.world.knows_access = True
    await life.reconcile()
    assert life.world.accepts(life.world.secret()["token"])
    assert life.world.access == "ReadOnly"


async def test_an_api_of_the_release_before_still_revokes(life: Life) -> None:
    first = await begun(life, **READER)
    second = await rotated(life)
    life.world.knows_access = False
    life.world.annotate(REVOKE_ANNOTATION, "all-superseded")
    await life.reconcile()
    assert [life.world.accepts(token) for token in (first, second)] == [False, True]
    assert life.world.condition()["reason"] == "AccessNotSupported"
    assert "Revoked" in events(life)


async def test_what_an_operator_of_the_release_before_let_write_is_read_only_from_now_on(life: Life) -> None:
    token = await begun(life)
    before = life.world.connection().access
    life.world.apply(**READER)
    await life.reconcile()
    assert (before, life.world.connection().access) == ("ReadWrite", "ReadOnly")
    assert life.world.secret()["token"] == token
    assert life.world.accepts(token)


async def test_a_connection_that_only_reads_is_not_made_to_write(life: Life) -> None:
    token = await begun(life, **READER)
    life.world.apply(access="ReadWrite", matching="userName")
    await life.reconcile()
    condition = life.world.condition()
    assert (condition["status"], condition["reason"]) == ("False", "AccessImmutable")
    assert life.world.access == "ReadOnly"
    assert life.world.accepts(token)
