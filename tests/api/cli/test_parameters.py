"""Arguments and options that several commands take: names, lifetimes."""

from pathlib import Path

import pytest

from support.connection_command import ConnectionCommand as Command


@pytest.mark.parametrize(
    "name",
    [
        "entra", "demo/", "/entra", "a/b/c", "Demo/entra", "demo/Entra", "demo/-x", "demo/x-", "demo./x",
        "demo/x.", "demo /x", "demo/x\n", f"demo/{'a' * 253}",
    ],
)  # fmt: skip
@pytest.mark.parametrize("action", ["create", "rotate", "delete"])
def test_a_name_of_another_form_is_refused_before_the_database_is_touched(
    command: Command, tmp_path: Path, action: str, name: str
) -> None:
    done = command.run(action, "--", name)
    assert done.exit_code == 2
    assert "write NAMESPACE/NAME in lower case, such as demo/entra" in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("lifetime", "message"),
    [
        ("59s", "a token lives between 60s and 3650d"),
        ("3651d", "a token lives between 60s and 3650d"),
        ("90", "such as 90d or 12h"),
    ],
)
def test_a_lifetime_out_of_bounds_is_refused(command: Command, lifetime: str, message: str) -> None:
    for action in ("create", "rotate"):
        done = command.run(action, "demo/entra", "--lifetime", lifetime)
        assert done.exit_code == 2
        assert message in done.stderr
    assert command.run("create", "demo/shortest", "--lifetime", "60s").exit_code == 0
    assert command.run("create", "demo/longest", "--lifetime", "3650d").exit_code == 0


@pytest.mark.parametrize("lifetime", ["59m", "3599s", "7h", "21601s", "1d"])
def test_an_access_token_lifetime_that_microsoft_would_not_take_is_refused(
    command: Command, tmp_path: Path, lifetime: str
) -> None:
    options = ("--auth", "OAuthClientCredentials", "--access-token-lifetime", lifetime)
    done = command.run("create", "demo/entra", *options)
    assert done.exit_code == 2
    assert "Microsoft takes access tokens that live from 1h to 6h" in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("lifetime", "seconds"), [("60m", 3600), ("21600s", 21_600), ("2h", 7200)])
def test_an_access_token_lifetime_within_its_bounds_is_the_clients(
    command: Command, lifetime: str, seconds: int
) -> None:
    command.json(
        "create", "demo/entra", "--auth", "OAuthClientCredentials", "--access-token-lifetime", lifetime
    )
    client = command.held().oauth_client
    assert client is not None
    assert client.access_token_seconds == seconds
