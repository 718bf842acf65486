"""What a PostgreSQL URL says, what is told about a wrong one, and that no password is ever in it."""

import re
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from scim_api.store.factory import create_store
from scim_api.store.urls import (
    ENCODE,
    KNOWN,
    PostgresUrl,
    ignored_parameters,
    parse_postgres,
    read_url,
    redact_url,
)

PIECE = 4
"""Characters of a password that give something away."""
PASSWORDS = st.text(st.sampled_from("abcXYZ0189/#?@:%&=[]+,.; \\\"'$€üß漢\n\t"), min_size=1, max_size=24)
FORMS = (
    "postgresql://scim:{}@db.example.com/scim",
    "postgresql://scim:{}@db.example.com:5432/scim?sslmode=require",
    "postgres://scim:{}@one:5432,two:5433/scim?target_session_attrs=read-write",
    "postgresql://scim:{}@db.example.com/scim?sslmode=on&channel_binding=require",
    "postgresql://scim:{}@db.example.com:port/scim",
    "postgresql://scim:{}@/scim?host=/run/postgresql",
    "postgresql://db.example.com/scim?user=scim&password={}&sslmode=require",
    "postgresql://db.example.com/scim?user=scim&sslmode=on&password={}",
    "postgresql://scim:{}@db.example.com/scim?wrong=1",
    "scim:{}@db.example.com/scim",
    "mysql://scim:{}@db.example.com/scim",
    "postgresql//scim:{}@db.example.com",
    "{}",
)


def pieces(password: str) -> set[str]:
    return {password[at : at + PIECE] for at in range(len(password) - PIECE + 1)}


def told(url: str) -> str:
    """Everything that is said about a URL."""
    said = [redact_url(url)] if url.startswith("postgres") and "://" in url else []
    for ask in (create_store, parse_postgres, ignored_parameters):
        try:
            said.append(repr(ask(url)) if ask is not create_store else str(ask(url) and ""))
        except ValueError as error:
            said.append(str(error))
            assert error.__cause__ is None
            assert error.__suppress_context__ or error.__context__ is None
    return "\n".join(said)


@given(PASSWORDS, st.sampled_from(FORMS))
@example("/scrt", FORMS[0])
@example("12/34567890", FORMS[1])
@example("12?34567890=12345678", FORMS[1])
@example("p@ss?wort=hund@katze", FORMS[0])
@example("abc&wort=hundkatze", FORMS[6])
@example("abc#worthundkatze", FORMS[6])
@example("[12345678]", FORMS[0])
@example("50%e9%80%40", FORMS[0])
def test_nothing_that_is_said_about_a_url_holds_a_piece_of_its_password(password: str, form: str) -> None:
    plain = told(form.format("x"))
    for piece in pieces(password):
        said = told(form.format(password))
        assert piece not in said.replace(ENCODE, "") or piece in plain, said


@given(PASSWORDS)
def test_a_password_that_is_percent_encoded_is_read_as_it_is(password: str) -> None:
    url = parse_postgres(f"postgresql://scim:{quote(password, safe='')}@db.example.com/scim")
    assert (url.user, url.password, url.hosts) == ("scim", password, (("db.example.com", 5432),))
    asked = parse_postgres(f"postgresql:///?user=scim&password={quote(password, safe='')}")
    assert asked.password == password


@pytest.mark.parametrize(
    "password", ["pa/ss", "pa#ss", "pa?ss", "p@ss", "12/34", "1?sslmode=a", "/", "a@b/c"]
)
def test_a_password_that_ends_early_is_told_to_be_percent_encoded(password: str) -> None:
    with pytest.raises(ValueError, match="percent-encode"):
        create_store(f"postgresql://scim:{password}@db.example.com/scim")


@pytest.mark.parametrize("password", ["pa:ss", "100%", "pa ss", "päss", "a,b", "a+b", "[x]"])
def test_a_password_that_ends_nowhere_early_is_taken_as_it_stands(password: str) -> None:
    assert parse_postgres(f"postgresql://scim:{password}@db/scim\n").password == password


@pytest.mark.parametrize(
    ("url", "hosts"),
    [
        ("postgresql://db/scim", [("db", 5432)]),
        ("postgresql://db:6432/scim", [("db", 6432)]),
        ("postgresql://a:1,b,c:3/scim", [("a", 1), ("b", 5432), ("c", 3)]),
        ("postgresql://a,b/scim?port=6000", [("a", 6000), ("b", 6000)]),
        ("postgresql:///scim?host=a,b&port=1,2", [("a", 1), ("b", 2)]),
        ("postgresql://[::1]:6000,[fe80::1]/scim", [("::1", 6000), ("fe80::1", 5432)]),
        ("postgresql:///scim?host=::1&port=6000", [("::1", 6000)]),
        ("postgresql://me@/scim?host=%2Frun%2Fpostgresql", [("/run/postgresql", 5432)]),
        ("postgresql://%2Frun%2Fpostgresql/scim", [("/run/postgresql", 5432)]),
        ("postgresql://localhost/scim?host=/cloudsql/one:two:three", [("/cloudsql/one:two:three", 5432)]),
        ("postgresql:///scim", []),
    ],
)
def test_hosts_are_read_as_libpq_reads_them(url: str, hosts: list[tuple[str, int]]) -> None:
    assert list(parse_postgres(url).hosts) == hosts


def asked(query: str) -> PostgresUrl:
    return parse_postgres(f"postgresql://me@db/scim?{query}")


@pytest.mark.parametrize(
    ("query", "driver"),
    [
        ("sslmode=require", {"sslmode": "require"}),
        ("ssl=true", {"sslmode": "require"}),
        ("ssl=1", {"sslmode": "require"}),
        ("ssl=false", {"sslmode": "disable"}),
        ("ssl=verify-full", {"sslmode": "verify-full"}),
        ("ssl=true&sslmode=verify-full", {"sslmode": "verify-full"}),
        ("sslrootcert=system", {"sslrootcert": "system", "sslmode": "verify-full"}),
        ("sslrootcert=%2Fca%2B.pem&sslmode=verify-ca", {"sslrootcert": "/ca+.pem", "sslmode": "verify-ca"}),
        ("sslcert=/c&sslkey=/k&sslpassword=p", {"sslcert": "/c", "sslkey": "/k", "sslpassword": "p"}),
        ("passfile=/p&service=s", {"passfile": "/p", "service": "s"}),
        ("gssencmode=disable&sslnegotiation=direct", {"sslnegotiation": "direct"}),
        ("sslmode=", {}),
        ("", {}),
    ],
)
def test_what_the_driver_reads_is_handed_to_it(query: str, driver: dict[str, str]) -> None:
    assert asked(query).driver == driver


def test_deadline_session_database_and_target_are_read() -> None:
    url = asked("connect_timeout=3&options=-c%20geqo%3Doff&search_path=scim&dbname=other&user=you%40db")
    assert (url.connect_seconds, url.database, url.user) == (3.0, "other", "you@db")
    assert url.session == {"options": "-c geqo=off", "search_path": "scim"}
    assert [asked(f"connect_timeout={n}").connect_seconds for n in ("0", "-1", "")] == [None, None, None]
    assert asked("target_session_attrs=any").target is None
    assert asked("target_session_attrs=read-write").target == "read-write"
    assert asked("target_session_attrs=primary").target == "primary"
    assert parse_postgres("postgresql://me@db").database is None


def test_of_several_hosts_one_that_takes_writes_is_wanted_unless_the_url_says_otherwise() -> None:
    assert parse_postgres("postgresql://a,b/scim").target == "read-write"
    assert parse_postgres("postgresql://a,b/scim?target_session_attrs=any").target is None


@pytest.mark.parametrize(
    ("query", "ignored"),
    [
        ("channel_binding=require&keepalives=1&keepalives_idle=30", ["channel_binding", "keepalives_idle"]),
        ("channel_binding=prefer&gssencmode=prefer&sslsni=1&load_balance_hosts=disable", []),
        ("application_name=mine&tcp_user_timeout=5", ["application_name", "tcp_user_timeout"]),
        ("sslrootcert=/ca.pem", ["sslrootcert (without sslmode=verify-full)"]),
        ("sslrootcert=/ca.pem&sslmode=verify-full", []),
        ("sslmode=require", []),
    ],
)
def test_parameters_without_effect_are_named_in_one_sentence(query: str, ignored: list[str]) -> None:
    url = f"postgresql://me@db/scim?{query}"
    told = ignored_parameters(url)
    assert told == (f"database URL: without effect here: {', '.join(ignored)}" if ignored else None)


def test_a_pooler_is_told_and_takes_no_settings_of_a_session() -> None:
    assert asked("pgbouncer=true").pooler
    assert not asked("pgbouncer=false").pooler
    assert not asked("").pooler
    for query, said in (
        ("pgbouncer=1", "pgbouncer must be true or false"),
        ("pgbouncer=true&options=-c%20geqo%3Doff", "options does not go with pgbouncer=true; use ALTER ROLE"),
        ("pgbouncer=true&search_path=x", "search_path does not go with pgbouncer=true"),
    ):
        with pytest.raises(ValueError, match=said):
            asked(query)


def test_an_sqlite_url_has_no_parameters() -> None:
    assert ignored_parameters("sqlite:///scim.db") is None


@pytest.mark.parametrize(
    ("rest", "said"),
    [
        ("db/scim?sslmod=require", r"unknown parameter sslmod; known are application_name, .*, sslmode, "),
        ("db/scim?sslmode=on", r"sslmode=on is not known; write one of disable, allow, prefer, "),
        ("db/scim?sslmode", r"a parameter has no value"),
        ("db/scim?ssl=maybe", r"sslmode=maybe is not known"),
        ("db/scim?sslrootcert=system&sslmode=require", r"sslrootcert=system needs sslmode=verify-full"),
        ("db/scim?gssencmode=require", r"gssencmode must be disable or prefer"),
        ("db/scim?connect_timeout=3s", r"connect_timeout must be a whole number"),
        ("db/scim?target_session_attrs=standby", r"target_session_attrs=standby does not do: .*read-write"),
        ("db:0/scim", "a port must be a number from 1 to 65535"),
        ("db:65536/scim", "a port must be a number from 1 to 65535"),
        ("db:٣/scim", "a port must be a number from 1 to 65535"),
        ("a,b/scim?port=1,2,3", "port= must name one port, or one for each host"),
        ("a,,b/scim", "a host is empty or no name"),
        ("[::1/scim", "a host is empty or no name"),
        ("db/%ff", "is not UTF-8"),
        ("db/a%00b", "%00 can be in none"),
        ("db\udcff/scim", "is not UTF-8"),
        ("d\nb/scim", "a control character|another control character"),
    ],
)
def test_a_wrong_url_is_refused_in_one_sentence_that_says_what_to_write(rest: str, said: str) -> None:
    with pytest.raises(ValueError, match=said) as refused:
        parse_postgres(f"postgresql://me@{rest}")
    assert str(refused.value).startswith("database URL: ")
    assert len(str(refused.value).splitlines()) == 1


def test_what_is_known_is_listed_once_and_in_order() -> None:
    assert list(KNOWN) == sorted(set(KNOWN))
    assert all(re.fullmatch(r"[a-z_]+", name) for name in KNOWN)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me:pa:ss%2Fw@host:5432/db?password=x", "postgresql://me@host:5432/db"),
        ("postgresql://me:pa:ss@w/ord@host:5432/db?password=x", "postgresql://…"),
        ("postgresql://domain/me:secret@host/db", "postgresql://…"),
        ("postgresql://me:line\nbreak@host/db", "postgresql://…"),
        ("postgresql://:secret@host/db", "postgresql://@host/db"),
        ("postgresql://me@host/db?sslpassword=x&host=/run", "postgresql://me@host/db"),
    ],
)
def test_a_shown_url_has_no_password(url: str, shown: str) -> None:
    assert redact_url(url) == shown


@pytest.mark.parametrize("url", ["postgresql://me@host/db", "sqlite:////data/scim.db", "sqlite:///scim.db"])
def test_a_url_without_a_password_is_shown_as_it_is(url: str) -> None:
    assert redact_url(url) == url


def test_a_url_may_stand_in_a_file_which_is_read_each_time(tmp_path: Path) -> None:
    file = tmp_path / "with blank"
    source = f"file://{quote(str(file))}"
    file.write_text("postgresql://me:one@host/db\n", encoding="utf-8")
    assert read_url(source) == "postgresql://me:one@host/db"
    assert create_store(source).url == source
    file.write_text("postgresql://me:two@host/db?keepalives=0", encoding="utf-8")
    assert read_url(source) == "postgresql://me:two@host/db?keepalives=0"
    assert ignored_parameters(source) == "database URL: without effect here: keepalives"
    assert redact_url(source) == source
    file.write_text("sqlite:///scim.db", encoding="utf-8")
    assert (create_store(source).dialect, create_store(source).url) == ("sqlite", "sqlite:///scim.db")


def test_a_url_that_is_none_of_a_file_is_read_as_it_is() -> None:
    assert read_url("postgresql://me@host/db") == "postgresql://me@host/db"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "can't be read (No such file or directory)"),
        (b"", "holds none"),
        (b" \n", "holds none"),
        (b"file:///etc/passwd", "holds none"),
        (b"\xffsecret", "is not UTF-8"),
    ],
)
def test_a_file_without_a_url_is_one_sentence_that_repeats_nothing_of_it(
    tmp_path: Path, content: bytes | None, said: str
) -> None:
    file = tmp_path / "url"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ValueError, match=re.escape(said)) as refused:
        create_store(f"file://{file}")
    assert str(file) in str(refused.value)
    assert "secret" not in str(refused.value)
    with pytest.raises(ValueError, match="the absolute path"):
        create_store("file://relative/url")
