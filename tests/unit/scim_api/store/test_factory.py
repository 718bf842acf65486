"""Which driver a database URL gets, and what is said about one that gets none."""

import re

import pytest

from scim_api.store.factory import create_store, surprises


@pytest.mark.parametrize(
    ("url", "dialect"),
    [
        ("sqlite:///scim.db", "sqlite"),
        ("sqlite:////data/scim.db", "sqlite"),
        ("postgresql://me@host/db", "postgresql"),
        ("postgres://me:pw@host:5432/db?sslmode=require", "postgresql"),
    ],
)
def test_a_url_gets_the_driver_of_its_scheme_and_is_kept_as_it_is(url: str, dialect: str) -> None:
    store = create_store(url)
    assert (store.dialect, store.url) == (dialect, url)


@pytest.mark.parametrize(
    ("url", "scheme"),
    [
        ("mysql://me:secret@host/db", "with scheme 'mysql'"),
        ("postgresql+asyncpg://me:secret@host/db", "with scheme 'postgresql+asyncpg'"),
        ("sqlite://scim.db", "with scheme 'sqlite'"),
        ("scim.db", "without scheme"),
        ("me:secret@host/db", "without scheme"),
        ("secret", "without scheme"),
        ("", "without scheme"),
    ],
)
def test_any_other_url_is_refused_with_the_forms_to_write_and_without_its_password(
    url: str, scheme: str
) -> None:
    wanted = f"database URL {scheme}: write sqlite:///scim.db or postgresql://user@host/database"
    with pytest.raises(ValueError, match=f"^{re.escape(wanted)}$"):
        create_store(url)


def test_a_url_that_names_no_file_is_refused_with_one_that_does() -> None:
    with pytest.raises(ValueError, match=r"without a file: write sqlite:///scim\.db"):
        create_store("sqlite:///")


def test_what_may_surprise_is_told_with_what_to_do() -> None:
    assert surprises("postgresql://me@host/db?sslmode=require") == []
    [(event, detail)] = surprises("postgresql://me@host/db?keepalives=0")
    assert event == "parameters without effect"
    assert detail.endswith("without effect here: keepalives; take them out")
