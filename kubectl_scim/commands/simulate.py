"""``simulate``: what Entra does, done from here."""

import contextlib
import dataclasses
import signal
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import click

from kubectl_scim.commands.common import (
    fail,
    installation_option,
    kubectl_of,
    kubernetes_options,
    print_document,
    terminal,
    told,
)
from kubectl_scim.kubectl import Kubectl
from kubectl_scim.scimtoken import KIND, ScimToken

if TYPE_CHECKING:
    from kubectl_scim.simulation import Simulation, Step

_MARKS: Final = {"passed": ("✓", "green"), "failed": ("✗", "red"), "skipped": ("-", "dim")}


@click.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option(
    "--port-forward", "through_cluster", is_flag=True,
    help="By a port-forward to the SCIM API, not to the endpoint that Entra asks.",
)  # fmt: skip
@click.option("-o", "--output", type=click.Choice(["json", "yaml"]), help="For programs.")
@installation_option
@kubernetes_options
def simulate(
    name: str, yes: bool, through_cluster: bool, output: str | None, installation: str | None, namespace: str | None, **options: Any
) -> None:  # fmt: skip
    """Run Entra's requests with a test user.

    Test Connection, then one invented person and group are created, found, changed, disabled and deleted. It asks the endpoint in the Secret, from here, with the Secret's credential, and cleans up whatever happens. What a run
    left that was killed is removed by the next. It writes, and it is a use of the credential: it asks before it begins.

    Exits with 0 when each step passed, 1 when one failed, and 2 when that cannot be determined.
    """
    from kubectl_scim import simulation
    from kubectl_scim.reading import using
    from kubectl_scim.text import plain
    from scim_console.model import Denied, Unreachable

    kubectl = kubectl_of(options)
    try:
        with told(kubectl):
            token = ScimToken(kubectl.get(KIND, name, "-n", namespace or kubectl.namespace()))
            if token.is_read_only:
                fail(
                    f"{name} is ReadOnly: Entra writes. Simulate with a ScimToken of the tenant that is ReadWrite"
                )
            click.echo(plain(simulation.warning(token, datetime.now(UTC))), err=True)
            if not yes and not click.confirm("Continue?", err=True):
                raise click.Abort
            way = using(
                kubectl,
                token,
                agent=simulation.AGENT,
                through_cluster=through_cluster,
                installation=installation,
            )
            with _ended_as_by_ctrl_c(), way as connection:
                run = simulation.Simulation(
                    connection.send,
                    str(token.spec.get("matching", "workEmail")),
                    has_groups=token.spec.get("groups") != "Disabled",
                )
                steps = _played(run, kubectl, quiet=output is not None)
    except (Denied, Unreachable) as error:
        fail(kubectl.suggested(str(error)))
    if output is not None:
        print_document([dataclasses.asdict(step) for step in steps], output)
    if any(step.outcome == "failed" for step in steps):
        sys.exit(1)


def _played(run: "Simulation", kubectl: Kubectl, *, quiet: bool) -> "list[Step]":
    """All steps, and then the cleaning, also when it is ended early."""
    steps: list[Step] = []
    screen = terminal()

    def show(more: "Iterator[Step]") -> None:
        from rich.text import Text

        from kubectl_scim.text import plain

        for step in more:
            step = dataclasses.replace(step, came_back=kubectl.suggested(step.came_back))
            steps.append(step)
            if not quiet:
                mark, colour = _MARKS[step.outcome]
                screen.print(
                    Text.assemble((mark, colour), f" {step.name:<44}", plain(step.came_back)), soft_wrap=True
                )

    try:
        show(run.steps())
    finally:
        show(run.clean())
    return steps


@contextlib.contextmanager
def _ended_as_by_ctrl_c() -> Iterator[None]:
    """A terminal that is closed, or a ``kill``, lets it clean up as Ctrl-C does."""

    def interrupt(*_arguments: object) -> None:
        raise KeyboardInterrupt

    names = [name for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {name: signal.signal(getattr(signal, name), interrupt) for name in names}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(getattr(signal, name), handler)
