"""Links of the documentation, as the site needs them."""

from pathlib import Path, PurePosixPath

import pytest

from docs_site import DocsError, copy_of, place, repository_url, rewritten, write_sources

PAGE = PurePosixPath("docs/install.md")
CHART = PurePosixPath("charts/scim-operator/README.md")
REPOSITORY = "https://git.example.com/scim/blob/main"


def link(target: str, page: PurePosixPath = PAGE, repository: str = "") -> str:
    text = rewritten(f"see [this]({target}).", page, repository, set())
    return text.removeprefix("see [this](").removesuffix(").")


@pytest.mark.parametrize(
    "target",
    ["entra.md", "entra.md#errors", "#uninstall", "pictures/console-tokens.png", "https://a.example/b"],
)
def test_links_between_pages_and_to_other_hosts_stay(target: str) -> None:
    assert link(target) == target


@pytest.mark.parametrize(
    ("page", "target", "expected"),
    [
        (PAGE, "../charts/scim-operator/README.md#webhooks", "chart.md#webhooks"),
        (PAGE, "../CHANGELOG.md", "changelog.md"),
        (CHART, "../../docs/runbooks.md#top", "runbooks.md#top"),
        (PurePosixPath("README.md"), "docs/parts.svg", "parts.svg"),
    ],
)
def test_a_link_to_a_page_from_elsewhere_leads_to_its_place(
    page: PurePosixPath, target: str, expected: str
) -> None:
    assert link(target, page) == expected


def test_a_file_of_the_repository_is_read_there() -> None:
    assert link("../examples/handover.yaml", repository=REPOSITORY) == f"{REPOSITORY}/examples/handover.yaml"
    assert link("../Dockerfile#L3", repository=REPOSITORY) == f"{REPOSITORY}/Dockerfile#L3"


def test_without_an_address_of_the_repository_the_file_is_copied() -> None:
    copied: set[PurePosixPath] = set()
    text = rewritten("[example](../examples/handover.yaml)", PAGE, "", copied)
    assert text == "[example](source/examples/handover.yaml.txt)"
    assert copied == {PurePosixPath("examples/handover.yaml")}
    assert str(copy_of(PurePosixPath("Dockerfile"))) == "source/Dockerfile.txt"


def test_the_copy_of_a_hidden_file_is_not_hidden() -> None:
    assert str(copy_of(PurePosixPath(".github/workflows/ci.yml"))) == "source/github/workflows/ci.yml.txt"


def test_code_stays_as_it_is() -> None:
    code = "```sh\ncat [x](../Dockerfile)\n```"
    text = f"{code}\n[x](../Dockerfile)\n\n1. one\n\n   {code}\n"
    assert rewritten(text, PAGE, REPOSITORY, set()).count("(../Dockerfile)") == 2


def test_a_link_out_of_the_repository_is_a_mistake() -> None:
    with pytest.raises(DocsError, match=r"docs/install\.md: \.\./\.\./else leads out"):
        link("../../else")


def test_only_pages_have_a_place() -> None:
    assert place(PAGE) == PurePosixPath("install.md")
    assert place(CHART) == PurePosixPath("chart.md")
    assert place(PurePosixPath("examples/handover.yaml")) is None


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, ""),
        ({"DOCS_REPOSITORY_URL": f"{REPOSITORY}/"}, REPOSITORY),
        (
            {
                "GITHUB_SERVER_URL": "https://git.example.com",
                "GITHUB_REPOSITORY": "a/b",
                "GITHUB_SHA": "c0ffee",
            },
            "https://git.example.com/a/b/blob/c0ffee",
        ),
        ({"GITHUB_SERVER_URL": "https://git.example.com", "GITHUB_REPOSITORY": "a/b"}, ""),
        ({"DOCS_REPOSITORY_URL": REPOSITORY, "GITHUB_SERVER_URL": "x", "GITHUB_REPOSITORY": "y"}, REPOSITORY),
    ],
)
def test_where_the_repository_can_be_read_is_said_by_the_environment(
    environment: dict[str, str], expected: str
) -> None:
    assert repository_url(environment) == expected


def test_a_folder_that_is_linked_is_copied_as_the_list_of_its_names(tmp_path: Path) -> None:
    root = tmp_path / "root"
    for name in ("charts/scim-operator/README.md", "CHANGELOG.md", "CONTRIBUTING.md", "README.md"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("nothing", encoding="utf-8")
    (root / "examples/consumers").mkdir(parents=True)
    (root / "examples/one.yaml").write_text("a: 1\n", encoding="utf-8")
    (root / "docs").mkdir()
    (root / "docs/index.md").write_text("[examples](../examples)", encoding="utf-8")
    write_sources(root, tmp_path / "site", "")
    assert (tmp_path / "site/index.md").read_text(encoding="utf-8") == "[examples](source/examples.txt)"
    assert (tmp_path / "site/source/examples.txt").read_text(encoding="utf-8") == "consumers/\none.yaml\n"
