"""Which files faults are put into, and which tests have to notice."""

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
TESTS: Final[dict[str, tuple[str, ...]]] = {
    "operator/scim_operator/planning": ("scim_operator/planning", "scim_operator/controller"),
    "scim_api/core/patch": ("scim_api/core/patch", "scim_api/core/resources"),
    "scim_api/core/filter": (
        "scim_api/core/filter",
        "scim_api/core/patch",
        "scim_api/core/resources",
        "scim_api/core/messages",
    ),
    "scim_api/contract": ("scim_api/contract", "scim_operator/api", "scim_operator/test_version_skew.py"),
    "scim_api/http/authentication.py": ("scim_api/http",),
}
"""For each place, the tests below ``tests/unit``. The file that mirrors a module comes first."""
TOO_SLOW: Final = (
    "test_no_interleaving_of_two_reconcilers_rejects_a_published_token[rotation while the Secret is deleted]",
    "test_no_interleaving_of_two_reconcilers_rejects_a_published_token[rotation under a revocation]",
    "test_the_exploration_finds_the_fault_when_the_secret_is_read_before_the_revision",
    "test_each_end_is_settled_whoever_came_last[database lost]",
)
"""Two to ten seconds each, which every fault that survives would pay for."""


def modules(chosen: tuple[str, ...]) -> list[str]:
    """The files of all places, or those whose path holds one of ``chosen``, from the project's root."""
    found = []
    for place in TESTS:
        path = ROOT / place
        files = [path] if path.is_file() else sorted(path.rglob("*.py"))
        found += [str(file.relative_to(ROOT)) for file in files if file.stat().st_size]
    return [name for name in found if not chosen or any(part in name for part in chosen)]


def tests_of(module: str) -> list[str]:
    """The test files for a module, that of its own name first."""
    place = next(place for place in TESTS if module.startswith(place))
    unit = ROOT / "tests" / "unit"
    package = module.removeprefix("operator/")
    own = unit / Path(package).parent / f"test_{Path(package).name}"
    files = [own] if own.is_file() else []
    for name in TESTS[place]:
        path = unit / name
        files += [path] if path.is_file() else sorted(path.rglob("test_*.py"))
    return list(dict.fromkeys(str(file.relative_to(ROOT)) for file in files))
