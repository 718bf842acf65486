"""CRDs as they are here, with one thing taken away at a time."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from release.promises.crd import broken_by_crd

ROOT: Final = Path(__file__).resolve().parents[5]
CRD: Final = yaml.safe_load((ROOT / "crds/scimtoken.yaml").read_text(encoding="utf-8"))


def _changed(change: Callable[[Any], object]) -> list[str]:
    new = copy.deepcopy(CRD)
    change(new["spec"])
    return [str(one) for one in broken_by_crd(CRD, new, "crd")]


def _spec(spec: Any) -> Any:
    return spec["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]


@pytest.mark.parametrize("name", ["scimtoken", "scimwebhook"])
def test_a_crd_keeps_what_it_promised_itself(name: str) -> None:
    crd = yaml.safe_load((ROOT / f"crds/{name}.yaml").read_text(encoding="utf-8"))
    assert list(broken_by_crd(crd, crd, "crd")) == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda spec: spec["versions"][0].update(served=False), "crd: v1alpha1: is not served any more"),
        (lambda spec: spec["versions"][0].update(name="v1"), "crd: v1alpha1: is not served any more"),
        (lambda spec: spec["names"]["shortNames"].clear(), "crd: names.shortNames: "),
        (lambda spec: spec.update(scope="Cluster"), "crd: scope: was Namespaced"),
        (
            lambda spec: spec["versions"][0]["additionalPrinterColumns"].pop(0),
            "crd: v1alpha1: the printer column",
        ),
        (
            lambda spec: spec["versions"][0]["additionalPrinterColumns"][0].update(jsonPath=".other"),
            "crd: v1alpha1: the printer column",
        ),
        (
            lambda spec: spec["versions"][0].pop("subresources"),
            "crd: v1alpha1: the subresource status is gone",
        ),
        (lambda spec: _spec(spec)["properties"].pop("tenant"), "crd: v1alpha1.spec.tenant: is gone"),
        (
            lambda spec: _spec(spec).update(required=["tenant", "auth"]),
            "crd: v1alpha1.spec.auth: has to be given",
        ),
    ],
)
def test_what_a_crd_lost_is_broken(change: Callable[[Any], object], told: str) -> None:
    found = _changed(change)
    assert found
    assert found[0].startswith(told)


def test_a_further_version_column_and_optional_field_break_nothing() -> None:
    def change(spec: Any) -> None:
        spec["versions"][0]["additionalPrinterColumns"].append(
            {"name": "New", "type": "string", "jsonPath": ".x"}
        )
        _spec(spec)["properties"]["new"] = {"type": "string"}
        spec["versions"].append({**copy.deepcopy(spec["versions"][0]), "name": "v1", "storage": False})

    assert _changed(change) == []


def test_a_version_that_was_not_served_promised_nothing() -> None:
    old = copy.deepcopy(CRD)
    old["spec"]["versions"].append({"name": "v0", "served": False, "storage": False, "schema": {}})
    assert list(broken_by_crd(old, CRD, "crd")) == []
