"""What a reconcile does when somebody or something refuses, and when people change their minds late."""

import json
from collections.abc import Collection, Iterator
from datetime import timedelta
from typing import Any

import pytest
import structlog

from scim_operator.api.custom_object import ROTATE_ANNOTATION
from scim_operator.api.scimtoken import REVOKE_ANNOTATION, TOKENS_ANNOTATION, ScimToken
from scim_operator.controller.reconciler import Reconciler
from scim_operator.controller.workqueue import Result
from scim_operator.planning.ports import NotLeading, ScimApiRejected, SecretDraft, SecretSnapshot
from support.operator_ports import FakeApi, FakeCluster, FakeVerifier
from support.operator_world import ENDPOINT, INSTALLATION, KEY, LEDGER_KEY, World

SECRET = "entra-scim-token"
CONFLICT = ScimApiRejected("SettingsConflict", "team/other opens this tenant with other groups", ("groups",))


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    yield
    structlog.reset_defaults()


@pytest.fixture
def world() -> World:
    return World()


async def at_once(_seconds: float) -> None:
    """A lost write is followed by another reconcile at once."""


async def reconcile(
    world: World,
    cluster: FakeCluster | None = None,
    endpoint: str = ENDPOINT,
    denied: Collection[str] = (),
) -> Result:
    """One reconcile by a fresh operator."""
    one = Reconciler(
        api=FakeApi(world),
        cluster=cluster or FakeCluster(world),
        verifier=FakeVerifier(world),
        endpoint=endpoint,
        ledger_key=LEDGER_KEY,
        installation_id=INSTALLATION,
        pause=at_once,
        clock=lambda: world.now,
        denied_metadata=denied,
    )
    return await one.reconcile(KEY)


async def begun(world: World, **spec: Any) -> str:
    world.apply(**spec)
    await reconcile(world)
    return world.secret()["token"]


async def test_people_stay_when_delete_was_changed_to_retain_right_before_the_deletion(world: World) -> None:
    token = await begun(world, deletionPolicy="Delete")
    world.apply(deletionPolicy="Retain")
    world.delete()
    await reconcile(world)
    assert not world.purging
    assert world.object is None
    assert not world.accepts(token)


async def test_people_go_when_the_policy_says_delete(world: World) -> None:
    await begun(world, deletionPolicy="Delete")
    world.delete()
    await reconcile(world)
    assert world.purging


async def test_a_late_policy_that_the_api_refuses_does_not_keep_the_object_for_ever(world: World) -> None:
    token = await begun(world, deletionPolicy="Delete")
    world.apply(deletionPolicy="Retain")
    world.delete()
    world.refuse = CONFLICT
    await reconcile(world)
    assert not world.accepts(token)
    assert not world.exists


@pytest.mark.parametrize("code", ["SettingsConflict", "MatchingImmutable"])
async def test_refused_settings_stop_no_rotation_and_are_told(world: World, code: str) -> None:
    first = await begun(world)
    world.refuse = ScimApiRejected(code, "the settings differ in groups", ("groups",))
    world.apply(groups="Disabled")
    world.now += timedelta(days=60)
    outcome = await reconcile(world)
    second = world.secret()["token"]
    assert second != first
    assert world.accepts(first)
    assert world.accepts(second)
    assert outcome.requeue
    assert (world.condition()["status"], world.condition()["reason"]) == ("False", code)
    assert world.condition("Registered")["reason"] == code
    assert world.condition("Published")["status"] == "True"
    assert world.settings is not None
    assert world.settings.groups == "Enabled"


async def test_refused_settings_stop_no_revocation(world: World) -> None:
    first = await begun(world)
    world.refuse = CONFLICT
    world.apply(groups="Disabled")
    world.annotate(REVOKE_ANNOTATION, world.secret()["token-id"])
    await reconcile(world)
    assert not world.accepts(first)
    assert world.accepts(world.secret()["token"])


async def test_settings_are_taken_as_soon_as_the_conflict_is_gone(world: World) -> None:
    await begun(world)
    world.refuse = CONFLICT
    world.apply(groups="Disabled")
    await reconcile(world)
    world.refuse = None
    assert not (await reconcile(world)).requeue
    assert world.condition()["status"] == "True"
    assert world.settings is not None
    assert world.settings.groups == "Disabled"


async def test_a_tenant_being_purged_is_waited_for(world: World) -> None:
    world.purging = True
    world.apply()
    assert (await reconcile(world)).requeue
    assert world.condition()["reason"] == "TenantPurging"
    assert world.secrets == {}
    world.purging = False
    await reconcile(world)
    assert world.accepts(world.secret()["token"])


async def test_a_restored_superseded_token_that_is_still_good_stays_published_and_accepted(
    world: World,
) -> None:
    first = await begun(world, overlap="2h")
    world.annotate(ROTATE_ANNOTATION, "x")
    await reconcile(world)
    world.secrets[SECRET].data["token"] = first
    await reconcile(world)
    world.now += timedelta(hours=3)
    assert world.secret()["token"] == first
    assert world.accepts(first)


async def test_a_restored_token_that_has_ended_is_replaced(world: World) -> None:
    first = await begun(world, overlap="0s")
    world.annotate(ROTATE_ANNOTATION, "x")
    await reconcile(world)
    world.secrets[SECRET].data["token"] = first
    await reconcile(world)
    assert world.secret()["token"] != first
    assert world.accepts(world.secret()["token"])
    assert not world.accepts(first)


async def test_a_longer_life_written_into_the_record_lengthens_nothing(world: World) -> None:
    token = await begun(world)
    record = json.loads(world.secrets[SECRET].annotations[TOKENS_ANNOTATION])
    record["tokens"][0]["expiresAt"] = "2030-01-01T00:00:00Z"
    world.secrets[SECRET].annotations[TOKENS_ANNOTATION] = json.dumps(record)
    await reconcile(world)
    assert "2030" not in world.secrets[SECRET].annotations[TOKENS_ANNOTATION]
    world.now += timedelta(days=90)
    assert not world.accepts(token)


async def test_a_second_name_for_a_token_in_the_record_is_not_registered(world: World) -> None:
    await begun(world)
    record = json.loads(world.secrets[SECRET].annotations[TOKENS_ANNOTATION])
    record["tokens"].append({**record["tokens"][0], "id": "copied"})
    world.secrets[SECRET].annotations[TOKENS_ANNOTATION] = json.dumps(record)
    await reconcile(world)
    assert world.live() == 1
    assert "copied" not in world.secrets[SECRET].annotations[TOKENS_ANNOTATION]


async def test_a_secret_that_may_not_be_read_is_told(world: World) -> None:
    world.secret_forbidden = True
    world.apply()
    assert await reconcile(world) == Result(requeue=True, reason="KubernetesRejected")
    assert world.condition("Published")["reason"] == "KubernetesRejected"
    assert "forbidden" in world.condition()["message"]


async def test_a_status_that_may_not_be_written_is_tried_again(world: World) -> None:
    world.status_forbidden = True
    world.apply()
    assert await reconcile(world) == Result(requeue=True, reason="KubernetesRejected")
    assert world.accepts(world.secret()["token"])


class Deposed(FakeCluster):
    """Leads no more."""

    async def create_secret(self, owner: ScimToken, draft: SecretDraft) -> SecretSnapshot:
        raise NotLeading


async def test_one_that_leads_no_more_stops_without_a_word(world: World) -> None:
    world.apply()
    with pytest.raises(NotLeading):
        await reconcile(world, Deposed(world))
    assert (world.secrets, world.statuses, world.revision) == ({}, 0, 0)


class Contended(FakeCluster):
    """Somebody writes to the Secret after each time it is read."""

    async def secret(self, owner: ScimToken, name: str) -> SecretSnapshot | None:
        view = await super().secret(owner, name)
        for held in self._world.secrets.values():
            held.version += 1
        return view


async def test_writes_that_always_lose_end_in_the_schedulers_backoff(world: World) -> None:
    first = await begun(world)
    world.annotate(ROTATE_ANNOTATION, "x")
    assert await reconcile(world, Contended(world)) == Result(requeue=True, reason="Conflict")
    assert world.secret()["token"] == first


@pytest.mark.parametrize("part", ["endpoint", "token-id", "expires-at"])
async def test_a_public_part_that_was_edited_is_put_right_and_the_token_stays(
    world: World, part: str
) -> None:
    token = await begun(world)
    before = world.secret()[part]
    world.secrets[SECRET].data[part] = "edited"
    await reconcile(world)
    assert world.secret()[part] == before
    assert world.secret()["token"] == token


async def test_another_endpoint_reaches_the_secret_and_the_status(world: World) -> None:
    token = await begun(world)
    await reconcile(world, endpoint="https://new.example.com/scim/v2")
    assert world.secret()["endpoint"] == "https://new.example.com/scim/v2"
    assert world.secret()["token"] == token
    assert world.object is not None
    assert world.object["status"]["endpoint"] == "https://new.example.com/scim/v2"


async def test_labels_of_the_spec_reach_the_secret_later_too(world: World) -> None:
    token = await begun(world)
    world.apply(secret={"labels": {"team": "identity"}, "annotations": {"example.com/mirror": "yes"}})
    await reconcile(world)
    assert world.secrets[SECRET].labels["team"] == "identity"
    assert world.secrets[SECRET].annotations["example.com/mirror"] == "yes"
    assert world.secret()["token"] == token


async def test_labels_and_annotations_taken_out_of_the_spec_leave_the_secret_and_the_token_stays(
    world: World,
) -> None:
    token = await begun(
        world, secret={"labels": {"team": "hr"}, "annotations": {"example.com/mirror": "yes"}}
    )
    world.apply()
    await reconcile(world)
    assert "team" not in world.secrets[SECRET].labels
    assert "example.com/mirror" not in world.secrets[SECRET].annotations
    assert world.secret()["token"] == token


async def test_denied_labels_and_annotations_are_left_out_and_told_and_the_token_rotates_all_the_same(
    world: World,
) -> None:
    denied = {"emberstack.com", "appscode.com"}
    template = {
        "labels": {"team": "identity", "kubed.appscode.com/sync": "x"},
        "annotations": {
            "reflector.v1.k8s.emberstack.com/reflection-allowed": "true",
            "example.com/note": "yes",
        },
    }
    world.apply(secret=template)
    await reconcile(world, denied=denied)
    first, secret = world.secret()["token"], world.secrets[SECRET]
    assert secret.labels["team"] == "identity"
    assert secret.annotations["example.com/note"] == "yes"
    assert not any(name in key for key in (*secret.labels, *secret.annotations) for name in denied)
    told = world.condition("SecretMetadataDenied")
    assert told["status"] == "True"
    for words in ("kubed.appscode.com/sync", "reflection-allowed", "operator.deniedSecretMetadata"):
        assert words in told["message"]
    assert world.condition()["status"] == "True"

    world.annotate(ROTATE_ANNOTATION, "x")
    await reconcile(world, denied=denied)
    assert world.secret()["token"] != first
    version = world.secrets[SECRET].version
    await reconcile(world, denied=denied)
    assert world.secrets[SECRET].version == version
    assert [reason for _, reason, _ in world.events].count("SecretMetadataDenied") == 1

    await reconcile(world)
    assert world.secrets[SECRET].labels["kubed.appscode.com/sync"] == "x"
    assert world.object is not None
    assert "SecretMetadataDenied" not in [item["type"] for item in world.object["status"]["conditions"]]


async def test_our_own_annotation_in_the_spec_is_not_fought_over(world: World) -> None:
    await begun(world, secret={"annotations": {TOKENS_ANNOTATION: "mine"}})
    version = world.secrets[SECRET].version
    assert not (await reconcile(world)).requeue
    assert world.secrets[SECRET].version == version


async def test_a_rotate_value_counts_once_and_each_new_one_again(world: World) -> None:
    tokens = [await begun(world)]
    for value in ("a", "a", "b"):
        world.now += timedelta(minutes=1)
        world.annotate(ROTATE_ANNOTATION, value)
        await reconcile(world)
        tokens.append(world.secret()["token"])
    assert tokens[1] == tokens[2]
    assert len(set(tokens)) == 3


async def test_a_rotation_asked_for_while_suspended_is_done_afterwards(world: World) -> None:
    first = await begun(world, suspend=True)
    world.annotate(ROTATE_ANNOTATION, "x")
    await reconcile(world)
    assert world.secret()["token"] == first
    world.apply(suspend=False)
    await reconcile(world)
    assert world.secret()["token"] != first


class MadeAnew(FakeCluster):
    """The ScimToken is made anew right after its finalizer was set."""

    async def set_finalizer(self, owner: ScimToken, *, present: bool) -> None:
        await super().set_finalizer(owner, present=present)
        if self._world.uid == "uid-1":
            self._world.recreate(collected=False)


async def test_a_secret_that_was_read_for_an_earlier_scimtoken_is_not_written_for_the_present_one(
    world: World,
) -> None:
    """It is the garbage collector's."""
    first = await begun(world)
    world.apply(deletionPolicy="Delete", annotations={ROTATE_ANNOTATION: "please"})

    class Watched(MadeAnew):
        async def replace_secret(
            self, owner: ScimToken, draft: SecretDraft, present: SecretSnapshot
        ) -> SecretSnapshot:
            assert self._world.secrets[draft.name].owner == owner.metadata.uid
            return await super().replace_secret(owner, draft, present)

    await reconcile(world, Watched(world))
    assert not world.accepts(first)
    assert world.secrets[SECRET].owner == world.uid == "uid-2"


def news(world: World) -> list[tuple[str, str]]:
    return [(kind, reason) for kind, reason, _ in world.events]


async def test_one_event_tells_of_a_first_token_and_one_of_each_rotation(world: World) -> None:
    await begun(world)
    world.annotate(ROTATE_ANNOTATION, "please")
    await reconcile(world)
    assert news(world) == [("Normal", "Issued"), ("Normal", "RotatedOnRequest")]
    for *_, message in world.events:
        assert message.startswith(f"Secret {SECRET} has token ")
        assert "valid until" in message
    assert world.events[-1][-1].endswith(": the annotation scim-operator.io/rotate asked for it")


async def test_what_is_issued_and_not_published_is_told_and_so_is_its_publication(world: World) -> None:
    world.proof_fails = True
    await begun_to_issue(world)
    assert news(world) == [("Normal", "Issued"), ("Warning", "VerificationFailed")]
    assert world.events[0][-1].startswith("issuing token ")
    world.proof_fails = False
    await reconcile(world)
    assert news(world)[2:] == [("Normal", "Published"), ("Normal", "Ready")]


async def begun_to_issue(world: World) -> None:
    world.apply()
    await reconcile(world)
