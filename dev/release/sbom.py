"""Bills of materials (CycloneDX): what Syft found in an image, without what differs from run to run."""

import datetime as dt
import json
import uuid
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

Bom = Mapping[str, Any]
_NAMESPACE: Final = uuid.UUID("2f1d3b0e-6a07-5c0c-9f0e-5b8a4f0f7c11")
"""Of serial numbers that are made of the content."""


def joined(boms: Iterable[Bom], name: str, version: str, seconds: int) -> dict[str, Any]:
    """One bill of materials for all platforms of an image.

    Args:
        boms: what was found on each platform.
        name: of the image.
        version: of the image.
        seconds: since the epoch: the time that it states.
    """
    components: dict[str, Any] = {}
    needs: dict[str, set[str]] = {}
    tools: Any = []
    for bom in boms:
        tools = bom["metadata"].get("tools", [])
        components |= {component["bom-ref"]: component for component in bom.get("components", [])}
        for dependency in bom.get("dependencies", []):
            needs.setdefault(dependency["ref"], set()).update(dependency.get("dependsOn", []))
    document: dict[str, Any] = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": dt.datetime.fromtimestamp(seconds, dt.UTC).isoformat(),
            "tools": tools,
            "component": {"bom-ref": name, "type": "container", "name": name, "version": version},
        },
        "components": [components[ref] for ref in sorted(components)],
        "dependencies": [
            {"ref": ref, "dependsOn": sorted(needs[ref] & components.keys())}
            for ref in sorted(needs)
            if ref in components
        ],
    }
    serial = uuid.uuid5(_NAMESPACE, json.dumps(document, sort_keys=True))
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "serialNumber": f"urn:uuid:{serial}",
        **document,
    }


def packages(bom: Bom) -> Iterator[Mapping[str, Any]]:
    """The components that somebody wrote and licensed: not single files, not the system as a whole."""
    return (component for component in bom["components"] if component["type"] in ("library", "application"))


def ecosystem(component: Mapping[str, Any]) -> str:
    """Where a component comes from, by its package URL: ``pypi``, ``deb``, ``golang``; empty without one."""
    purl: str = component.get("purl", "")
    return purl.removeprefix("pkg:").partition("/")[0]


def named_licences(component: Mapping[str, Any]) -> list[str]:
    """A component's licences: SPDX ids, names, and expressions."""
    found = []
    for entry in component.get("licenses", []):
        licence = entry.get("license", {})
        found.append(entry.get("expression") or licence.get("id") or licence.get("name") or "")
    return sorted(filter(None, found))
