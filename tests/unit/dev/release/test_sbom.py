"""Bills of materials that do not differ from run to run."""

from typing import Any

from release.sbom import ecosystem, joined, named_licences, packages


def _component(name: str, *licences: dict[str, Any], ref: str = "", kind: str = "library") -> dict[str, Any]:
    purl = f"pkg:pypi/{name}@1"
    return {
        "bom-ref": ref or purl,
        "type": kind,
        "name": name,
        "version": "1",
        "purl": purl,
        "licenses": list(licences),
    }


def _bom(*components: dict[str, Any], serial: str = "a", **needs: list[str]) -> dict[str, Any]:
    return {
        "serialNumber": f"urn:uuid:{serial}",
        "metadata": {"timestamp": f"now {serial}", "tools": {"components": [{"name": "syft"}]}},
        "components": list(components),
        "dependencies": [{"ref": ref, "dependsOn": others} for ref, others in needs.items()],
    }


def test_two_runs_make_the_same_document() -> None:
    one = [_bom(_component("a"), _component("b"), serial="1")]
    other = [_bom(_component("b"), _component("a"), serial="2")]
    assert joined(one, "scim-api", "0.2.0", 0) == joined(other, "scim-api", "0.2.0", 0)
    changed = joined([_bom(_component("a"))], "scim-api", "0.2.0", 0)
    assert changed["serialNumber"] != joined(one, "scim-api", "0.2.0", 0)["serialNumber"]


def test_what_all_platforms_have_is_listed_once_and_what_one_has_too() -> None:
    both = _component("a")
    boms = [_bom(both, _component("libc", ref="amd64")), _bom(both, _component("libc", ref="arm64"))]
    refs = [component["bom-ref"] for component in joined(boms, "x", "1", 0)["components"]]
    assert refs == ["amd64", "arm64", "pkg:pypi/a@1"]


def test_what_parts_need_is_kept_as_far_as_it_is_listed() -> None:
    boms = [_bom(_component("a", ref="a"), _component("b", ref="b"), a=["b", "gone"], gone=["a"])]
    assert joined(boms, "x", "1", 0)["dependencies"] == [{"ref": "a", "dependsOn": ["b"]}]


def test_its_time_is_that_of_the_commit() -> None:
    assert joined([_bom()], "x", "1", 86400)["metadata"]["timestamp"] == "1970-01-02T00:00:00+00:00"


def test_files_and_the_system_are_no_packages() -> None:
    bom = joined([_bom(_component("a"), _component("os", kind="operating-system", ref="os"))], "x", "1", 0)
    assert [component["name"] for component in packages(bom)] == ["a"]


def test_licences_are_read_in_each_of_their_forms() -> None:
    forms = ({"license": {"id": "MIT"}}, {"license": {"name": "Expat"}}, {"expression": "MIT OR ISC"})
    assert named_licences(_component("a", *forms)) == ["Expat", "MIT", "MIT OR ISC"]
    assert ecosystem(_component("a")) == "pypi"
    assert ecosystem({}) == ""
