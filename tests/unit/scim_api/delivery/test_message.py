"""The body that a receiver gets."""

import json

from scim_api.core.model import Resource
from scim_api.delivery.message import full_body, kind_of, thin_body
from scim_api.store.webhooks import Delivery

CHANGE = Delivery(7, "7-00c0ffee", "user.updated", "2026-11-23T14:00:00.000000Z", "u1", '{"id":"7-00c0ffee"}')
USER = Resource(
    pk=1, kind="User", id="u1", version=3, created=CHANGE.at, modified=CHANGE.at,
    doc='{"userName":"ada","x":"}"}',
)  # fmt: skip


def test_a_thin_message_has_the_change_alone() -> None:
    assert json.loads(thin_body(CHANGE)) == {
        "type": "user.updated",
        "timestamp": "2026-11-23T14:00:00.000000Z",
        "data": {"id": "7-00c0ffee"},
    }


def test_a_full_message_has_the_resource_as_scim_renders_it() -> None:
    data = json.loads(full_body(CHANGE, USER, "https://scim.test/scim/v2"))["data"]
    assert data["id"] == "7-00c0ffee"
    assert data["resource"]["userName"] == "ada"
    assert data["resource"]["meta"]["location"] == "https://scim.test/scim/v2/Users/u1"
    assert data["resource"]["meta"]["version"] == 'W/"3"'


def test_a_full_message_of_what_is_gone_says_so() -> None:
    assert json.loads(full_body(CHANGE, None, "https://scim.test"))["data"]["resource"] is None


def test_a_ping_is_about_no_resource() -> None:
    ping = Delivery(-1, "ping-1", "ping", CHANGE.at, "ping-1", '{"webhook":"demo/app"}')
    assert kind_of(ping) is None
    assert kind_of(CHANGE) == "User"
