"""A kubectl that answers what a test has written down, for what kubectl itself does not do on demand."""

import json
import sys
from pathlib import Path
from typing import Any

from kubectl_scim.kubectl import Kubectl, error_of

_PROGRAM = """#!{python}
import json, os, pathlib, socket, sys, threading, time

def relay(target):
    def pump(source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass
    listening = socket.create_server(("127.0.0.1", 0))
    print("Forwarding from 127.0.0.1:%d -> 8080" % listening.getsockname()[1], flush=True)
    while True:
        near, _ = listening.accept()
        far = socket.create_connection(("127.0.0.1", target))
        for pair in ((near, far), (far, near)):
            threading.Thread(target=pump, args=pair, daemon=True).start()

place = pathlib.Path({place!r})
with (place / "calls").open("a") as calls:
    calls.write(json.dumps(sys.argv[1:]) + "\\n")
for words, answer in json.loads((place / "answers").read_text()):
    if all(word in sys.argv for word in words):
        sys.stdout.write(answer["out"]); sys.stdout.flush()
        sys.stderr.write(answer["err"])
        if answer["relay"]:
            relay(answer["relay"])
        if answer["hang"]:
            time.sleep(60)
        sys.exit(answer["code"])
if {otherwise!r}:
    os.execv({otherwise!r}, [{otherwise!r}, *sys.argv[1:]])
sys.exit("no answer for " + " ".join(sys.argv))
"""


class PlayedKubectl:
    """The program, its answers, and what it was asked.

    Args:
        place: a directory of its own.
        otherwise: the real one, for calls without an answer; None: they fail.
    """

    def __init__(self, place: Path, otherwise: Path | None = None) -> None:
        self._place, self._answers = place, list[Any]()
        self.program = place / "kubectl"
        self.program.write_text(
            _PROGRAM.format(python=sys.executable, place=str(place), otherwise=str(otherwise or ""))
        )
        self.program.chmod(0o700)
        (place / "calls").touch()
        (place / "answers").write_text("[]")

    def answer(
        self,
        *words: str,
        out: object = "",
        err: str = "",
        code: int = 0,
        hang: bool = False,
        relay: int | None = None,
    ) -> None:
        """To calls that have all these words; the first that fits counts.

        Args:
            words: of the call.
            out: printed, an object as JSON.
            err: printed beside it.
            code: to exit with.
            hang: for a minute, and then exit.
            relay: be a port-forward that leads to this port of the machine.
        """
        text = out if isinstance(out, str) else json.dumps(out, indent=4) + "\n"
        answer = {"out": text, "err": err, "code": code, "hang": hang, "relay": relay}
        self._answers.append((words, answer))
        (self._place / "answers").write_text(json.dumps(self._answers))

    @property
    def calls(self) -> list[list[str]]:
        """Its arguments, call by call."""
        return [json.loads(line) for line in (self._place / "calls").read_text().splitlines()]

    def in_process(self) -> Kubectl:
        """Calls of ``run``, ``get`` and ``list`` that get the same answers without a process, for tests with many calls."""

        def run(_self: Kubectl, *arguments: str, input: str | None = None) -> str:
            with (self._place / "calls").open("a") as calls:
                calls.write(json.dumps(arguments) + "\n")
            for words, answer in self._answers:
                if all(word in arguments for word in words):
                    if answer["code"]:
                        raise error_of(answer["err"])
                    return str(answer["out"])
            raise AssertionError(f"no answer for {arguments}")

        answered: Kubectl = type("Answered", (Kubectl,), {"run": run})()
        return answered
