"""``make mutants``, or ``python -m mutants``: see the package."""

import difflib
import random
import sys
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from multiprocessing.connection import wait
from pathlib import Path
from typing import Final, Literal

import click

from mutants.mutations import Mutant, find_mutants
from mutants.targets import ROOT, modules, tests_of
from mutants.trial import SPARE_SECONDS, Trial, Workspace, load_libraries

EQUIVALENT: Final = Path(__file__).parent / "equivalent.toml"
TESTS_FAILED: Final = 1
INTERRUPTED: Final = 2
Verdict = Literal["killed", "timeout", "survived"]
Baselines = dict[str, dict[str, float]]


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--module", "chosen", multiple=True, metavar="PART", help="Only files whose path holds PART; repeatable."
)
@click.option(
    "--sample", type=click.IntRange(min=1), metavar="N", help="Try N of all mutants, not every one."
)
@click.option("--seed", default=1, show_default=True, help="Which N: the same seed chooses the same ones.")
@click.option("--jobs", default=2, show_default=True, help="How many are tried at a time.")
@click.option(
    "--again",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="REPORT",
    help="Only the survivors in the output of an earlier run.",
)
@click.option("--list", "only_list", is_flag=True, help="Print the mutants and try none.")
def main(
    chosen: tuple[str, ...],
    sample: int | None,
    seed: int,
    jobs: int,
    again: Path | None,
    only_list: bool,  # noqa: FBT001
) -> None:
    """Put small faults into the code, one at a time, and see whether a test fails.

    A mutant is one fault: `<` for `<=`, `or` for `and`, a number one larger, a statement or an argument left
    out. A mutant is killed when a test fails or runs too long. One that survives shows a line that no test
    checks - or it is equivalent: the program does the same with it. Judge each: write the test that kills it,
    in the file that mirrors the module, or list it with the reason in dev/mutants/equivalent.toml.

    The code is changed in copies only. Properties run with 25 examples each, always the same ones.

    \b
    Examples:
      make mutants                                      all of them: an hour
      make mutants ARGS="--sample 300 --seed 7"         a sample: minutes
      make mutants ARGS="--module planning/planner"     one module
      make mutants ARGS="--sample 300" > survivors.txt, then, with new tests,
      make mutants ARGS="--again survivors.txt"
    """  # noqa: D301 - click's mark for lines to keep
    sources = {name: (ROOT / name).read_bytes() for name in modules(chosen)}
    mutants = [mutant for name, source in sources.items() for mutant in find_mutants(name, source)]
    total = len(mutants)
    if again is not None:
        report = again.read_text(encoding="utf-8")
        mutants = [mutant for mutant in mutants if _entry(mutant, sources[mutant.path]) in report]
    if sample is not None and again is None and sample < total:
        mutants = [mutants[number] for number in sorted(random.Random(seed).sample(range(total), sample))]
    if only_list:
        for mutant in mutants:
            click.echo(f"{mutant.path}:{mutant.line}  {mutant.name.partition(': ')[2]}")
        return
    if not mutants:
        raise click.ClickException("no mutant is in what was chosen")
    note = f", chosen by seed {seed}" if sample is not None and again is None else ""
    click.echo(f"{len(mutants)} of {total} mutants{note}", err=True)
    load_libraries()
    with ExitStack() as stack:
        places = [
            Workspace(Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mutants-"))))
            for _ in range(jobs)
        ]
        baselines = _measure(places[0], sorted({mutant.path for mutant in mutants}))
        verdicts: dict[int, Verdict] = {}
        started = time.monotonic()
        for number, verdict in _try_all(places, mutants, sources, baselines):
            verdicts[number] = verdict
            _show_progress(
                len(verdicts), len(mutants), Counter(verdicts.values()), time.monotonic() - started
            )
    _report(mutants, verdicts, sources)


def _measure(place: Workspace, paths: Sequence[str]) -> Baselines:
    """How long each test takes without a fault; they all have to pass."""
    measured: dict[tuple[str, ...], dict[str, float]] = {}
    for path in paths:
        files = tests_of(path)
        suite = tuple(sorted(files))
        if suite not in measured:
            trial = place.start(files, {})
            trial.process.join()
            if trial.process.exitcode != 0:
                raise click.ClickException(
                    f"the tests of {path} fail without any fault:\n{trial.output[-3000:]}"
                )
            measured[suite] = trial.seconds
    return {path: measured[tuple(sorted(tests_of(path)))] for path in paths}


def _try_all(
    places: Sequence[Workspace], mutants: Sequence[Mutant], sources: dict[str, bytes], baselines: Baselines
) -> Iterator[tuple[int, Verdict]]:
    """The verdict on each, by its number."""
    left = list(range(len(mutants)))[::-1]
    running: dict[int, tuple[int, Trial]] = {}
    free = list(range(len(places)))
    try:
        while left or running:
            while left and free:
                number, place = left.pop(), free.pop()
                mutant = mutants[number]
                places[place].put(mutant, sources[mutant.path])
                trial = places[place].start(tests_of(mutant.path), baselines[mutant.path])
                running[place] = (number, trial)
            wait([trial.process.sentinel for _, trial in running.values()], timeout=1)
            for place, (number, trial) in list(running.items()):
                mutant = mutants[number]
                verdict = _verdict(trial, sum(baselines[mutant.path].values()))
                if verdict is not None:
                    del running[place]
                    places[place].restore(mutant, sources[mutant.path])
                    free.append(place)
                    yield number, verdict
    finally:
        for _, trial in running.values():
            trial.stop()


def _verdict(trial: Trial, usual_seconds: float) -> Verdict | None:
    """None while the tests run."""
    if trial.process.is_alive():
        if time.monotonic() - trial.started < SPARE_SECONDS + 4 * usual_seconds:
            return None
        trial.stop()
        return "timeout"
    trial.process.join()
    return "survived" if trial.process.exitcode == 0 else "killed"


def _show_progress(done: int, total: int, verdicts: Counter[Verdict], seconds: float) -> None:
    terminal = sys.stderr.isatty()
    if terminal or done % 50 == 0 or done == total:
        line = f"{done}/{total}  {verdicts['survived']} survived  {verdicts['timeout']} timed out  {seconds:.0f} s"
        click.echo(f"\r{line}" if terminal else line, err=True, nl=not terminal or done == total)


def _report(mutants: Sequence[Mutant], verdicts: dict[int, Verdict], sources: dict[str, bytes]) -> None:
    equivalent: dict[str, str] = {}
    if EQUIVALENT.exists():
        equivalent = {
            mutant: entry["reason"]
            for entry in tomllib.loads(EQUIVALENT.read_text())["equivalent"]
            for mutant in entry["mutants"]
        }
    survivors = [mutants[number] for number, verdict in sorted(verdicts.items()) if verdict == "survived"]
    holes = [mutant for mutant in survivors if mutant.name not in equivalent]
    for mutant in holes:
        click.echo(f"\n{mutant.path}:{mutant.line}{_entry(mutant, sources[mutant.path])}", nl=False)
    killed = {mutant.name for number, mutant in enumerate(mutants) if verdicts[number] != "survived"}
    for name in sorted(killed & equivalent.keys() - {mutant.name for mutant in survivors}):
        click.echo(f"\nlisted as equivalent, and killed: {name}")
    click.echo(f"\n{'module':<52}{'mutants':>8}{'killed':>8}{'equivalent':>12}{'survived':>10}{'score':>8}")
    rows = [*dict.fromkeys(mutant.path for mutant in mutants), "all"]
    for path in rows:
        mine = [number for number, mutant in enumerate(mutants) if path in {"all", mutant.path}]
        dead = sum(verdicts[number] != "survived" for number in mine)
        open_ = sum(path in {"all", mutant.path} for mutant in holes)
        same = len(mine) - dead - open_
        score = 100 * dead / (len(mine) - same) if len(mine) > same else 100.0
        click.echo(f"{path:<52}{len(mine):>8}{dead:>8}{same:>12}{open_:>10}{score:>7.1f}%")


def _entry(mutant: Mutant, source: bytes) -> str:
    """How a survivor is shown, after its place."""
    before, after = (text.decode().splitlines() for text in (source, mutant.applied(source)))
    lines = list(difflib.unified_diff(before, after, n=0, lineterm=""))[3:]
    return "\n".join([f"  {mutant.scope}", *(f"    {line}" for line in lines), ""])


if __name__ == "__main__":
    main()
