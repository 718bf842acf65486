"""When keys are fetched, how often, and how long they go on while nobody answers."""

import asyncio
import gc
from datetime import UTC, datetime

import pytest
from structlog.testing import capture_logs

from scim_api.http.oauth import issuer_keys
from scim_api.http.oauth.issuer_keys import (
    DAY,
    FETCH_BURST,
    MAX_ADDRESSES,
    MAX_AGE,
    REFRESH_AFTER,
    RETRY_SECONDS,
)
from scim_api.http.oauth.key_fetch import KeysNotFetched
from scim_api.http.oauth.key_set import dump_key_set
from scim_api.store.errors import Unavailable
from scim_api.store.protocol import IssuerKeys
from support.federation import NOW
from support.issuer_key_world import URL, World, key_set, numbers


async def test_keys_are_fetched_when_one_is_needed_and_then_no_more() -> None:
    world = World("a", "b")
    assert world.publisher.fetched == 0
    for kid in ("a", "b", "a"):
        assert await world.find(kid) == numbers(kid)
    assert world.publisher.fetched == 1
    assert world.kept.asked == 1
    assert world.counted("fetched") == 1


async def test_they_are_kept_for_other_processes() -> None:
    world = World("a")
    await world.find()
    kept = world.kept.kept[URL]
    assert (kept.keys, kept.fetched_at) == (dump_key_set(key_set("a")), datetime.fromtimestamp(NOW, UTC))
    world.restarted()
    assert await world.find() == numbers("a")
    assert world.publisher.fetched == 1


async def test_a_new_key_is_found_by_fetching_anew() -> None:
    world = World("a")
    await world.find("a")
    world.publisher.keys = key_set("b")
    world.passes(RETRY_SECONDS)
    assert await world.find("b") == numbers("b")
    assert world.publisher.fetched == 2
    assert (await world.refusal("a")).check == "kid", "the old one is withdrawn"


async def test_a_key_that_another_replica_has_fetched_is_not_fetched_again() -> None:
    world = World("a")
    await world.find("a")
    newer = datetime.fromtimestamp(NOW + 1, UTC)
    world.kept.kept[URL] = IssuerKeys(URL, dump_key_set(key_set("a", "b")), newer)
    world.passes(RETRY_SECONDS)
    assert await world.find("b") == numbers("b")
    assert world.publisher.fetched == 1


async def test_a_key_that_came_right_after_a_fetch_is_found_at_once() -> None:
    world = World("a")
    await world.find("a")
    world.publisher.keys = key_set("a", "b")
    world.passes(0.1)
    assert await world.find("b") == numbers("b")
    assert world.publisher.fetched == 2


async def test_strangers_with_made_up_names_cost_one_fetch_in_half_a_minute() -> None:
    world = World("a")
    await world.find("a")
    world.passes(FETCH_BURST * RETRY_SECONDS)
    for number in range(1000):
        refused = await world.refusal(f"made-up-{number}")
        assert (refused.check, refused.received) == ("kid", f"made-up-{number}")
        world.passes(0.02)
    # 20 seconds have passed, in which the bucket gained two thirds of a fetch.
    assert (world.publisher.fetched, world.kept.asked) == (1 + FETCH_BURST, 1 + FETCH_BURST)
    assert await world.find("a") == numbers("a")
    world.passes(RETRY_SECONDS)
    await world.refusal("made-up")
    await world.refusal("made-up again")
    assert world.publisher.fetched == 2 + FETCH_BURST


async def test_only_a_short_word_of_a_made_up_name_is_told() -> None:
    world = World("a")
    for kid in ("<script>", "https://evil.example", "x" * 65, "a b"):
        refused = await world.refusal(kid)
        assert (refused.check, refused.expected, refused.received) == (
            "kid",
            f"a key that is published at {URL}",
            "",
        )


async def test_those_who_come_while_keys_are_fetched_wait_for_the_same() -> None:
    world = World("a", "b")
    world.publisher.word.clear()
    waiting = [asyncio.create_task(world.find(kid)) for kid in ("a", "b") * 20]
    await asyncio.sleep(0)
    while world.publisher.fetched == 0:
        await asyncio.sleep(0)
    world.publisher.word.set()
    found = await asyncio.gather(*waiting)
    assert found == [numbers("a"), numbers("b")] * 20
    assert world.publisher.fetched == 1


async def test_who_waited_for_kept_keys_that_lack_its_own_fetches_after_all() -> None:
    world = World("a", "b")
    world.kept.kept[URL] = IssuerKeys(URL, dump_key_set(key_set("a")), datetime.fromtimestamp(world.now, UTC))
    found = await asyncio.gather(world.find("a"), world.find("b"))
    assert list(found) == [numbers("a"), numbers("b")]
    assert world.publisher.fetched == 1


async def test_who_goes_away_does_not_end_the_fetch_for_the_others() -> None:
    world = World("a")
    world.publisher.word.clear()
    impatient, patient = asyncio.create_task(world.find()), asyncio.create_task(world.find())
    while world.publisher.fetched == 0:
        await asyncio.sleep(0)
    impatient.cancel()
    await asyncio.gather(impatient, return_exceptions=True)
    world.publisher.word.set()
    assert await patient == numbers("a")
    assert world.publisher.fetched == 1


async def test_after_a_day_they_are_fetched_anew_beside_the_request() -> None:
    world = World("a")
    await world.find()
    world.passes(REFRESH_AFTER)
    await world.find()
    await world.settled()
    assert world.publisher.fetched == 1
    world.passes(1)
    world.publisher.word.clear()
    assert await world.find() == numbers("a"), "it does not wait"
    world.publisher.word.set()
    await world.settled()
    assert world.publisher.fetched == 2
    await world.find()
    await world.settled()
    assert world.publisher.fetched == 2


async def test_a_refresh_that_another_replica_made_is_taken_from_the_database() -> None:
    world = World("a")
    await world.find()
    world.passes(REFRESH_AFTER + 1)
    fresh = datetime.fromtimestamp(world.now - 10, UTC)
    world.kept.kept[URL] = IssuerKeys(URL, dump_key_set(key_set("a", "b")), fresh)
    await world.find()
    await world.settled()
    assert world.publisher.fetched == 1
    assert await world.find("b") == numbers("b")


async def test_while_nobody_answers_the_keys_go_on_for_a_week_and_no_longer() -> None:
    world = World("a")
    await world.find()
    world.publisher.goes_down()
    for _ in range(7):
        world.passes(DAY)
        assert await world.find() == numbers("a")
        await world.settled()
    world.passes(1)
    refused = await world.refusal()
    assert (refused.check, refused.expected) == ("keys", f"the keys that are published at {URL}")
    assert (
        refused.received == "no answer within 5 seconds; those that were fetched before are older than 7 days"
    )
    world.publisher.failure = None
    world.passes(RETRY_SECONDS)
    assert await world.find() == numbers("a")


async def test_how_long_they_go_on_is_a_setting() -> None:
    world = World("a", max_age=2 * DAY)
    await world.find()
    world.publisher.goes_down()
    world.passes(2 * DAY)
    assert await world.find() == numbers("a")
    await world.settled()
    world.passes(RETRY_SECONDS)
    assert "older than 2 days" in (await world.refusal()).received


async def test_a_restart_while_nobody_answers_goes_on_with_what_was_kept() -> None:
    world = World("a")
    await world.find()
    world.publisher.goes_down()
    world.passes(3 * DAY)
    world.restarted()
    assert await world.find() == numbers("a")
    await world.settled()
    assert world.counted("unreachable") == 1


async def test_without_any_keys_the_reason_is_told_and_asked_for_again_in_half_a_minute() -> None:
    world = World("a")
    world.publisher.goes_down("login.example can't be resolved")
    with capture_logs() as logs:
        for _ in range(50):
            refused = await world.refusal()
            assert (refused.check, refused.received) == ("keys", "login.example can't be resolved")
    assert world.publisher.fetched == 1
    assert logs == [
        {
            "event": "issuer's keys not fetched",
            "log_level": "warning",
            "url": URL,
            "result": "unreachable",
            "reason": "login.example can't be resolved",
        }
    ]
    world.publisher.failure = None
    world.passes(RETRY_SECONDS)
    assert await world.find() == numbers("a")
    assert (world.counted("unreachable"), world.counted("fetched")) == (1, 1)


async def test_a_new_key_while_nobody_answers_is_refused_with_that_reason() -> None:
    world = World("a")
    await world.find()
    world.publisher.goes_down()
    world.passes(RETRY_SECONDS)
    refused = await world.refusal("new")
    assert (refused.check, refused.received) == ("keys", "no answer within 5 seconds")
    assert await world.find("a") == numbers("a")
    world.publisher.failure = None
    world.passes(RETRY_SECONDS)
    assert (await world.refusal("new")).check == "kid", "it answers again, and has no such key"


@pytest.mark.parametrize("result", ["refused", "invalid"])
async def test_an_answer_that_is_of_no_use_takes_no_key_away(result: str) -> None:
    world = World("a")
    await world.find()
    world.publisher.failure = KeysNotFetched(result, "it has no RSA key")  # type: ignore[arg-type]
    world.passes(DAY + 1)
    await world.find()
    await world.settled()
    assert await world.find() == numbers("a")
    assert world.counted(result) == 1


async def test_a_host_that_was_taken_off_the_list_is_trusted_no_more_whatever_is_kept() -> None:
    world = World("a")
    await world.find()
    world.publisher.refused = KeysNotFetched("refused", "the host is not on the administrator's list")
    refused = await world.refusal()
    assert (refused.check, refused.received) == ("keys", "the host is not on the administrator's list")
    world.restarted()
    assert (await world.refusal()).check == "keys"


async def test_with_the_database_down_known_keys_go_on_and_others_are_not_decided() -> None:
    world = World("a")
    await world.find("a")
    world.kept.down = True
    world.passes(RETRY_SECONDS)
    assert await world.find("a") == numbers("a")
    with pytest.raises(Unavailable):
        await world.find("b")
    assert world.publisher.fetched == 1
    world.kept.down, world.publisher.keys = False, key_set("b")
    assert await world.find("b") == numbers("b"), "it need not wait for half a minute"


async def test_what_the_database_could_not_answer_is_no_fetch() -> None:
    world = World("a")
    world.kept.down = True
    for _ in range(10 * FETCH_BURST):
        with pytest.raises(Unavailable):
            await world.find("a")
    world.kept.down = False
    assert await world.find("a") == numbers("a")


async def test_a_refresh_without_a_database_bothers_nobody() -> None:
    world = World("a")
    await world.find()
    world.kept.down = True
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    world.passes(DAY + 1)
    assert await world.find() == numbers("a")
    await world.settled()
    gc.collect()
    assert await world.find() == numbers("a")
    await world.settled()
    gc.collect()
    assert complaints == []


async def test_keys_that_could_not_be_kept_are_used() -> None:
    world = World("a")

    async def down(keys: IssuerKeys) -> None:
        raise Unavailable("down")

    world.kept.keep_issuer_keys = down  # type: ignore[method-assign]
    assert await world.find() == numbers("a")


@pytest.mark.parametrize("text", ["", "{}", '{"keys":[]}', "garbage"])
async def test_what_is_kept_and_can_not_be_read_is_fetched_anew(text: str) -> None:
    world = World("a")
    world.kept.kept[URL] = IssuerKeys(URL, text, datetime.fromtimestamp(NOW, UTC))
    assert await world.find() == numbers("a")
    assert world.publisher.fetched == 1


async def test_kept_keys_that_are_too_old_are_not_used() -> None:
    world = World()
    world.publisher.goes_down()
    old = datetime.fromtimestamp(NOW - MAX_AGE - 1, UTC)
    world.kept.kept[URL] = IssuerKeys(URL, dump_key_set(key_set("a")), old)
    assert "older than 7 days" in (await world.refusal()).received


async def test_each_address_has_keys_and_a_rate_of_its_own() -> None:
    world = World("a")
    await world.find("a", f"{URL}/1")
    await world.find("a", f"{URL}/2")
    assert world.publisher.fetched == 2


async def test_those_asked_for_the_longest_ago_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    assert MAX_ADDRESSES == 1000
    monkeypatch.setattr(issuer_keys, "MAX_ADDRESSES", 3)
    world = World("a")
    for number in (1, 2, 3, 1, 4):
        await world.find("a", f"{URL}/{number}")
    assert list(world.cache._issuers) == [f"{URL}/{number}" for number in (3, 1, 4)]
    assert world.publisher.fetched == 4
    await world.find("a", f"{URL}/2")
    assert world.publisher.fetched == 4, "the database has them still"


async def test_one_whose_keys_are_being_fetched_is_not_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(issuer_keys, "MAX_ADDRESSES", 1)
    world = World("a")
    world.publisher.word.clear()
    first = asyncio.create_task(world.find("a", f"{URL}/1"))
    while world.publisher.fetched == 0:
        await asyncio.sleep(0)
    second = asyncio.create_task(world.find("a", f"{URL}/2"))
    await asyncio.sleep(0)
    third = asyncio.create_task(world.find("a", f"{URL}/1"))
    while world.publisher.fetched < 2:
        await asyncio.sleep(0)
    world.publisher.word.set()
    assert set(await asyncio.gather(first, second, third)) == {numbers("a")}
    assert world.publisher.fetched == 2
    await world.settled()
    await world.find("a", f"{URL}/3")
    assert list(world.cache._issuers) == [f"{URL}/3"]


async def test_the_end_of_the_service_ends_what_is_being_fetched() -> None:
    world = World("a")
    world.publisher.word.clear()
    waiting = asyncio.create_task(world.find())
    while world.publisher.fetched == 0:
        await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await world.cache.aclose()
        await asyncio.gather(waiting, return_exceptions=True)
    assert waiting.cancelled()


async def test_older_keys_of_the_database_do_not_replace_newer_ones_in_memory() -> None:
    world = World("a")
    await world.find("a")
    kept = world.kept.kept[URL]
    world.publisher.keys = key_set("b")
    world.passes(RETRY_SECONDS)
    await world.find("b")
    world.kept.kept[URL] = kept
    world.publisher.goes_down()
    world.passes(RETRY_SECONDS)
    assert (await world.refusal("a")).check == "keys"
    assert await world.find("b") == numbers("b")
