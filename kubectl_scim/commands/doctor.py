"""``doctor``: everything that a supporter would check, and what to do about it."""

import contextlib
import dataclasses
import importlib.metadata
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import click

from kubectl_scim.commands.common import (
    installation_option,
    kubectl_of,
    kubernetes_options,
    print_document,
    terminal,
    told,
)

if TYPE_CHECKING:
    from rich.console import Console

    from scim_console.model import Check

_MARKS: Final = {"passed": ("✓", "green"), "failed": ("✗", "red"), "not checkable": ("?", "yellow")}


@click.command()
@click.argument("name", required=False)
@click.option("-o", "--output", type=click.Choice(["json", "yaml"]), help="For programs.")
@installation_option
@kubernetes_options
def doctor(
    name: str | None,
    installation: str | None,
    output: str | None,
    namespace: str | None,
    **options: Any,
) -> None:
    """Check everything that a supporter would check, in order; each line is printed when it is done.

    A line says passed, failed with what to do, or not checkable with the right that is missing.

    Exits with 0 when all passed, 1 when something failed, and 2 when nothing failed but something could not be told.
    """
    from kubectl_scim.doctor import ask_endpoint
    from kubectl_scim.doctor.run import Doctor, exit_code

    kubectl, screen = kubectl_of(options), terminal()
    release = importlib.metadata.version("scim-operator")
    place = namespace or kubectl.namespace()
    checks: list[Check] = []
    with told(), contextlib.ExitStack() as stack:
        say: Callable[[str], object] = lambda _text: None  # noqa: E731
        if screen.is_terminal and output is None:
            progress = stack.enter_context(screen.status(""))
            say = lambda text: progress.update(_plain(text))  # noqa: E731
        examination = Doctor(
            kubectl, place, name, release, lambda url: ask_endpoint.ask(url, release), installation, say=say
        )  # fmt: skip
        for one in examination.checks():
            checks.append(one)
            if output is None:
                _show(screen, one)
    code = exit_code(checks)
    if output is not None:
        document = {"exitCode": code, "checks": [dataclasses.asdict(one) for one in checks]}
        print_document(document, output)
    else:
        counts = {kind: sum(one.outcome == kind for one in checks) for kind in _MARKS}
        screen.print(", ".join(f"{number} {kind}" for kind, number in counts.items() if number))
    sys.exit(code)


def _show(screen: "Console", one: "Check") -> None:
    from rich.text import Text

    mark, colour = _MARKS[one.outcome]
    line = Text.assemble((mark, colour), " ", (_plain(one.name), "bold"), "  ", _plain(one.message))
    if one.remedy is not None:
        line.append("\n  next: ").append(_plain(one.remedy), "bold")
    screen.print(line)


def _plain(text: str) -> str:
    from kubectl_scim.text import plain

    return plain(text)
