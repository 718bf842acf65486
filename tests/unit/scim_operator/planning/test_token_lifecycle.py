"""Single situations of a ScimToken's life, on in-memory ports: what is done, and what people are told."""

import json
from datetime import timedelta

import pytest

from scim_operator.api.custom_object import ROTATE_ANNOTATION
from scim_operator.api.scimtoken import REVOKE_ANNOTATION, TOKENS_ANNOTATION
from scim_operator.controller.workqueue import Result
from scim_operator.planning.ports import ScimApiRejected
from support.operator_world import ENDPOINT
from support.token_life import Life, begun, life, quiet, rotated

__all__ = ["life", "quiet"]

SECRET = "entra-scim-token"


async def test_the_first_token_comes_in_the_order_that_survives_every_interleaving(life: Life) -> None:
    await begun(life)
    assert life.steps == [
        "get-connection",
        "read-token",
        "read-secret",
        "list-secrets",
        "read-namespace",
        "write-next-token",
        "put-connection",
        "verify",
        "promote",
        "apply-status",
    ]
    secret = life.world.secret()
    assert set(secret) == {"endpoint", "token", "token-id", "expires-at"}
    assert secret["endpoint"] == ENDPOINT
    assert secret["expires-at"] == "2026-04-01T00:00:00Z"


async def test_a_look_at_what_is_in_order_writes_nothing(life: Life) -> None:
    await begun(life)
    before = (
        life.world.statuses,
        life.world.revision,
        life.world.secrets[SECRET].version,
        len(life.world.events),
    )
    outcome = await life.reconcile()
    assert (
        life.world.statuses,
        life.world.revision,
        life.world.secrets[SECRET].version,
        len(life.world.events),
    ) == before
    assert outcome == Result(timedelta(days=60))


async def test_a_deleted_secret_gets_a_new_token_and_the_old_ones_stay_accepted_to_their_end(
    life: Life,
) -> None:
    first = await begun(life)
    second = await rotated(life)
    life.world.secrets.clear()
    await life.reconcile()
    third = life.world.secret()["token"]
    assert all(life.world.accepts(token) for token in (first, second, third))
    assert life.states() == ["Active", "Superseded", "Superseded"]


async def test_a_damaged_record_is_mended_from_what_the_api_knows(life: Life) -> None:
    first = await begun(life)
    second = await rotated(life)
    before = json.loads(life.world.secrets[SECRET].annotations[TOKENS_ANNOTATION])
    life.world.secrets[SECRET].annotations[TOKENS_ANNOTATION] = "{broken"
    await life.reconcile()
    after = json.loads(life.world.secrets[SECRET].annotations[TOKENS_ANNOTATION])
    assert [item["id"] for item in after["tokens"]] == [item["id"] for item in before["tokens"]]
    assert life.world.accepts(first)
    assert life.world.accepts(second)


async def test_a_lost_database_is_rebuilt_from_the_record(life: Life) -> None:
    first = await begun(life)
    second = await rotated(life)
    life.world.lose_database()
    assert not life.world.accepts(second)
    await life.reconcile()
    assert life.world.accepts(first)
    assert life.world.accepts(second)
    assert life.world.secret()["token"] == second


@pytest.mark.parametrize(("overlap", "hours"), [("0s", 0), ("2h", 2)])
async def test_overlap_ends_a_superseded_token_exactly_then(life: Life, overlap: str, hours: int) -> None:
    first = await begun(life, overlap=overlap)
    second = await rotated(life)
    life.world.now += timedelta(hours=hours) - timedelta(seconds=1)
    assert life.world.accepts(first) is (hours > 0)
    life.world.now += timedelta(seconds=1)
    assert not life.world.accepts(first)
    assert life.world.accepts(second)
    await life.reconcile()
    assert life.states()[0] == "Active"
    assert "Superseded" not in life.states()


async def test_a_changed_overlap_acts_on_tokens_superseded_before(life: Life) -> None:
    first = await begun(life)
    await rotated(life)
    life.world.now += timedelta(hours=3)
    life.world.apply(overlap="4h")
    await life.reconcile()
    assert life.world.accepts(first)
    life.world.now += timedelta(hours=1)
    assert not life.world.accepts(first)


async def test_a_shorter_lifetime_brings_the_rotation_forward_and_kills_nothing(life: Life) -> None:
    first = await begun(life, lifetime="90d")
    life.world.now += timedelta(days=10)
    life.world.apply(lifetime="9d")
    await life.reconcile()
    assert life.world.secret()["token"] != first
    assert life.world.accepts(first)


async def test_a_longer_lifetime_never_extends_an_issued_token(life: Life) -> None:
    first = await begun(life, lifetime="9d", rotateBefore="3d")
    life.world.apply(lifetime="90d", rotateBefore="3d")
    await life.reconcile()
    life.world.now += timedelta(days=6)
    await life.reconcile()
    assert life.world.secret()["token"] != first
    life.world.now += timedelta(days=3)
    assert not life.world.accepts(first)


async def test_revoking_all_before_a_time_replaces_the_present_one_first(life: Life) -> None:
    first = await begun(life)
    life.world.now += timedelta(hours=1)
    life.world.annotate(REVOKE_ANNOTATION, "all-before/2026-01-01T00:30:00Z")
    await life.reconcile()
    second = life.world.secret()["token"]
    assert second != first
    assert (life.world.accepts(first), life.world.accepts(second)) == (False, True)
    await life.reconcile()
    assert life.world.secret()["token"] == second
    assert life.states() == ["Active", "Revoked"]


async def test_revoking_the_present_token_by_id_replaces_it_first(life: Life) -> None:
    first = await begun(life)
    life.world.annotate(REVOKE_ANNOTATION, life.world.secret()["token-id"])
    await life.reconcile()
    assert not life.world.accepts(first)
    assert life.world.accepts(life.world.secret()["token"])


@pytest.mark.parametrize("value", ["all-before/yesterday", "all-before/2099-01-01T00:00:00Z"])
async def test_a_revocation_that_cannot_be_understood_is_told_and_changes_nothing(
    life: Life, value: str
) -> None:
    first = await begun(life)
    life.world.annotate(REVOKE_ANNOTATION, value)
    await life.reconcile()
    await life.reconcile()
    assert life.world.secret()["token"] == first
    assert life.world.condition()["status"] == "True"
    assert "all-before/" in life.world.condition()["message"]
    assert [reason for _, reason, _ in life.world.events].count("InvalidRevoke") == 1


async def test_a_foreign_secret_is_not_touched(life: Life) -> None:
    first = await begun(life)
    life.world.secrets[SECRET].owner = "somebody else"
    life.world.annotate(ROTATE_ANNOTATION, "x")
    outcome = await life.reconcile()
    assert outcome.requeue
    assert life.world.secret()["token"] == first
    assert (life.world.condition()["status"], life.world.condition()["reason"]) == ("False", "SecretNotOwned")
    assert life.world.condition("Published")["reason"] == "SecretNotOwned"


async def test_the_api_down_is_told_with_how_long_the_token_is_good(life: Life) -> None:
    first = await begun(life)
    life.world.api_down = True
    life.world.annotate(ROTATE_ANNOTATION, "x")
    assert (await life.reconcile()).requeue
    ready = life.world.condition()
    assert (ready["status"], ready["reason"]) == ("Unknown", "ScimApiUnreachable")
    assert "2026-04-01" in ready["message"]
    assert life.world.secret()["token"] == first
    life.world.api_down = False
    await life.reconcile()
    assert life.world.condition()["status"] == "True"
    assert life.world.secret()["token"] != first


async def test_a_token_that_is_not_proved_is_not_published_and_is_promoted_later(life: Life) -> None:
    first = await begun(life)
    life.world.proof_fails = True
    life.world.annotate(ROTATE_ANNOTATION, "x")
    assert (await life.reconcile()).requeue
    coming = life.world.secret()["next-token"]
    assert life.world.secret()["token"] == first
    assert life.world.condition("Published")["reason"] == "VerificationFailed"
    life.world.proof_fails = False
    await life.reconcile()
    assert life.world.secret()["token"] == coming


async def test_a_conflict_of_settings_names_what_differs(life: Life) -> None:
    life.world.apply()
    life.world.refuse = ScimApiRejected(
        "SettingsConflict", "team/other opens the same tenant with another groups", ("groups",)
    )
    await life.reconcile()
    assert life.world.condition()["reason"] == "SettingsConflict"
    assert "groups" in life.world.condition()["message"]
    assert "token" not in life.world.secret()


async def test_a_suspended_one_is_not_rotated_but_repaired_and_says_until_when_that_is_safe(
    life: Life,
) -> None:
    first = await begun(life)
    life.world.apply(suspend=True)
    assert await rotated(life) == first
    assert "suspended" in life.world.condition()["message"]
    assert "2026-04-01" in life.world.condition()["message"]
    life.world.secrets.clear()
    await life.reconcile()
    assert life.world.accepts(life.world.secret()["token"])


async def test_a_superseded_token_in_use_is_told_in_time_without_anything_happening(life: Life) -> None:
    """From one reconcile to the next that the operator itself asked for; Entra comes every 40 minutes."""
    first = await begun(life, lifetime="90d")
    ends = life.world.published[first]
    life.world.now = ends - timedelta(days=30)
    while life.world.now < ends:
        life.world.use(first)
        outcome = await life.reconcile()
        if life.world.condition("SupersededTokenInUse")["status"] == "True":
            break
        assert outcome.requeue_after is not None
        life.world.now += outcome.requeue_after
    assert life.world.now == ends - timedelta(days=7)
    said = life.world.condition("SupersededTokenInUse")["message"]
    for part in ("Azure-AD-SCIM", "Secret team/entra-scim-token", "key token", "Secret Token", "2026-03-25"):
        assert part in said
    assert said in [text for kind, reason, text in life.world.events if reason == "SupersededTokenInUse"]
    assert life.world.condition()["status"] == "True"


async def test_the_warning_ends_soon_after_the_new_token_was_pasted(life: Life) -> None:
    first = await begun(life, overlap="8d")
    life.world.now += timedelta(minutes=1)
    second = await rotated(life)
    life.world.now += timedelta(days=7)
    life.world.use(first)
    await life.reconcile()
    assert life.world.condition("SupersededTokenInUse")["status"] == "True"
    life.world.now += timedelta(hours=2)
    life.world.use(second)
    await life.reconcile()
    assert life.world.condition("SupersededTokenInUse")["status"] == "False"


async def test_a_warning_is_repeated_once_a_day_not_with_each_look(life: Life) -> None:
    first = await begun(life, overlap="20d")
    await rotated(life)
    life.world.now += timedelta(days=16)
    for _ in range(72):
        life.world.use(first)
        await life.reconcile()
        life.world.now += timedelta(hours=1)
    assert [reason for _, reason, _ in life.world.events].count("SupersededTokenInUse") == 3


async def test_more_than_sixteen_tokens_are_refused_with_the_way_out(life: Life) -> None:
    await begun(life)
    for number in range(20):
        life.world.now += timedelta(minutes=1)
        life.world.annotate(ROTATE_ANNOTATION, str(number))
        await life.reconcile()
    assert life.world.live() == 16
    assert life.world.condition()["reason"] == "TooManyTokens"
    assert "all-superseded" in life.world.condition()["message"]
    life.world.annotate(REVOKE_ANNOTATION, "all-superseded")
    await life.reconcile()
    await life.reconcile()
    assert life.world.condition()["status"] == "True"
    assert life.world.live() == 1


async def test_the_time_of_a_condition_moves_only_when_it_flips(life: Life) -> None:
    await begun(life)
    since = life.world.condition()["lastTransitionTime"]
    life.world.now += timedelta(days=1)
    await rotated(life)
    assert life.world.condition()["lastTransitionTime"] == since
    life.world.api_down = True
    await life.reconcile()
    assert life.world.condition()["lastTransitionTime"] != since


async def test_no_plaintext_is_in_status_events_or_annotations(life: Life) -> None:
    await begun(life)
    await rotated(life)
    assert life.world.object is not None
    told = json.dumps(life.world.object) + repr(life.world.events)
    told += repr([secret.annotations for secret in life.world.secrets.values()])
    assert "sct_" not in told


async def test_an_annotation_that_flaps_rotates_once_a_minute_and_says_so(life: Life) -> None:
    await begun(life, overlap="0s", lifetime="3650d")
    tokens = set()
    for number in range(120):
        life.world.annotate(ROTATE_ANNOTATION, str(number))
        outcome = await life.reconcile()
        tokens.add(life.world.secret()["token"])
        life.world.now += timedelta(seconds=1)
    assert len(tokens) == 2
    assert outcome.requeue_after == timedelta(seconds=1)
    ready = life.world.condition()
    assert ready["status"] == "True"
    assert "is done at 2026-01-01T00:02:00Z" in ready["message"]
    reasons = [reason for _, reason, _ in life.world.events]
    assert (reasons.count("RotatedOnRequest"), reasons.count("RotationDelayed")) == (2, 2)

    await life.reconcile()
    assert life.world.secret()["token"] not in tokens
    assert "is done at" not in life.world.condition()["message"]


async def test_a_revoked_token_that_the_api_forgot_by_its_id_is_not_listed_again(life: Life) -> None:
    first = await begun(life)
    world = life.world
    world.revoked_before = world.now
    world.credentials.clear()
    world.now += timedelta(days=1)
    world.revision += 1
    await life.reconcile()
    assert world.secret()["token"] != first
    assert world.accepts(world.secret()["token"])
    assert world.live() == 1
