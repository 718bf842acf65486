"""What an application reads of a change."""

import orjson

from scim_api.store.change_document import change_document
from scim_api.store.change_log import Change

JOINED = Change(
    7, "2026-11-23T14:00:00.000000Z", "group.member_added", "g1", "ext", 3, '["members"]', "u1", "t1", "demo/entra"
)  # fmt: skip


def test_a_change_is_rendered_with_its_member_and_its_paths() -> None:
    assert orjson.loads(orjson.dumps(change_document(JOINED))) == {
        "id": JOINED.id,
        "at": JOINED.at,
        "type": "group.member_added",
        "resourceType": "Group",
        "resourceId": "g1",
        "externalId": "ext",
        "version": 'W/"3"',
        "paths": ["members"],
        "actor": {"credential": "t1", "scimToken": "demo/entra"},
        "member": "u1",
    }
