"""Which broken promises are refused, and which are only told."""

import json
from pathlib import Path
from typing import Any, Final

import pytest

from release.errors import ReleaseError
from release.promises.broken import Broken
from release.promises.check import ADMIN_API, CRDS, TOKEN_API, compare, refuse

ROOT: Final = Path(__file__).resolve().parents[5]
CRD: Final = Broken(f"{CRDS[0]}: v1alpha1.spec.tenant", "is gone")
ADMIN: Final = Broken(f"{ADMIN_API}: GET /admin/v1/connections", "is gone")


def _read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def test_the_files_of_this_checkout_keep_their_own_promises() -> None:
    assert compare(_read, _read) == []


def test_a_file_that_the_last_release_lacked_promised_nothing() -> None:
    assert compare(lambda _: None, _read) == []


@pytest.mark.parametrize("name", [*CRDS, ADMIN_API, TOKEN_API])
def test_a_file_that_is_gone_is_a_broken_promise(name: str) -> None:
    assert compare(_read, lambda one: None if one == name else _read(one)) == [Broken(name, "is gone")]


@pytest.mark.parametrize("name", [ADMIN_API, TOKEN_API])
def test_an_api_without_its_paths_is_found(name: str) -> None:
    def emptied(one: str) -> str:
        document: dict[str, Any] = json.loads(_read(one)) if one == name else {}
        return json.dumps({**document, "paths": {}}) if document else _read(one)

    found = compare(_read, emptied)
    assert found
    assert all(one.where.startswith(name) for one in found)


def test_a_broken_promise_is_refused_with_what_to_do() -> None:
    with pytest.raises(
        ReleaseError, match=r"(?s)0\.1\.0 promised .*spec\.tenant: is gone.*docs/stability\.md"
    ):
        refuse([CRD], [], "0.1.0", is_major_step=False)


def test_a_major_version_may_break_what_is_stable_and_tells_it() -> None:
    assert refuse([CRD], [], "0.1.0", is_major_step=True) == [str(CRD)]


def test_no_version_may_break_the_admin_api() -> None:
    with pytest.raises(ReleaseError, match="admin-openapi"):
        refuse([CRD, ADMIN], [], "0.1.0", is_major_step=True)


def test_what_a_person_has_reviewed_is_let_through() -> None:
    assert refuse([ADMIN], [str(ADMIN)], "0.1.0", is_major_step=False) == []


def test_a_review_of_nothing_is_refused() -> None:
    with pytest.raises(ReleaseError, match="take it out"):
        refuse([], [str(ADMIN)], "0.1.0", is_major_step=False)
