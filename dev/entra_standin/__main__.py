"""``python -m entra_standin --url URL --token-file FILE``: play provisioning cycles and report them.

Or, with ``--validator``, what Microsoft's own validator asks of the token endpoint.
"""

import argparse
import contextlib
import dataclasses
import functools
import sys
from collections.abc import Callable, Mapping, Sequence

import httpx

from entra_standin.client import EntraClient
from entra_standin.cycle import CycleReport, incremental_cycle, initial_cycle
from entra_standin.dialects import GROUP_SCHEMA, Dialect
from entra_standin.directory import Person, Team, six_people, three_teams
from entra_standin.discovery import discover
from entra_standin.errors import EntraError
from entra_standin.groups import GroupReport, incremental_groups, initial_groups
from entra_standin.mapping import Matching
from entra_standin.options import add_options, credentials_of, sign_in_of
from entra_standin.pace import PacedTransport
from entra_standin.token_endpoint import Credentials, SignedAssertion
from entra_standin.validator import federated_identity, validate_credentials

Groups = Callable[[Mapping[str, str]], GroupReport]
"""A cycle's part for groups; takes the people's ids by key."""


def main(argv: Sequence[str] | None = None) -> int:
    """Play an initial cycle, changes, a restart and a retry.

    Returns:
        The exit code: 1 when something failed or Entra would not take an answer, else 0.
    """
    arguments = _parser().parse_args(argv)
    try:
        with contextlib.ExitStack() as stack:
            credentials = stack.enter_context(credentials_of(arguments))
            if arguments.validator:
                return 0 if _validated(arguments, credentials) else 1
            sign_in = stack.enter_context(sign_in_of(arguments, credentials))
            transport = PacedTransport(httpx.HTTPTransport())
            client = stack.enter_context(
                EntraClient(
                    arguments.url, sign_in, arguments.dialect, arguments.matching, transport=transport
                )
            )
            return 0 if play(client, print) else 1
    except (OSError, ValueError) as error:
        print(f"can't begin: {_reason(error)}", file=sys.stderr)
        return 1


def _validated(arguments: argparse.Namespace, credentials: Credentials | None) -> bool:
    """Microsoft's validator, as far as it is about signing in. Raises ``ValueError`` where there is nothing of it."""
    if credentials is None:
        raise ValueError("--validator is of use with OAuthClientCredentials and WorkloadIdentity")
    try:
        if isinstance(credentials, SignedAssertion):
            name = "Federated_Identity"
            granted = federated_identity(arguments.url, arguments.token_endpoint, credentials)
        else:
            name = "Validate_Credentials"
            granted = validate_credentials(
                arguments.url, arguments.token_endpoint, credentials, scope=arguments.scope
            )
    except EntraError as error:
        print(f"validator: {name}: {error}")
        return False
    print(f"validator: {name} passes, with an access token for {granted.expires_in / 60:g} minutes")
    return True


def play(client: EntraClient, tell: Callable[[str], None]) -> bool:
    """Test Connection, then six people from their creation to changes, a soft delete, a delete, a restart and a retry.

    Three groups as well, when /Schemas lists them; as in Entra, they come after the people of each cycle.

    Args:
        client: the connection.
        tell: takes one line of the report at a time.

    Returns:
        Whether all went as Entra needs it.
    """
    people, teams = six_people(), three_teams()
    changed = changed_people(people)
    cycles: tuple[tuple[str, Callable[[], CycleReport], Groups], ...] = (
        (
            "initial cycle",
            lambda: initial_cycle(client, people),
            functools.partial(initial_groups, client, teams),
        ),
        (
            "incremental cycle",
            lambda: incremental_cycle(client, people, changed),
            functools.partial(incremental_groups, client, teams, changed_teams(teams)),
        ),
        (
            "restart",
            lambda: initial_cycle(client, changed),
            functools.partial(initial_groups, client, changed_teams(teams)),
        ),
    )
    schemas: frozenset[str] | None = None
    step = "Test Connection"
    try:
        client.test_connection()
        tell("Test Connection: nobody found, as it must be")
        step = "discovery"
        for name, cycle, groups in cycles:
            reports: list[CycleReport | GroupReport] = [report := cycle()]
            if report.ok:
                schemas = schemas or discover(client)
                reports += [groups(report.ids)] if GROUP_SCHEMA in schemas else []
            for line in (line for one in reports for line in one.lines()):
                tell(f"{name}: {line}")
            if not all(one.ok for one in reports):
                return False
        step = "retry"
        client.resend(changed[0])
    except EntraError as error:
        tell(f"{step}: {error}")
        return False
    tell("retry: a create sent twice is refused as a duplicate")
    return True


def changed_people(people: Sequence[Person]) -> tuple[Person, ...]:
    """A later state of the six: changes, a soft delete, a restore, values cleared by null and by "", one gone."""
    ada, grace, edsger, katherine, konrad, _radia = people
    return (
        dataclasses.replace(ada, job_title="Countess", department="Notes"),
        dataclasses.replace(grace, active=False),
        dataclasses.replace(edsger, country="BE", manager="katherine"),
        dataclasses.replace(katherine, department=None, manager=None),
        dataclasses.replace(konrad, active=True, job_title="", country=""),
    )


def changed_teams(teams: Sequence[Team]) -> tuple[Team, ...]:
    """A later state of the three: other members, another name, one gone and one new."""
    everybody, compilers, _empty = teams
    return (
        dataclasses.replace(everybody, members=everybody.members - {"radia", "ada"}),
        dataclasses.replace(compilers, display_name="Compilers", members=frozenset({"grace", "katherine"})),
        Team("team-new", "New (1)", frozenset({"konrad"})),
    )


def _reason(error: Exception) -> str:
    """Without what was read: a decoding error carries the bytes of the token."""
    if isinstance(error, UnicodeError):
        return "the token file is not UTF-8 text"
    return f"{error.strerror}: {error.filename}" if isinstance(error, OSError) else str(error)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m entra_standin", description=__doc__)
    parser.add_argument("--url", required=True, help="the Tenant URL, as the Secret's `endpoint` has it")
    parser.add_argument(
        "--validator", action="store_true", help="ask what Microsoft's validator asks, instead of cycles"
    )
    parser.add_argument("--dialect", type=Dialect, choices=list(Dialect), default=Dialect.CLASSIC)
    parser.add_argument("--matching", type=Matching, choices=list(Matching), default=Matching.WORK_EMAIL)
    add_options(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
