"""The command signs in as its options say, tells which one is missing, and shows no secret."""

import argparse
import contextlib
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from entra_standin.__main__ import main
from entra_standin.client import EntraClient
from entra_standin.options import add_options, credentials_of, sign_in_of
from localcluster.ports import free_port
from unit.entra_standin.faulty_service import TOKEN, URL
from unit.entra_standin.served import served
from unit.entra_standin.token_service import CLIENT_ID, CLIENT_SECRET, TOKEN_URL, World

TENANT = "5e1f0c7a-2b6d-4c38-9a41-7d3e8f60b9c2"
OAUTH = ["--auth", "OAuthClientCredentials", "--client-id", CLIENT_ID]
WORKLOAD = [
    "--auth", "WorkloadIdentity", "--client-id", CLIENT_ID, "--entra-tenant", TENANT, "--subject", "object",
    "--app-id", "app", "--keys-port", "0",
]  # fmt: skip


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture(autouse=True)
def secrets_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCIM_TOKEN", TOKEN)
    monkeypatch.setenv("SCIM_SECRET", CLIENT_SECRET)


@contextlib.contextmanager
def signed_in(world: World, *options: str) -> Iterator[EntraClient]:
    parser = argparse.ArgumentParser()
    add_options(parser)
    arguments = parser.parse_args([*options, "--token-endpoint", TOKEN_URL])
    with (
        credentials_of(arguments) as credentials,
        sign_in_of(arguments, credentials, world.transport) as sign_in,
        EntraClient(URL, sign_in, transport=world.transport) as client,
    ):
        yield client


def test_a_secret_token_is_the_default(world: World) -> None:
    with signed_in(world, "--token-env", "SCIM_TOKEN") as client:
        client.test_connection()
    assert world.tokens.forms == []


@pytest.mark.parametrize(
    ("location", "fields"), [("Header", set()), ("Body", {"client_id"}), ("Both", {"client_id"})]
)
def test_client_credentials_are_sent_where_the_option_says(
    world: World, location: str, fields: set[str]
) -> None:
    with signed_in(world, *OAUTH, "--token-env", "SCIM_SECRET", "--credentials", location) as client:
        client.test_connection()
    [form] = world.tokens.forms
    assert form.keys() & {"client_id"} == fields


def test_a_scope_is_sent_if_one_is_named(world: World) -> None:
    with signed_in(world, *OAUTH, "--token-env", "SCIM_SECRET", "--scope", "scim") as client:
        client.test_connection()
    assert world.tokens.forms[0]["scope"] == "scim"


@pytest.mark.parametrize(
    ("variant", "audience"), [("Guide", "api://app"), ("Validator", "app"), ("Observed", "app")]
)
def test_a_workload_identity_signs_with_keys_that_it_serves(
    world: World, variant: str, audience: str
) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}/{TENANT}/discovery/v2.0/keys"
    world.tokens.jwks = lambda: httpx.get(url, trust_env=False).json()
    world.tokens.claims = {"aud": audience, "sub": "object", "tid": TENANT}
    with signed_in(world, *WORKLOAD, "--keys-port", str(port), "--claims", variant) as client:
        client.test_connection()
    assert len(world.tokens.issued) == 1


@pytest.mark.parametrize(
    ("options", "missing"),
    [
        (["--auth", "OAuthClientCredentials"], "OAuthClientCredentials needs --token-endpoint"),
        ([*OAUTH, "--token-endpoint", TOKEN_URL], "OAuthClientCredentials needs --token-file or --token-env"),
        ([], "BearerToken needs --token-file or --token-env"),
        ([*WORKLOAD[:-2], "--token-endpoint", TOKEN_URL], "WorkloadIdentity needs --keys-port"),
        (["--validator", "--token-env", "SCIM_TOKEN"], "--validator is of use with OAuthClientCredentials"),
    ],
)
def test_an_option_that_is_missing_is_named(
    capsys: pytest.CaptureFixture[str], options: list[str], missing: str
) -> None:
    assert main(["--url", "http://127.0.0.1:9/scim/v2", *options]) == 1
    assert missing in capsys.readouterr().err


def test_the_command_plays_microsofts_validator(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "secret").write_text(f"{CLIENT_SECRET}\n", encoding="utf-8")
    with served(world) as origin:
        options = ["--url", f"{origin}/scim/v2", "--token-endpoint", f"{origin}/oauth2/token", "--validator"]
        assert main([*options, *OAUTH, "--token-file", str(tmp_path / "secret")]) == 0
        told = capsys.readouterr().out
        assert told == "validator: Validate_Credentials passes, with an access token for 60 minutes\n"

        assert main([*options, *OAUTH, "--token-env", "SCIM_TOKEN"]) == 1
        told = capsys.readouterr().out
        assert told.startswith("validator: Validate_Credentials: POST /oauth2/token answered 401")
        assert TOKEN not in told

        assert main([*options, *WORKLOAD]) == 1
        assert capsys.readouterr().out.startswith(
            "validator: Federated_Identity: POST /oauth2/token answered 401"
        )
    assert world.tokens.forms[-1]["baseAddress"] == f"{origin}/scim/v2"
