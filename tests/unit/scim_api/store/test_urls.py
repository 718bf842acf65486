"""Database URLs as logs and messages show them."""

import pytest

from scim_api.store.urls import redact_url


@pytest.mark.parametrize(
    ("url", "shown"),
    [
<<<<<<< HEAD
        ("postgresql://me:pa:ss@w/ord@host:5432/db?password=x", "postgresql://me@host:5432/db"),
        ("postgresql://me:line\nbreak@host/db", "postgresql://me@host/db"),
        ("postgresql://:secret@host/db", "postgresql://@host/db"),
        ("postgresql://me@host/db?sslpassword=x&host=/run", "postgresql://me@host/db"),
=======
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
>>>>>>> 37db1d259f45883d3094914a79f0df0e0bd4f3d2
    ],
)
def test_a_shown_url_has_no_password(url: str, shown: str) -> None:
    assert redact_url(url) == shown


@pytest.mark.parametrize("url", ["postgresql://me@host/db", "sqlite:////data/scim.db", "sqlite:///scim.db"])
def test_a_url_without_a_password_is_shown_as_it_is(url: str) -> None:
    assert redact_url(url) == url
