"""What a query of the history asks for, and what is answered to a wrong one."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scim_api.core.errors import ScimError
from scim_api.http.changes.history import HistoryRequest, read_request
from scim_api.store.change_log import FeedPosition, HistoryQuery
from scim_api.store.feed_cursor import encode, encode_history
from scim_api.store.sql import change_history
from scim_api.store.sql.timestamps import from_text

NAMES = ["resourceid", "externalid", "credential", "types", "since", "until", "after", "limit"]


def test_without_parameters_it_asks_for_the_newest_changes() -> None:
    assert read_request({}) == HistoryRequest(HistoryQuery(), None, 100)
    assert read_request(dict.fromkeys(NAMES, "")) == HistoryRequest(HistoryQuery(), None, 100)


def test_all_parameters_are_read() -> None:
    assert read_request(
        {
            "resourceid": "r", "externalid": "e", "credential": "k", "types": "user.deleted,user.created",
            "since": "2026-11-23T14:00:00+01:00", "until": "2026-11-23t14:00:00.5z", "after": encode_history(7),
            "limit": "1000",
        }
    ) == HistoryRequest(
        HistoryQuery(
            "r", "e", "k", frozenset({"user.created", "user.deleted"}),
            datetime(2026, 11, 23, 13, tzinfo=UTC), datetime(2026, 11, 23, 14, 0, 0, 500_000, tzinfo=UTC),
        ),
        7,
        1000,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"after": "x"}, "send the next of an answer"),
        ({"after": encode(FeedPosition(1, 2, 3, 4))}, "send the next of an answer"),
        ({"limit": "1001"}, "from 1 to 1000"),
        ({"types": "user.renamed"}, "user.created"),
        ({"wait": "1"}, "resourceId, externalId"),
        ({"since": "yesterday"}, "2026-11-23T14:00:00Z"),
        ({"since": "2026-11-23T14:00:00"}, "2026-11-23T14:00:00Z"),
        ({"since": "2026-11-23T14:00:00 01:00"}, "%2B for a +"),
        ({"until": "2026-02-30T14:00:00Z"}, "2026-11-23T14:00:00Z"),
        ({"until": "20261123T140000Z"}, "2026-11-23T14:00:00Z"),
        ({"since": "2026-11-23T14:00:00Z", "until": "2026-11-23T14:00:00Z"}, "send the later one as until"),
        ({"externalid": "a\0"}, "externalId has"),
        ({"resourceid": "\0"}, "resourceId has"),
        ({"credential": "\0"}, "credential has"),
    ],
    ids=[
        "cursor", "cursor of the feed", "limit", "type", "name", "word", "without a zone", "plus", "no such day",
        "basic form", "nothing between", "externalId", "resourceId", "credential",
    ],
)  # fmt: skip
def test_a_wrong_parameter_is_answered_with_what_to_send(parameters: dict[str, str], said: str) -> None:
    with pytest.raises(ScimError) as refusal:
        read_request(parameters)
    assert refusal.value.status == 400
    assert said in refusal.value.detail


_TIMES = st.one_of(
    st.text(max_size=30),
    st.datetimes(timezones=st.timezones()).map(datetime.isoformat),
    st.from_regex(r"[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-6][0-9](\.[0-9]{1,9})?[+-][0-9]{2}:[0-9]{2}", fullmatch=True),
)  # fmt: skip


@given(
    st.dictionaries(st.one_of(st.sampled_from(NAMES), st.text(max_size=5)), st.text(max_size=30), max_size=4),
    st.one_of(st.none(), _TIMES),
    st.one_of(st.none(), _TIMES),
)
def test_whatever_is_sent_is_read_or_refused_with_400_and_what_is_read_can_be_asked(
    parameters: dict[str, str], since: str | None, until: str | None
) -> None:
    times = {name: text for name, text in (("since", since), ("until", until)) if text is not None}
    try:
        query, before, limit = read_request({**parameters, **times})
    except ScimError as refusal:
        assert refusal.status == 400
        return
    script = change_history.history("postgresql", 1, query, before, limit)
    statement = next(script)
    while True:
        values = [value for value in statement.parameters if isinstance(value, str)]
        assert not any("\0" in value for value in values)
        if "max(pk)" in statement.sql:
            from_text(values[0])
        try:
            statement = script.send([(1,)] if "max(pk)" in statement.sql else [])
        except StopIteration:
            return
