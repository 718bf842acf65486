"""What release.yml pushes, in a real registry: tiny images and the packed chart, by the names that the chart has."""

import hashlib
import io
import json
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from localcluster import Tools
from localcluster.projects import OLDEST
from release import chart, checksums
from release import layout as oci
from support.published import ROOT, Dist, Publication, documented
from support.registry import Registry, running_registry

HOST: Final = "registry.test"
PLACE: Final = f"{HOST}/team"
VERSION: Final = "1.2.3"
IMAGES: Final = ("kubectl-scim", "scim-api", "scim-operator")
CHART: Final = "charts/scim-operator"
VALUES: Final = ROOT / "charts/scim-operator/ci/sqlite-values.yaml"
IMAGE: Final = "application/vnd.oci.image"


def image(directory: Path, name: str, architecture: str) -> Path:
    """The layout of an image for one architecture, with one file in it."""
    (directory / "blobs/sha256").mkdir(parents=True)

    def put(kind: str, content: bytes) -> dict[str, Any]:
        digest = hashlib.sha256(content).hexdigest()
        (directory / "blobs/sha256" / digest).write_bytes(content)
        return {"mediaType": f"{IMAGE}.{kind}", "digest": f"sha256:{digest}", "size": len(content)}

    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        entry = tarfile.TarInfo(f"{name}-{architecture}")
        entry.size = len(name)
        tar.addfile(entry, io.BytesIO(name.encode()))
    stored = put("layer.v1.tar", layer.getvalue())
    config = {
        "os": "linux",
        "architecture": architecture,
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": [stored["digest"]]},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{IMAGE}.manifest.v1+json",
        "config": put("config.v1+json", json.dumps(config).encode()),
        "layers": [stored],
    }
    index = {"schemaVersion": 2, "manifests": [put("manifest.v1+json", json.dumps(manifest).encode())]}
    (directory / "index.json").write_text(json.dumps(index))
    return directory


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Dist:
    """What `make release` makes, as far as it is pushed, of images for two architectures."""
    root = tmp_path_factory.mktemp("release")
    (root / "dist/images").mkdir(parents=True)
    for name in IMAGES:
        made = {one: image(root / name / one, name, one) for one in ("amd64", "arm64")}
        oci.join(made, root / f"dist/images/{name}.oci", VERSION)
        (root / f"dist/{name}.cdx.json").write_text("{}")
    values = {"image.registry": PLACE}
    for component in ("operator", "api"):
        layout = root / f"dist/images/scim-{component}.oci"
        values[f"{component}.image.digest"] = oci.only_manifest(layout)["digest"]
    packed = chart.package(ROOT / "charts/scim-operator", VERSION, values, 1_800_000_000)
    (root / f"dist/scim-operator-{VERSION}.tgz").write_bytes(packed)
    sums = checksums.as_text(checksums.checksums(root / "dist"))
    (root / "dist/SHA256SUMS").write_text(sums, encoding="utf-8")
    return Dist.read(root / "dist")


@pytest.fixture(scope="module")
def registry(chart_tools: Tools, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    program = Path(chart_tools.path("registry"))
    with running_registry(program, HOST, tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture(scope="module", params=["helm", "helm3"])
def published(
    request: pytest.FixtureRequest,
    dist: Dist,
    registry: Registry,
    chart_tools: Tools,
    tmp_path_factory: pytest.TempPathFactory,
) -> Publication:
    """Pushed by either Helm: which one a runner of GitHub has changes with the runner."""
    helm = Path(chart_tools.path(request.param))
    made = Publication(dist, registry, tmp_path_factory.mktemp("publication"), helm)
    made.run()
    return made


def test_a_registry_has_the_digests_of_dist(published: Publication, dist: Dist) -> None:
    assert set(dist.images) == set(IMAGES)
    assert {name: published.digest(name) for name in IMAGES} == dist.images


def test_an_image_can_be_had_for_each_architecture(published: Publication) -> None:
    for architecture in ("amd64", "arm64"):
        said = published.command(
            f"skopeo --override-arch {architecture} inspect --config docker://$REGISTRY/scim-api:$VERSION"
        )
        assert json.loads(said)["architecture"] == architecture


def test_the_chart_comes_back_as_it_was_made(published: Publication, dist: Dist) -> None:
    published.command(f"helm pull oci://$REGISTRY/{CHART} --version $VERSION --destination $HOME")
    pulled = published.directory / dist.chart.name
    assert pulled.read_bytes() == dist.chart.read_bytes()


def test_what_cosign_signs_is_what_the_registry_has(published: Publication) -> None:
    names = (*IMAGES, CHART)
    assert published.signed == {f"{PLACE}/{name}@{published.digest(name)}" for name in names}


def test_the_documented_command_takes_the_chart_by_its_name_and_gets_images_by_digest(
    published: Publication, registry: Registry, dist: Dist
) -> None:
    (published.directory / "values.yaml").write_bytes(VALUES.read_bytes())
    # Without a cluster Helm has to be told of which version one would be.
    template = f"template --kube-version {OLDEST.version}"
    command = documented("helm install scim oci://").replace("install", template, 1)
    objects = [one for one in yaml.safe_load_all(published.command(command)) if one]
    images = set(re.findall(r'"image": "([^"]+)"', json.dumps(objects)))
    assert images == {
        f"{PLACE}/{name}:{VERSION}@{dist.images[name]}" for name in ("scim-operator", "scim-api")
    }
    assert registry.asked == {f"{HOST}:443"}
