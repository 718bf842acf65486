"""What a run found: rates, ratios within each round, latencies; as tables and as JSON."""

import dataclasses
import statistics
from collections.abc import Mapping, Sequence
from typing import Any, Final

from bench.load import Sample, histogram, percentile
from bench.workloads import NAMES

_BEGIN: Final = "<!-- written by make bench -->"
_END: Final = "<!-- end -->"


@dataclasses.dataclass(frozen=True)
class Key:
    """Which contender, holding how many users, did what."""

    contender: str
    count: int
    workload: str


@dataclasses.dataclass
class Results:
    """All samples of a run, round by round.

    Attributes:
        saturated: of each cell, one sample per round, in the same order everywhere.
        paced: of each contender and size, at ``pace`` requests per second.
        generator: what the load generator reaches against a server that does nothing, per second.
        memory: bytes at the end, by contender and size.
        first_answer: seconds, likewise.
        warm_up: seconds, likewise.
        cannot: why a contender has no samples of a workload that others have.
    """

    pace: float
    generator: float = 0.0
    saturated: dict[Key, list[Sample]] = dataclasses.field(default_factory=dict)
    paced: dict[Key, list[Sample]] = dataclasses.field(default_factory=dict)
    memory: dict[tuple[str, int], int] = dataclasses.field(default_factory=dict)
    first_answer: dict[tuple[str, int], float] = dataclasses.field(default_factory=dict)
    warm_up: dict[tuple[str, int], float] = dataclasses.field(default_factory=dict)
    cannot: dict[Key, str] = dataclasses.field(default_factory=dict)

    def rate(self, key: Key) -> float:
        """Requests per second: the median of the rounds."""
        return statistics.median(sample.rate for sample in self.saturated[key])

    def ratios(self, key: Key, other: Key) -> list[float]:
        """One contender's rate by another's, in each round."""
        pairs = zip(self.saturated[key], self.saturated[other], strict=True)
        return [one.rate / two.rate for one, two in pairs]

    def p(self, key: Key, share: float) -> float:
        """A percentile of the paced latencies, in seconds: the median of the rounds'."""
        return statistics.median(percentile(sample.latencies, share) for sample in self.paced[key])

    def sizes(self, contender: str) -> list[int]:
        """The sizes at which a contender ran."""
        return sorted({key.count for key in self.saturated if key.contender == contender})


def table(results: Results) -> str:
    """Requests per second, one line per contender and size."""
    rows = [["requests/s", *NAMES]]
    cells = sorted(
        {(key.contender, key.count) for key in results.saturated}, key=lambda one: (one[1], one[0])
    )
    for contender, count in cells:
        keys = [Key(contender, count, name) for name in NAMES]
        rates = {key: results.rate(key) for key in keys if key in results.saturated}
        rows.append([f"{contender} ({count:,})", *(_shown(key, rates, results.cannot) for key in keys)])
    return aligned(rows)


def _shown(key: Key, rates: Mapping[Key, float], cannot: Mapping[Key, str]) -> str:
    """A rate with as many digits as say something; a dash where there is no such workload."""
    if key not in rates:
        return "cannot" if key in cannot else "–"
    return f"{rates[key]:.0f}" if rates[key] >= 20 else f"{rates[key]:.1f}"


def latencies(results: Results) -> str:
    """Paced latencies of the mix, one line per contender and size."""
    rows = [[f"Entra mix at {results.pace:.0f}/s", "p50", "p90", "p99", "p99.9"]]
    for key in sorted(results.paced, key=lambda key: (key.count, key.contender)):
        found = [f"{results.p(key, share) * 1000:.1f} ms" for share in (0.5, 0.9, 0.99, 0.999)]
        rows.append([f"{key.contender} ({key.count:,})", *found])
    return aligned(rows)


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Columns under each other."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            cell.ljust(width) if position == 0 else cell.rjust(width)
            for position, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    return "\n".join(lines)


def raw(results: Results) -> dict[str, Any]:
    """Everything, for JSON: rates of every round, and latencies as histograms."""

    def cell(key: Key, samples: Sequence[Sample], *, paced: bool) -> dict[str, Any]:
        together = [latency for sample in samples for latency in sample.latencies]
        found: dict[str, Any] = {
            "contender": key.contender,
            "users": key.count,
            "workload": key.workload,
            "answers": len(together),
            "generatorShareOfACore": round(
                sum(sample.client for sample in samples) / sum(sample.seconds for sample in samples), 3
            ),
        }
        if paced:
            found["requestsPerSecond"] = results.pace
            found["p99Milliseconds"] = [
                round(percentile(sample.latencies, 0.99) * 1000, 2) for sample in samples
            ]
        else:
            found["perSecond"] = [round(sample.rate, 1) for sample in samples]
        found["microsecondsToCount"] = histogram(together)
        return found

    return {
        "generatorAlonePerSecond": round(results.generator),
        "saturated": [cell(key, samples, paced=False) for key, samples in results.saturated.items()],
        "paced": [cell(key, samples, paced=True) for key, samples in results.paced.items()],
        "memoryBytes": [
            {"contender": who, "users": count, "bytes": size} for (who, count), size in results.memory.items()
        ],
        "firstAnswerSeconds": [
            {"contender": who, "users": count, "seconds": round(seconds, 3)}
            for (who, count), seconds in results.first_answer.items()
        ],
        "warmUpSeconds": [
            {"contender": who, "users": count, "seconds": round(seconds, 1)}
            for (who, count), seconds in results.warm_up.items()
        ],
        "cannot": [
            {"contender": key.contender, "users": key.count, "workload": key.workload, "reason": reason}
            for key, reason in results.cannot.items()
        ],
    }


def markdown(found: Mapping[str, Any]) -> str:
    """Requests per second as a table of a page, from what ``raw`` gave."""
    rates = {_key(cell): statistics.median(cell["perSecond"]) for cell in found["saturated"]}
    cannot = {_key(cell): cell["reason"] for cell in found["cannot"]}
    names = [name for name in NAMES if any(name == key.workload for key in rates)]
    lines = [f"| requests/s | {' | '.join(names)} |", f"|---|{'---:|' * len(names)}"]
    for users, who in sorted({(key.count, key.contender) for key in rates}):
        cells = [_shown(Key(who, users, name), rates, cannot) for name in names]
        lines.append(f"| {who}, {users:,} users | {' | '.join(cells)} |")
    return "\n".join(lines)


def _key(cell: Mapping[str, Any]) -> Key:
    return Key(cell["contender"], cell["users"], cell["workload"])


def inserted(page: str, tables: str) -> str:
    """A page with what is between its two marks made anew."""
    before, _, rest = page.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return f"{before}{_BEGIN}\n{tables}\n{_END}{after}"
