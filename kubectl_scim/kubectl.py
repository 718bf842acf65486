"""Kubernetes by the ``kubectl`` that started this plugin: its kubeconfig, sign-in, proxies and rights are the caller's.

No other client reads kubeconfigs, exec plugins and ``--as`` as kubectl does, and whoever runs a plugin has it.
"""

import contextlib
import dataclasses
import json
import os
import re
import shlex
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

SECONDS: Final = 30.0
"""For one call; a hung API server must not hang the terminal for ever."""
Object = dict[str, Any]
_POD_NAMESPACE: Final = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"
_KLOG: Final = re.compile(r"[EWIF]\d{4} \d\d:")
"""How a line of kubectl's own log begins: it stands before what kubectl says to people."""
_COMMAND: Final = re.compile(
    r"\bkubectl (?:scim [a-z]+|apply|cluster-info|delete|describe|explain|get|logs|patch|scale)\b"
)
"""How a command that people are told to type begins."""


class KubectlError(Exception):
    """kubectl did not do it; the message is for people."""


class NotFound(KubectlError):
    """There is no such object."""


class Forbidden(KubectlError):
    """The caller lacks a right; the message names it."""


@dataclasses.dataclass(frozen=True, slots=True)
class Kubectl:
    """Calls kubectl.

    Attributes:
        flags: given to each call, such as ``--context``.
        program: its name or path.
    """

    flags: tuple[str, ...] = ()
    program: str = dataclasses.field(default_factory=lambda: os.environ.get("KUBECTL", "kubectl"))

    def suggested(self, text: str) -> str:
        """A text with the caller's flags in each command of kubectl that it suggests: without, another cluster may be meant."""
        flags = "".join(f" {shlex.quote(flag)}" for flag in self.flags)
        return _COMMAND.sub(lambda found: found[0] + flags, text)

    def run(self, *arguments: str, input: str | None = None) -> str:
        """What it prints. Raises ``KubectlError``."""
        try:
            done = subprocess.run(
                [self.program, *self.flags, *arguments],
                input=input,
                capture_output=True,
                text=True,
                timeout=SECONDS,
                check=False,
            )
        except FileNotFoundError:
            raise KubectlError(f"{self.program} is not installed, or not on PATH") from None
        except subprocess.TimeoutExpired:
            raise KubectlError(
                f"kubectl did not answer within {SECONDS:g} s; is the cluster reachable?"
            ) from None
        if done.returncode:
            raise error_of(done.stderr)
        return done.stdout

    def get(self, kind: str, name: str, *more: str) -> Object:
        """An object. Raises ``KubectlError``."""
        found: Object = json.loads(self.run("get", kind, name, "-o", "json", *more))
        return found

    def list(self, kind: str, *more: str) -> Sequence[Object]:
        """Objects. Raises ``KubectlError``."""
        items: list[Object] = json.loads(self.run("get", kind, "-o", "json", *more))["items"]
        return items

    def namespace(self) -> str:
        """The one that kubectl works in."""
        with contextlib.suppress(KubectlError):
            found = self.run("config", "view", "--minify", "-o", "jsonpath={..namespace}").strip()
            return found or "default"
        with contextlib.suppress(OSError):  # no kubeconfig: a pod
            return Path(_POD_NAMESPACE).read_text(encoding="utf-8").strip()
        return "default"

    def start(self, *arguments: str, outlives_interrupt: bool = False) -> "subprocess.Popen[str]":
        """A kubectl that goes on, with pipes; whoever starts it ends it.

        Args:
            arguments: after the caller's flags.
            outlives_interrupt: Ctrl-C in the terminal reaches this process and not kubectl.

        Raises:
            KubectlError: there is none.
        """
        try:
            return subprocess.Popen(
                [self.program, *self.flags, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                process_group=0 if outlives_interrupt and os.name == "posix" else -1,
            )
        except FileNotFoundError:
            raise KubectlError(f"{self.program} is not installed, or not on PATH") from None

    @contextlib.contextmanager
    def watching(self, kind: str, name: str, *more: str) -> Iterator["Watched"]:
        """An object as it is and each time that it has changed, until the block ends.

        It is watched as a list of one: of a single object kubectl leaves out the first event, and with it whatever has
        changed between reading and watching.
        """
        one = f"metadata.name={name}"
        process = self.start("get", kind, "--field-selector", one, "-o", "json", "--watch", *more)
        try:
            yield Watched(process)
        finally:
            process.kill()
            process.communicate()


class Watched:
    """What ``kubectl get --watch`` prints, object by object.

    Args:
        process: of kubectl, with pipes.
    """

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process, self._is_ended = process, False

    def end(self) -> None:
        """End the iteration; from any thread."""
        self._is_ended = True
        self._process.kill()

    def __iter__(self) -> Iterator[Object]:
        """Raises ``KubectlError`` when kubectl ends by itself."""
        assert self._process.stdout is not None  # noqa: S101 (it is a pipe)
        assert self._process.stderr is not None  # noqa: S101
        lines: list[str] = []
        for line in self._process.stdout:
            lines.append(line)
            if line.startswith("}"):  # what is nested is indented
                yield json.loads("".join(lines))
                lines.clear()
        if not self._is_ended:
            raise error_of(self._process.stderr.read())


def error_of(text: str) -> KubectlError:
    """What kubectl said, as the kind of error that it is."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not _KLOG.match(line)]
    said = "; ".join(lines).removeprefix("Error from server ").strip()
    if said.startswith("(NotFound)") or "(NotFound)" in said:
        return NotFound(said.partition("(NotFound): ")[2] or said)
    if (
        "(Forbidden)" in said or " is forbidden: " in said
    ):  # port-forward says it without the word in brackets
        return Forbidden(said.partition("(Forbidden): ")[2] or said)
    if "doesn't have a resource type" in said:
        return KubectlError(f"{said}: is the chart of scim-operator installed in this cluster?")
    return KubectlError(said or "kubectl failed without a message; try the same with kubectl -v=6")
