"""Database URLs as logs and messages show them."""

import pytest

from scim_api.store.urls import redact_url


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me:pa:ss@w/ord@host:5432/db?password=x", "postgresql://me@host:5432/db"),
        ("postgresql://me:line\nbreak@host/db", "postgresql://me@host/db"),
        ("postgresql://:secret@host/db", "postgresql://@host/db"),
        ("postgresql://me@host/db?sslpassword=x&host=/run", "postgresql://me@host/db"),
    ],
)
def test_a_shown_url_has_no_password(url: str, shown: str) -> None:
    assert redact_url(url) == shown


@pytest.mark.parametrize("url", ["postgresql://me@host/db", "sqlite:////data/scim.db", "sqlite:///scim.db"])
def test_a_url_without_a_password_is_shown_as_it_is(url: str) -> None:
    assert redact_url(url) == url
