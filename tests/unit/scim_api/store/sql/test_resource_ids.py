"""Ids of resources are random UUIDs in the canonical form of RFC 9562."""

import os
import re
import uuid

import pytest

from scim_api.store.sql.resource_ids import new_resource_id

MANY = 5_000


def test_an_id_is_a_uuid_of_version_4_in_lower_case() -> None:
    for _ in range(MANY):
        text = new_resource_id()
        assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", text)
        parsed = uuid.UUID(text)
        assert (parsed.version, parsed.variant, str(parsed)) == (4, uuid.RFC_4122, text)


@pytest.mark.parametrize("fill", [b"\x00", b"\xff", b"\x5a", bytes(range(16))])
def test_an_id_is_what_the_standard_library_makes_of_the_same_bytes(
    monkeypatch: pytest.MonkeyPatch, fill: bytes
) -> None:
    random = (fill * 16)[:16]
    monkeypatch.setattr(os, "urandom", lambda size: random[:size])
    assert new_resource_id() == str(uuid.UUID(bytes=random, version=4))


def test_no_two_ids_are_the_same_and_every_other_bit_is_random() -> None:
    made = [uuid.UUID(new_resource_id()).int for _ in range(MANY)]
    assert len(set(made)) == MANY
    fixed = [bit for bit in range(128) if len({number >> bit & 1 for number in made}) == 1]
    assert fixed == [62, 63, 76, 77, 78, 79]  # the variant's two bits and the version's four
