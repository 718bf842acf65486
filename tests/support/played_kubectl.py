"""A kubectl that answers what a test has written down, for what kubectl itself does not do on demand."""

import json
import sys
from pathlib import Path
from typing import Any

_PROGRAM = """#!{python}
import json, pathlib, sys, time
place = pathlib.Path({place!r})
with (place / "calls").open("a") as calls:
    calls.write(json.dumps(sys.argv[1:]) + "\\n")
for words, answer in json.loads((place / "answers").read_text()):
    if all(word in sys.argv for word in words):
        sys.stdout.write(answer["out"]); sys.stdout.flush()
        sys.stderr.write(answer["err"])
        if answer["hang"]:
            time.sleep(60)
        sys.exit(answer["code"])
sys.exit("no answer for " + " ".join(sys.argv))
"""


class PlayedKubectl:
    """The program, its answers, and what it was asked.

    Args:
        place: a directory of its own.
    """

    def __init__(self, place: Path) -> None:
        self._place, self._answers = place, list[Any]()
        self.program = place / "kubectl"
        self.program.write_text(_PROGRAM.format(python=sys.executable, place=str(place)))
        self.program.chmod(0o700)
        (place / "calls").touch()

    def answer(self, *words: str, out: object = "", err: str = "", code: int = 0, hang: bool = False) -> None:
        """To calls that have all these words; the first that fits counts."""
        text = out if isinstance(out, str) else json.dumps(out, indent=4) + "\n"
        self._answers.append((words, {"out": text, "err": err, "code": code, "hang": hang}))
        (self._place / "answers").write_text(json.dumps(self._answers))

    @property
    def calls(self) -> list[list[str]]:
        """Its arguments, call by call."""
        return [json.loads(line) for line in (self._place / "calls").read_text().splitlines()]
