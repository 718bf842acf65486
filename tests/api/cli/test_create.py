"""``scim-api connection create``: what it prints, what it stores, and what it refuses."""

import re
from pathlib import Path

import pytest

from scim_api.contract.admin import WorkloadIdentityTrust
from scim_api.contract.oauth import CLOUDS, Cloud, client_id_of
from scim_api.contract.tokens import digest, kind_of
from scim_api.store.protocol import Store
from support.connection_command import ConnectionCommand as Command

RFC3339 = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
TENANT = "5e1f0c7a-2b6d-4c38-9a41-7d3e8f60b9c2"
SUBJECT = "3c0f0a2e-0d0f-4b0a-9a55-2d6a0e6f1d11"
OAUTH = ("--auth", "OAuthClientCredentials")
WORKLOAD = (
    "--auth",
    "WorkloadIdentity",
    "--entra-tenant",
    TENANT,
    "--subject",
    SUBJECT,
    "--audience",
    "api://app",
)


def test_a_connection_is_printed_for_copying_and_the_advice_goes_to_the_terminal_alone(
    command: Command,
) -> None:
    done = command.run("create", "demo/entra", "--public-url", "https://scim.example.com")
    assert done.exit_code == 0, done.output
    lines = dict(re.split(r"\s{2,}", line) for line in done.stdout.splitlines())
    assert list(lines) == ["endpoint", "token", "token id", "expires at"]
    assert lines["endpoint"] == "https://scim.example.com/scim/v2"
    assert re.fullmatch(RFC3339, lines["expires at"])
    assert command.opens(lines["token"])
    assert "Tenant URL" in done.stderr
    assert lines["token"] not in done.stderr


def test_as_json_it_is_one_object_with_the_same(command: Command) -> None:
    issued = command.json("create", "demo/entra")
    assert set(issued) == {"endpoint", "token", "tokenId", "expiresAt"}
    assert issued["endpoint"] == "http://127.0.0.1:8080/scim/v2"
    [held] = command.held().credentials
    assert held.id == issued["tokenId"]
    assert held.expires_at.strftime("%Y-%m-%dT%H:%M:%SZ") == issued["expiresAt"]
    assert (held.expires_at - held.issued_at).days == 90


def test_the_options_of_a_new_connection_are_its_tenants_settings(command: Command) -> None:
    command.json(
        "create", "demo/entra", "--tenant", "contoso", "--matching", "externalId", "--groups", "Disabled",
        "--custom-field", "costCenter", "--custom-field", "floor", "--lifetime", "12h",
    )  # fmt: skip
    held = command.held()
    assert held.tenant == "contoso"
    assert held.settings is not None
    assert (held.settings.matching, held.settings.groups) == ("externalId", "Disabled")
    assert [(field.name, field.type) for field in held.settings.custom_fields] == [
        ("costCenter", "Any"),
        ("floor", "Any"),
    ]
    assert (held.credentials[0].expires_at - held.credentials[0].issued_at).total_seconds() == 12 * 3600


def test_a_tenant_is_named_like_its_connection_unless_told_otherwise(command: Command) -> None:
    command.json("create", "demo/entra")
    assert command.held().tenant == "entra"


def test_a_connection_that_exists_is_not_made_again(command: Command) -> None:
    first = command.json("create", "demo/entra")
    second = command.run("create", "demo/entra")
    assert second.exit_code == 1
    assert "connection rotate demo/entra" in second.stderr
    assert command.opens(first["token"])


def test_a_connection_has_the_rate_limit_that_is_asked_for_and_the_list_shows_it(command: Command) -> None:
    command.json("create", "demo/plain")
    command.json("create", "demo/slow", "--requests-per-second", "25", "--burst", "25")
    command.json("create", "demo/fast", "--requests-per-second", "100000", "--burst", "99999")
    limits = {row["connection"]: (row["requestsPerSecond"], row["burst"]) for row in command.json("list")}
    assert limits == {"demo/plain": (50, 100), "demo/slow": (25, 25), "demo/fast": (100_000, 99_999)}
    table = [re.split(r"\s{2,}", line) for line in command.run("list").stdout.splitlines()]
    assert {row[0]: row[4:6] for row in table[1:]} == {
        name: [str(rate), str(burst)] for name, (rate, burst) in limits.items()
    }


@pytest.mark.parametrize("option", ["--requests-per-second", "--burst"])
@pytest.mark.parametrize("number", ["24", "0", "-1", "100001", "1e3", "50.5", "many", ""])
def test_a_rate_that_a_scimtoken_would_not_take_is_refused_by_the_options_name(
    command: Command, tmp_path: Path, option: str, number: str
) -> None:
    done = command.run("create", "demo/entra", f"{option}={number}")
    assert done.exit_code == 2
    assert f"'{option}'" in done.stderr
    assert not list(tmp_path.iterdir())


# -- clients of the token endpoint ------------------------------------------------------------------
def test_a_client_is_printed_with_all_that_entra_asks_for(command: Command) -> None:
    issued = command.json("create", "demo/entra", *OAUTH, "--public-url", "https://scim.example.com")
    assert list(issued) == [
        "endpoint", "tokenEndpoint", "clientId", "clientSecret", "clientSecretId", "expiresAt",
    ]  # fmt: skip
    assert issued["endpoint"] == "https://scim.example.com/scim/v2"
    assert issued["tokenEndpoint"] == "https://scim.example.com/oauth2/token"
    assert kind_of(issued["clientSecret"]) == "ClientSecret"
    held = command.held()
    assert held.oauth_client is not None
    assert (held.oauth_client.client_id, held.oauth_client.access_token_seconds) == (issued["clientId"], 3600)
    [secret] = held.credentials
    assert (secret.id, secret.kind) == (issued["clientSecretId"], "ClientSecret")
    assert secret.digest == digest(issued["clientSecret"]).hex()
    assert (secret.expires_at - secret.issued_at).days == 90
    assert secret.expires_at.strftime("%Y-%m-%dT%H:%M:%SZ") == issued["expiresAt"]


def test_a_client_is_printed_for_people_with_the_names_of_entras_fields(command: Command) -> None:
    done = command.run("create", "demo/entra", *OAUTH, "--lifetime", "365d", "--access-token-lifetime", "6h")
    assert done.exit_code == 0, done.output
    lines = dict(re.split(r"\s{2,}", line) for line in done.stdout.splitlines())
    assert list(lines) == [
        "endpoint", "token endpoint", "client id", "client secret", "client secret id", "expires at",
    ]  # fmt: skip
    for words in ("Tenant URL", "OAuth token endpoint", "shown only now"):
        assert words in done.stderr
    assert lines["client secret"] not in done.stderr
    held = command.held()
    assert held.oauth_client is not None
    assert held.oauth_client.access_token_seconds == 6 * 3600
    assert (held.credentials[0].expires_at - held.credentials[0].issued_at).days == 365


def test_a_workload_identity_is_printed_without_any_secret(command: Command) -> None:
    issued = command.json("create", "demo/entra", *WORKLOAD)
    assert list(issued) == ["endpoint", "tokenEndpoint", "clientId"]
    [held] = command.held().credentials
    assert held.trust == WorkloadIdentityTrust(
        tenant_id=TENANT,
        subjects=(SUBJECT,),
        audiences=("api://app",),
        issuers=CLOUDS[Cloud.PUBLIC].issuers(TENANT),
        keys_url=f"https://login.microsoftonline.com/{TENANT}/discovery/v2.0/keys",
    )
    assert held.digest == held.trust.fingerprint(issued["clientId"])


def test_a_workload_identity_may_have_several_of_each_claim_and_keys_elsewhere(command: Command) -> None:
    done = command.run(
        "create", "demo/entra", *WORKLOAD, "--subject", "second", "--audience", "app", "--audience", "api://app",
        "--issuer", "http://127.0.0.1:8099/one", "--issuer", "https://login.test/two",
        "--keys-url", "http://127.0.0.1:8099/keys",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    [held] = command.held().credentials
    assert held.trust is not None
    assert held.trust.subjects == (SUBJECT, "second")
    assert held.trust.audiences == ("api://app", "app")
    assert held.trust.issuers == ("http://127.0.0.1:8099/one", "https://login.test/two")
    assert held.trust.keys_url == "http://127.0.0.1:8099/keys"
    assert "http://127.0.0.1:8099 in SCIM_API_KEYS_HOSTS" in done.stderr


def test_a_host_that_no_administrator_need_name_is_not_spoken_of(command: Command) -> None:
    for cloud in Cloud:
        done = command.run(
            "create", f"demo/{cloud.lower()}", *WORKLOAD, "--tenant", "t", "--cloud", cloud.value
        )
        assert done.exit_code == 0, done.output
        assert "SCIM_API_KEYS_HOSTS" not in done.output
    done = command.run("create", "demo/own", *WORKLOAD, "--keys-url", "https://login.test/keys")
    assert "with login.test in SCIM_API_KEYS_HOSTS" in done.stderr


def test_each_way_to_sign_in_stands_beside_the_others_of_a_tenant(command: Command) -> None:
    bearer = command.json("create", "demo/entra")
    command.json("create", "demo/entra-oauth", "--tenant", "entra", *OAUTH)
    command.json("create", "demo/entra-wi", "--tenant", "entra", *WORKLOAD)
    assert command.opens(bearer["token"])
    assert {(row["tenant"], row["auth"]) for row in command.json("list")} == {
        ("entra", "BearerToken"),
        ("entra", "OAuthClientCredentials"),
        ("entra", "WorkloadIdentity"),
    }


def test_in_an_operators_database_the_client_id_is_that_of_a_scimtoken_of_the_name(command: Command) -> None:
    command.json("create", "demo/other")

    async def claim(store: Store) -> None:
        await store.claim("cluster-one")

    command.ask(claim)
    issued = command.json("create", "demo/entra", *OAUTH)
    assert issued["clientId"] == client_id_of("cluster-one", "demo", "entra")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--subject", "x"], "--subject goes with --auth WorkloadIdentity, not with BearerToken"),
        ([*OAUTH, "--cloud", "China"], "--cloud goes with --auth WorkloadIdentity, not with OAuth"),
        (
            ["--access-token-lifetime", "1h"],
            "goes with --auth OAuthClientCredentials or WorkloadIdentity, not",
        ),
        ([*WORKLOAD, "--lifetime", "90d"], "--lifetime is of no use with --auth WorkloadIdentity"),
        ([*WORKLOAD, "--entra-tenant", "contoso"], "--entra-tenant 'contoso': write the GUID of the tenant"),
        ([*WORKLOAD[:4], "--audience", "x"], "--subject is missing: write the object id"),
        (list(WORKLOAD[:6]), "--audience is missing: write what Entra shows as Audience"),
        ([*WORKLOAD, "--keys-url", "http://login.test/keys"], "write https://; clear text is for tests"),
    ],
)
def test_a_mistake_in_how_to_sign_in_is_one_line_before_the_database_is_touched(
    command: Command, tmp_path: Path, options: list[str], message: str
) -> None:
    done = command.run("create", "demo/entra", *options)
    assert done.exit_code == 1
    [line] = done.stderr.splitlines()
    assert line.startswith("Error: ")
    assert message in line
    assert not list(tmp_path.iterdir())


def test_the_help_teaches_each_way_to_sign_in(command: Command) -> None:
    text = " ".join(command.run("create", "--help").stdout.split())
    for words in (
        "--auth OAuthClientCredentials",
        "--auth WorkloadIdentity --entra-tenant <tenant id> --subject <object id>",
        "without a rejected request",
        "[default: 90d]",
    ):
        assert words in text


def test_an_application_that_reads_gets_a_token_that_writes_nothing(command: Command) -> None:
    command.json("create", "demo/entra", "--matching", "externalId")
    done = command.run("create", "demo/reports", "--tenant", "entra", "--access", "read-only")
    assert done.exit_code == 0, done.output
    assert "Entra" not in done.stderr
    assert "can change nothing" in done.stderr
    rotated = command.run("rotate", "demo/reports")
    assert "can change nothing" in rotated.stderr
    entra, reports = command.json("list")
    assert (entra["access"], reports["access"]) == ("ReadWrite", "ReadOnly")
    assert (reports["tenant"], len(reports["tokens"])) == ("entra", 2)

    async def is_read_only(store: Store) -> bool:
        token = dict(re.split(r"\s{2,}", line) for line in rotated.stdout.splitlines())["token"]
        access = await store.access(digest(token))
        assert access is not None
        assert access.settings.matching == "externalId"
        return access.is_read_only

    assert command.ask(is_read_only)


@pytest.mark.parametrize(
    "option",
    [
        ("--matching", "workEmail"), ("--groups", "Disabled"), ("--custom-field", "floor"),
        ("--requests-per-second", "50"), ("--burst", "200"),
    ],
    ids=lambda option: option[0],
)  # fmt: skip
def test_a_connection_that_reads_sets_nothing_of_its_tenant(
    command: Command, option: tuple[str, str]
) -> None:
    done = command.run("create", "demo/reports", "--access", "read-only", *option)
    assert done.exit_code == 1
    [line] = done.stderr.splitlines()
    assert line.startswith(f"Error: {option[0]}: with --access read-only leave it out; ")
    assert not done.stdout
