"""Which version may follow which."""

import itertools

import pytest

from release.errors import ReleaseError
from release.version import Version, is_major_step, newest, previous

ORDER = (
    "0.9.9",
    "1.0.0-alpha",
    "1.0.0-alpha.1",
    "1.0.0-alpha.beta",
    "1.0.0-rc.2",
    "1.0.0-rc.10",
    "1.0.0",
    "1.0.1",
)


def test_versions_are_ordered_as_semantic_versioning_orders_them() -> None:
    versions = [Version.parse(text) for text in ORDER]
    backwards = list(reversed(versions))
    assert sorted(backwards, key=lambda version: version.order) == versions
    assert list(map(str, versions)) == list(ORDER)


@pytest.mark.parametrize(
    "text", ["v1.0.0", "1.0", "01.0.0", "1.0.0-", "1.0.0-rc.01", "1.0.0+build", "latest", ""]
)
def test_what_is_no_version_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ReleaseError, match=r"VERSION=0\.2\.0"):
        Version.parse(text)


def test_the_newest_tag_is_the_highest_version_and_not_the_last_in_the_alphabet() -> None:
    assert str(newest(["v0.9.0", "v0.10.0", "nightly", "v1", "0.11.0"])) == "0.10.0"
    assert newest(["nightly"]) is None


@pytest.mark.parametrize("text", ["0.1.9", "0.2.0-rc.1"])
def test_a_version_that_goes_back_is_refused_with_one_that_does_not(text: str) -> None:
    with pytest.raises(ReleaseError, match=r"would go back: 0\.2\.0 is out .* such as 0\.2\.1"):
        previous(Version.parse(text), ["v0.1.0", "v0.2.0"], is_tagged_elsewhere=False)


def test_a_version_that_was_released_from_another_commit_is_refused() -> None:
    with pytest.raises(ReleaseError, match="never moved"):
        previous(Version.parse("0.2.0"), ["v0.1.0"], is_tagged_elsewhere=True)


def test_the_tag_of_the_release_itself_does_not_count_as_the_one_before() -> None:
    assert previous(Version.parse("0.2.0"), ["v0.1.0", "v0.2.0"], is_tagged_elsewhere=False) == Version(
        0, 1, 0
    )
    assert previous(Version.parse("0.1.0"), ["v0.1.0"], is_tagged_elsewhere=False) is None


def test_while_the_first_number_is_zero_the_second_one_is_the_major_one() -> None:
    chain = ["0.1.0", "0.1.1", "0.2.0", "1.0.0", "1.1.0", "2.0.0"]
    steps = [is_major_step(Version.parse(a), Version.parse(b)) for a, b in itertools.pairwise(chain)]
    assert steps == [False, True, True, False, True]
