"""A database URL as it may be shown."""

import pytest

from scim_api.store.urls import redacted


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://scim:hunter2@db:5432/scim", "postgresql://scim@db:5432/scim"),
        ("postgresql://scim:a@b:c@db/scim", "postgresql://scim@db/scim"),
        ("postgresql://scim:a/b@db/scim", "postgresql://scim@db/scim"),
        ("postgresql://me:pa:ss@w/ord@host:5432/db?password=x", "postgresql://me@host:5432/db"),
        ("postgresql://scim:hun\nter@db/scim", "postgresql://scim@db/scim"),
        ("postgresql://:hunter2@db/scim", "postgresql://@db/scim"),
        ("postgresql://scim@db/scim", "postgresql://scim@db/scim"),
        ("postgresql://db:5432/scim", "postgresql://db:5432/scim"),
        ("postgres://scim@db/scim?password=hunter2", "postgres://scim@db/scim"),
        ("postgresql:///scim?host=/run&password=a?b", "postgresql:///scim"),
        ("sqlite:////data/scim.db", "sqlite:////data/scim.db"),
    ],
)
def test_it_shows_neither_password_nor_parameters(url: str, shown: str) -> None:
    assert redacted(url) == shown
