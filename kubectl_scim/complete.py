"""``kubectl_complete-scim``: what may follow on a command line, as kubectl asks it for its plugins.

kubectl calls an executable of that name on PATH with the words after ``kubectl scim``, of which the last is to be completed
and may be empty. It prints one candidate a line, after a tab what it means, and in the end a directive of cobra's.
"""

import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

import click

from kubectl_scim.kubectl import Kubectl, KubectlError
from kubectl_scim.main import COMMANDS, cli
from kubectl_scim.scimtoken import KIND, ScimToken
from kubectl_scim.text import plain

FILES: Final = 0
"""cobra's ``ShellCompDirectiveDefault``: the shell completes names of files."""
NO_FILES: Final = 4
"""cobra's ``ShellCompDirectiveNoFileComp``."""
_PATIENCE: Final = "--request-timeout=2s"
"""Nobody waits longer for a Tab."""
_SENTENCE: Final = re.compile(r"[:;.](?: |$)")
"""Ends what a candidate is told to mean."""
_FOR_KUBECTL: Final = ("--kubeconfig", "--context", "--as", "--as-group")
Candidates = Iterator[tuple[str, str]]
"""Each with what it means."""


def main() -> None:
    """The console script. It never fails: a shell has no place for an error."""
    found, directive = completed(sys.argv[1:])
    for value, meaning in found:
        sys.stdout.write(f"{value}\t{meaning}\n" if meaning else f"{value}\n")
    sys.stdout.write(f":{directive}\n")


def completed(words: Sequence[str]) -> tuple[Sequence[tuple[str, str]], int]:
    """Candidates, and cobra's directive.

    Args:
        words: after ``kubectl scim``; the last is to be completed.
    """
    *before, last = words or [""]
    name = next((word for word in before if not word.startswith("-")), None)
    if name is None:
        return _fitting(_commands(), last), NO_FILES
    command = cli.get_command(click.Context(cli), name)
    if command is None:
        return [], NO_FILES
    line = _Line(command, before[before.index(name) + 1 :])
    flag, equals, value = last.partition("=")
    if line.open_option is not None:
        return _of_option(line.open_option, line, last, "")
    if equals and flag.startswith("--") and flag in line.options:
        return _of_option(line.options[flag], line, value, f"{flag}=")
    if last.startswith("-"):
        return _fitting(line.flags(), last), NO_FILES
    return _fitting(_told(lambda: _of_argument(line)), last), NO_FILES


class _Line:
    """What stands after a command's name.

    Args:
        command: which.
        words: those that are complete.
    """

    def __init__(self, command: click.Command, words: Sequence[str]) -> None:
        self.options: Mapping[str, click.Option] = {
            flag: parameter
            for parameter in command.params
            if isinstance(parameter, click.Option)
            for flag in parameter.opts
        }
        self._arguments = [one for one in command.params if isinstance(one, click.Argument)]
        self.given: dict[str, str] = {}
        self.values: list[str] = []
        self.open_option: click.Option | None = None
        """That the next word is the value of."""
        for word in words:
            flag, equals, value = word.partition("=")
            option = self.options.get(flag)
            if self.open_option is not None:
                self.given[self.open_option.opts[0]], self.open_option = word, None
            elif option is None:
                if not word.startswith("-"):
                    self.values.append(word)
            elif equals or option.is_flag:
                self.given[option.opts[0]] = value
            else:
                self.open_option = option

    @property
    def argument(self) -> str | None:
        """The one that comes next."""
        return None if self._next is None else self._next.name

    @property
    def choices(self) -> Sequence[str] | None:
        """That it has."""
        kind = None if self._next is None else self._next.type
        return [str(one) for one in kind.choices] if isinstance(kind, click.Choice) else None

    @property
    def _next(self) -> click.Argument | None:
        return self._arguments[len(self.values)] if len(self.values) < len(self._arguments) else None

    def flags(self) -> Candidates:
        """Those that were not given yet, in their long form."""
        for flag, option in self.options.items():
            if flag.startswith("--") and (option.multiple or option.opts[0] not in self.given):
                yield flag, _SENTENCE.split(option.help or "")[0]

    def kubectl(self) -> Kubectl:
        """With the flags that stand on the line."""
        return Kubectl(tuple(f"{flag}={self.given[flag]}" for flag in _FOR_KUBECTL if self.given.get(flag)))

    def place(self) -> Sequence[str]:
        """The namespace that stands on the line; kubectl knows its own."""
        found = self.given.get("-n")
        return ("-n", found) if found else ()


def _commands() -> Candidates:
    for name in COMMANDS:
        command = cli.get_command(click.Context(cli), name)
        if command is not None:
            yield name, _SENTENCE.split(" ".join((command.help or "").split()))[0]


def _of_option(
    option: click.Option, line: _Line, last: str, prefix: str
) -> tuple[Sequence[tuple[str, str]], int]:
    """Values of an option.

    Args:
        option: which.
        line: what stands before.
        last: the beginning of its value.
        prefix: before each candidate.
    """
    flags = set(option.opts)
    found: Sequence[tuple[str, str]] = []
    if isinstance(option.type, click.Choice):
        found = [(str(one), "") for one in option.type.choices]
    elif isinstance(option.type, click.Path) or "--kubeconfig" in flags:
        return [], FILES
    elif flags & {"--namespace", "--installation-namespace"}:
        found = _told(lambda: _named(line.kubectl().run("get", "namespaces", "-o", "name", _PATIENCE)))
    elif "--context" in flags:
        found = _told(lambda: _named(line.kubectl().run("config", "get-contexts", "-o", "name")))
    return [(prefix + value, meaning) for value, meaning in _fitting(found, last)], NO_FILES


def _of_argument(line: _Line) -> Candidates:
    if line.argument == "name":
        text = line.kubectl().run("get", KIND, *line.place(), "-o", "name", _PATIENCE)
        yield from _named(text)
    elif line.argument == "id":
        token = ScimToken(line.kubectl().get(KIND, line.values[0], *line.place(), _PATIENCE))
        for one in token.credentials:
            if one.state != "Revoked":
                yield one.id, one.state
    elif line.choices is not None:
        yield from ((one, "") for one in line.choices)


def _named(text: str) -> Candidates:
    """From kubectl's ``kind/name``, line by line."""
    for line in text.splitlines():
        yield line.rpartition("/")[2] if line.startswith(("scimtoken", "namespace/")) else line, ""


def _told(look: Callable[[], Candidates]) -> Sequence[tuple[str, str]]:
    """What there is; nothing where it can't be found out."""
    try:
        return list(look())
    except (KubectlError, ValueError, KeyError):
        return []


def _fitting(
    found: Iterator[tuple[str, str]] | Sequence[tuple[str, str]], last: str
) -> Sequence[tuple[str, str]]:
    """Those that begin so; what others wrote is no line and no tab of its own."""
    return [(plain(value), plain(meaning)) for value, meaning in found if value.startswith(last)]
