"""``doctor``: everything that a support engineer would check, and what to do about it."""

import contextlib
import dataclasses
import importlib.metadata
import os
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
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

if TYPE_CHECKING:
    from rich.console import Console

    from kubectl_scim.bundle.collection import Collector
    from scim_console.model import Check

_MARKS: Final = {"passed": ("✓", "green"), "failed": ("✗", "red"), "not checkable": ("?", "yellow")}


@click.command()
@click.argument("name", required=False)
@click.option("-o", "--output", type=click.Choice(["json", "yaml"]), help="For programs.")
@click.option(
    "--bundle",
    "archive",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE.tar.gz",
    help="Write a support archive.",
)
@click.option(
    "--tail",
    type=click.IntRange(min=0),
    default=1000,
    show_default=True,
    help="Lines of each log, for --bundle.",
)
@click.option(
    "--exclude", multiple=True, metavar="NAME", help="Leave this file out of the archive; may be repeated."
)
@installation_option
@kubernetes_options
def doctor(
    name: str | None,
    installation: str | None,
    archive: Path | None,
    tail: int,
    exclude: tuple[str, ...],
    output: str | None,
    namespace: str | None,
    **options: Any,
) -> None:
    """Check the installation end to end.

    Everything that a support engineer would check, in order; each line is printed when it is done. A line says passed, failed with what to do, or not checkable with the permission that is missing.

    --bundle also writes what a support engineer needs: objects, Events and logs, without a secret and without personal data. What is
    written is searched for both before; it is not written while something looks like either.

    Exits with 0 when all passed, 1 when something failed, and 2 when nothing failed but something could not be determined.
    """
    from kubectl_scim.bundle.collection import Collector
    from kubectl_scim.doctor import ask_endpoint
    from kubectl_scim.doctor.acceptance import Acceptance
    from kubectl_scim.doctor.run import Doctor, exit_code, suggested

    if archive is not None and archive.exists():
        raise click.UsageError(f"{archive} exists")
    kubectl, screen = kubectl_of(options), terminal()
    release = importlib.metadata.version("scim-operator")
    place = namespace or kubectl.namespace()
    checks: list[Check] = []
    with told(kubectl), contextlib.ExitStack() as stack:
        say: Callable[[str], object] = lambda _text: None  # noqa: E731
        if screen.is_terminal and output is None:
            progress = stack.enter_context(screen.status(""))
            say = lambda text: progress.update(_plain(text))  # noqa: E731
        examination = Doctor(
            kubectl, place, name, release, lambda url: ask_endpoint.ask(url, release), installation, accepts=stack.enter_context(Acceptance(kubectl, installation)), say=say
        )  # fmt: skip
        for one in examination.checks():
            checks.append(one)
            if output is None:
                _show(screen, suggested(kubectl, one))
        written = None
        if archive is not None:
            collector = Collector(kubectl, place, name, installation, tail, say)
            written = _write(archive, collector, checks, exclude)
    code = exit_code(checks)
    if output is not None:
        document = {
            "exitCode": code,
            "checks": [dataclasses.asdict(suggested(kubectl, one)) for one in checks],
        }
        print_document(document, output)
    else:
        counts = {kind: sum(one.outcome == kind for one in checks) for kind in _MARKS}
        screen.print(", ".join(f"{number} {kind}" for kind, number in counts.items() if number))
    if written is not None:
        click.echo(_plain(written), err=True)
    sys.exit(code)


def _write(path: Path, collector: "Collector", checks: Sequence["Check"], exclude: Sequence[str]) -> str:
    """Write the archive; what to say of it."""
    from kubectl_scim.bundle.archive import Refused, build

    collection = collector.collect(checks, datetime.now(UTC))
    unknown = [one for one in exclude if one not in collection.files]
    if unknown:
        fail(f"--exclude {unknown[0]}: the archive has no such file; it has {', '.join(collection.files)}")
    files = {file: text for file, text in collection.files.items() if file not in exclude}
    try:
        content, redactor = build(files, collection.values)
    except Refused as refused:
        fail(f"{refused}. Leave that file out with --exclude, or report it so that it is taken out")
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
    except OSError as error:
        fail(f"{path} can't be written: {error.strerror}")
    missing = f"; {len(collection.unread)} could not be read, see not-read.json" if collection.unread else ""
    return (
        f"{path}: {len(files)} files, {redactor.secrets} secrets and {redactor.people} people taken out{missing}. "
        f"Look at it before you send it: tar -xzOf {path}"
    )


def _show(screen: "Console", one: "Check") -> None:
    from rich.text import Text

    mark, colour = _MARKS[one.outcome]
    line = Text.assemble((mark, colour), " ", (_plain(one.name), "bold"), "  ", _plain(one.message))
    if one.remedy is not None:
        line.append("\n  next: ").append(_plain(one.remedy), "bold")
    screen.print(line, soft_wrap=True)


def _plain(text: str) -> str:
    from kubectl_scim.text import plain

    return plain(text)
