"""URLs as managed PostgreSQL gives them, against a real server: TLS, several hosts, deadlines, users."""

import asyncio
import contextlib
import datetime as dt
import socket
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from localcluster.ports import free_port
from scim_api.store.errors import Unavailable
from scim_api.store.postgres import connecting
from scim_api.store.postgres.connecting import Connection, Connector, Session, check_user, reason
from scim_api.store.urls import parse_postgres
from support.handshake import is_strict, make_defaults_strict
from support.postgres import PostgresServer, execute, own_server
from support.tls_relay import TlsRelay

SESSION = Session({"application_name": "scim-api"}, 5.0)
PASSWORD = "p/a?s#s@w:o%rd"
ENCODED = "p%2Fa%3Fs%23s%40w%3Ao%25rd"


def write_certificate(directory: Path, host: str) -> Path:
    """A certificate that signs itself, and its key beside it; the certificate's file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = directory / "server.crt"
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private = directory / "server.key"
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    private.chmod(0o600)
    return path


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_certificate(tmp_path_factory.mktemp("tls"), "localhost")


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def server(port: int) -> Iterator[PostgresServer]:
    """A server that asks for a password, as a provider runs it."""
    with own_server(("127.0.0.1", port)) as running:
        assert running.own is not None
        rules = running.own.directory / "data" / "pg_hba.conf"
        rules.write_text(f"host all all all scram-sha-256\n{rules.read_text()}")
        role = f"CREATE ROLE scim LOGIN PASSWORD '{PASSWORD}'"
        asyncio.run(execute(running.url, role, "SELECT pg_reload_conf()"))
        yield running


@pytest.fixture
async def tls(server: PostgresServer, port: int, certificate: Path) -> AsyncIterator[int]:
    """The port at which the server takes TLS, and nothing else."""
    async with TlsRelay("127.0.0.1", port, certificate) as relay:
        yield relay.port


async def ask(url: str, sql: str = "SELECT session_user") -> object:
    connection = await Connector(url, SESSION)()
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


@pytest.mark.parametrize(
    "query",
    [
        "sslmode=require",
        "ssl=true",
        "sslmode=require&channel_binding=require",
        "connect_timeout=3&keepalives=1&keepalives_idle=30&gssencmode=disable&application_name=mine",
        "sslmode=verify-full&sslrootcert={ca}",
        "sslmode=verify-ca&sslrootcert={ca}&target_session_attrs=read-write",
        "ssl_min_protocol_version=TLSv1.3&sslmode=require&sslrootcert={ca}",
    ],
)
async def test_urls_of_managed_databases_work_over_tls(tls: int, certificate: Path, query: str) -> None:
    url = f"postgresql://scim:{ENCODED}@localhost:{tls}/postgres?{query.format(ca=certificate)}"
    assert await ask(url) == "scim"
    assert await ask(url, "SHOW application_name") == "scim-api"


async def test_tls_may_be_asked_for_by_libpqs_variables_where_the_url_says_nothing(
    tls: int, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with an operator's Secret, whose URL is not ours to write."""
    monkeypatch.setenv("PGSSLMODE", "verify-full")
    monkeypatch.setenv("PGSSLROOTCERT", str(certificate))
    assert await ask(f"postgresql://scim:{ENCODED}@localhost:{tls}/postgres") == "scim"
    with pytest.raises(Unavailable, match=r"(?i)hostname|certificate"):
        await ask(f"postgresql://scim:{ENCODED}@127.0.0.1:{tls}/postgres")


async def test_the_systems_certificates_are_trusted_when_the_url_says_so(
    tls: int, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"postgresql://scim:{ENCODED}@localhost:{tls}/postgres?sslrootcert=system"
    with pytest.raises(Unavailable, match="CERTIFICATE_VERIFY_FAILED"):
        await ask(url)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert await ask(url) == "scim"
    with pytest.raises(Unavailable, match="CERTIFICATE_VERIFY_FAILED"):
        await ask(url.replace("localhost", "127.0.0.1"))


def test_the_systems_certificates_need_no_strict_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    """As libpq takes them, whichever Python this is."""
    make_defaults_strict(monkeypatch)
    context = connecting._tls_context({"sslmode": "verify-full", "sslrootcert": "system"})
    assert context is not None
    assert not is_strict(context)


async def test_a_session_is_plain_where_tls_is_switched_off_and_takes_settings(
    server: PostgresServer, port: int, tls: int
) -> None:
    url = f"postgresql://scim:{ENCODED}@localhost:{port}/postgres?sslmode=disable"
    with pytest.raises(Unavailable):
        await ask(url.replace(f":{port}", f":{tls}"))
    assert await ask(f"{url}&options=-c%20geqo_threshold%3D7", "SHOW geqo_threshold") == "7"
    assert await ask(f"{url}&search_path=elsewhere", "SHOW search_path") == "elsewhere"


@pytest.mark.parametrize(
    ("query", "said"),
    [
        (
            "sslmode=verify-full&sslrootcert=/nowhere/ca.pem",
            "sslrootcert=/nowhere/ca.pem can't be read (No such",
        ),
        ("sslmode=require&sslrootcert=/", "sslrootcert=/ can't be read (Is a directory)"),
        ("sslmode=require&sslrootcert={garbage}", "is not a file of certificates in PEM form"),
        ("sslmode=require&sslcrl=/nowhere", "sslcrl=/nowhere can't be read"),
        ("sslcert=/nowhere/c", "sslcert=/nowhere/c can't be read"),
        ("sslcert={ca}&sslkey=/nowhere/k", "sslkey=/nowhere/k can't be read"),
        ("sslcert={ca}&sslkey={garbage}", "is not a certificate in PEM form whose key is sslkey"),
    ],
)
def test_a_file_that_is_missing_or_no_certificate_is_one_sentence(
    certificate: Path, tmp_path: Path, query: str, said: str
) -> None:
    garbage = tmp_path / "garbage"
    garbage.write_text("no PEM\n")
    query = query.format(ca=certificate, garbage=garbage)
    with pytest.raises(ValueError, match=r"^database URL: ") as refused:
        Connector(f"postgresql://scim:{ENCODED}@localhost/postgres?{query}", SESSION)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_files_that_tls_does_not_need_are_not_asked_for() -> None:
    Connector("postgresql://me@localhost/db?sslmode=disable&sslrootcert=/nowhere&sslcert=/nowhere", SESSION)
    Connector("postgresql://me@localhost/db?sslrootcert=/nowhere", SESSION)


async def test_of_several_hosts_the_first_that_answers_is_used_and_remembered(
    server: PostgresServer, port: int
) -> None:
    silent = socket.socket()
    silent.bind(("127.0.0.1", 0))
    silent.listen()  # and accepts nobody's words
    dead = f"127.0.0.1:{silent.getsockname()[1]}"
    url = f"postgresql://scim:{ENCODED}@{dead},127.0.0.1:{free_port()},127.0.0.1:{port}/postgres"
    with contextlib.closing(silent):
        connect = Connector(f"{url}?connect_timeout=1", SESSION)
        await (await connect()).close()
        begin = time.monotonic()
        await (await connect()).close()
    assert time.monotonic() - begin < 0.9


async def test_when_no_host_answers_all_reasons_are_told(server: PostgresServer, port: int) -> None:
    url = f"postgresql://scim:{ENCODED}@127.0.0.1:{free_port()},127.0.0.1:{free_port()}/postgres"
    with pytest.raises(Unavailable, match=r"^PostgreSQL: ConnectionRefusedError: .*Connect call failed"):
        await ask(url)
    with pytest.raises(Unavailable, match="password authentication failed"):
        await ask(f"postgresql://scim:wrong@127.0.0.1:{port},127.0.0.1:{free_port()}/postgres")


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("options=nonsense", "InvalidParameterValueError|SyntaxError|PostgresSyntaxError|ProtocolViolation"),
        ("options=-c%20nothing%3D1", "nothing"),
        ("dbname=nowhere", "nowhere"),
        ("host=" + "a" * 80 + ".example.com", "PostgreSQL: "),
        ("host=%20", "a host is empty or no name"),
    ],
)
async def test_whatever_refuses_the_session_is_one_line(
    server: PostgresServer, port: int, query: str, said: str
) -> None:
    with pytest.raises((Unavailable, ValueError), match=said) as refused:
        await ask(f"postgresql://scim:{ENCODED}@127.0.0.1:{port}/postgres?{query}")
    assert "\n" not in str(refused.value)


def test_a_user_is_taken_from_url_environment_or_system_and_else_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def unknown() -> str:
        raise KeyError("getpwuid(): uid not found: 54321")

    for name in ("PGUSER", "PGSERVICE"):
        monkeypatch.delenv(name, raising=False)
    nameless = parse_postgres("postgresql://db/scim")
    check_user(nameless, lambda: "me")
    check_user(parse_postgres("postgresql://me@db/scim"), unknown)
    check_user(parse_postgres("postgresql://db/scim?service=scim"), unknown)
    with pytest.raises(ValueError, match=r"names no user, and .*; write postgresql://user@host/database$"):
        check_user(nameless, unknown)
    monkeypatch.setenv("PGUSER", "me")
    check_user(nameless, unknown)


async def test_user_and_password_are_those_of_the_file_when_a_connection_is_opened(
    server: PostgresServer, port: int, tmp_path: Path
) -> None:
    """Until the server knows the new ones, those that worked last are; whoever changes first, the file or it."""
    file = tmp_path / "url"

    def write(user: str, password: str, more: str = "") -> None:
        file.write_text(f"postgresql://{user}:{password}@127.0.0.1:{port}/postgres{more}\n", encoding="utf-8")

    async def user() -> str:
        connection = await connect()
        try:
            name: str = await connection.fetchval("SELECT current_user")
            return name
        finally:
            await connection.close()

    await execute(
        server.url, "CREATE ROLE one LOGIN PASSWORD 'first'", "CREATE ROLE two LOGIN PASSWORD 'other'"
    )
    write("one", "first")
    connect = Connector(f"file://{file}", SESSION)
    assert await user() == "one"
    write("one", "second")
    assert await user() == "one"  # by the first password
    await execute(server.url, "ALTER ROLE one PASSWORD 'second'")
    assert await user() == "one"
    await execute(server.url, "ALTER ROLE one PASSWORD 'third'")
    with pytest.raises(Unavailable, match="password authentication failed"):
        await user()
    write("one", "third")
    assert await user() == "one"
    write("two", "other")
    assert await user() == "two"
    file.unlink()
    assert await user() == "two"


async def test_a_password_that_changes_at_the_server_between_two_tries_is_found_by_the_third(
    server: PostgresServer, port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "url"
    place = f"127.0.0.1:{port}/postgres"
    await execute(server.url, "CREATE ROLE late LOGIN PASSWORD 'before'")
    file.write_text(f"postgresql://late:before@{place}", encoding="utf-8")
    connector = Connector(f"file://{file}", SESSION)
    await (await connector()).close()
    file.write_text(f"postgresql://late:after@{place}", encoding="utf-8")
    honest, passwords = connector._open, list[object]()

    async def change_after_the_first(options: Mapping[str, Any]) -> Connection:
        passwords.append(options["password"])
        if len(passwords) == 2:
            await execute(server.url, "ALTER ROLE late PASSWORD 'after'")
        return await honest(options)

    monkeypatch.setattr(connector, "_open", change_after_the_first)
    await (await connector()).close()
    assert passwords == ["after", "before", "after"]


@pytest.mark.parametrize(
    "other",
    [
        "nowhere.example.com",
        "127.0.0.1:1",
        "127.0.0.1:{port}/other",
        "127.0.0.1:{port}/postgres?sslmode=require",
    ],
)
async def test_another_address_in_the_file_is_used_after_a_restart_alone(
    server: PostgresServer, port: int, tmp_path: Path, other: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Half of the writes would go to one database and half to the other."""
    file = tmp_path / "url"
    file.write_text(f"postgresql://scim:{ENCODED}@127.0.0.1:{port}/postgres", encoding="utf-8")
    connect = Connector(f"file://{file}", SESSION)
    file.write_text(f"postgresql://scim:{ENCODED}@{other.format(port=port)}", encoding="utf-8")
    for _ in range(2):
        connection = await connect()
        assert await connection.fetchval("SELECT current_database()") == "postgres"
        await connection.close()
    said = capsys.readouterr()
    assert (said.out + said.err).count("another address in the database URL's file; restart to use it") == 1
    assert ENCODED not in said.out + said.err


def test_a_reason_is_on_one_line() -> None:
    assert reason(OSError("one\n  two")) == "OSError: one two"
    assert reason(TimeoutError()) == "no answer in time"
