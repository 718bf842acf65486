"""Each series has a bound, whatever is measured."""

from soak.probes import DatabaseSizes, values_of
from soak.run import ALLOWED


def test_everything_that_is_measured_has_a_bound() -> None:
    sizes = DatabaseSizes({"resource": 1}, wal=1, log=1, changes=1, connections=1)
    names = [name for name, _, _ in values_of(sizes)] + ["memory of api-0", "descriptors of api-0"]
    assert {name.split()[0] for name in names} == set(ALLOWED)
