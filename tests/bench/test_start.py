"""``make bench-start``: what it reads of Python's import times, and what it prints."""

from bench.start import MIB, Start, by_package, table

IMPORTS = """\
import time: self [us] | cumulative | imported package
import time:       100 |        100 |   zipimport
import time:      2000 |       2100 | click.core
{"event": "started", "endpoint": "http://127.0.0.1:8080/scim/v2"}
import time:      3000 |       5100 |     click
import time:       500 |        500 | orjson
"""


def test_own_times_are_added_up_by_package_and_the_longest_is_first() -> None:
    found = by_package(IMPORTS)
    assert list(found) == ["click", "orjson", "zipimport"]
    assert (round(found["click"].seconds, 6), found["click"].modules) == (0.005, 2)


def test_the_table_has_medians_and_the_least_processor_time() -> None:
    starts = [
        Start(seconds, processor, 50 * MIB, 60 * MIB, 40 * MIB)
        for seconds, processor in ((0.5, 0.4), (0.9, 0.6), (0.6, 0.5))
    ]
    assert table({"SQLite": starts}).splitlines()[-1] == (
        "| SQLite | 0.60 s | 0.40 s | 50 MiB | 60 MiB | 40 MiB |"
    )
