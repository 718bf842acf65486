"""The documentation as a site, built once for its tests."""

import importlib.util
from pathlib import Path

import pytest

from docs_site import ROOT, build


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site. The build is strict: a doubtful link or anchor in Markdown ends it."""
    if importlib.util.find_spec("zensical") is None:
        pytest.fail("the site's builder is missing: `make docs-tools` installs it, as `make test` does")
    return build(ROOT, tmp_path_factory.mktemp("docs") / "work")
