"""What a query of the feed asks for, and what is answered to a wrong one."""

import pytest

from scim_api.core.errors import ScimError
from scim_api.http.changes.feed import FeedQuery, read_query
from scim_api.store.change_log import FeedPosition
from scim_api.store.feed_cursor import encode


def test_without_parameters_it_asks_for_the_oldest_changes_of_all_types() -> None:
    assert read_query({}) == FeedQuery(None, False, 100, frozenset(), 0)


def test_all_parameters_are_read() -> None:
    position = FeedPosition(1, 2, 3, 4)
    assert read_query(
        {"after": encode(position), "limit": "7", "types": "user.deleted,user.created,", "wait": "30"}
    ) == FeedQuery(position, False, 7, frozenset({"user.created", "user.deleted"}), 30)
    assert read_query({"after": "now"}) == FeedQuery(None, True, 100, frozenset(), 0)


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"after": "x"}, "after is no cursor"),
        ({"limit": "0"}, "from 1 to 1000"),
        ({"limit": "1001"}, "from 1 to 1000"),
        ({"limit": "ten"}, "from 1 to 1000"),
        ({"limit": "٣"}, "from 1 to 1000"),
        ({"wait": "31"}, "from 0 to 30"),
        ({"wait": "1.5"}, "from 0 to 30"),
        ({"wait": "9" * 5_000}, "from 0 to 30"),
        ({"types": "user.renamed"}, "user.created"),
        ({"type": "user.created"}, "after, limit, types, wait"),
    ],
    ids=["cursor", "no limit", "large limit", "word", "digit of another script", "long", "fraction", "huge", "type", "name"],
)  # fmt: skip
def test_a_wrong_parameter_is_answered_with_what_to_send(parameters: dict[str, str], said: str) -> None:
    with pytest.raises(ScimError) as refusal:
        read_query(parameters)
    assert refusal.value.status == 400
    assert said in refusal.value.detail
