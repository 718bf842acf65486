"""Where a release comes from: an in-toto Statement v1 with the predicate SLSA Provenance v1 (https://slsa.dev/spec/v1.0).

It is unsigned: whoever signs vouches for it. On GitHub `actions/attest` makes and signs one of its own, with the
workflow as the builder; this one says what the files were made of, wherever they were made.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

STATEMENT: Final = "https://in-toto.io/Statement/v1"
PREDICATE: Final = "https://slsa.dev/provenance/v1"
BUILDER_UNSIGNED: Final = "urn:scim-operator:builder:unsigned"
"""Who built it when nobody says so: no identity that a signature holds."""
BUILD_TYPE: Final = "urn:scim-operator:make-release:v1"


def statement(
    subjects: Mapping[str, str],
    version: str,
    commit: str,
    inputs: Mapping[str, str],
    environment: Mapping[str, str],
) -> str:
    """The statement as JSON.

    Args:
        subjects: name of each file, and its SHA-256; images by the digest of their index.
        version: what was released.
        commit: of git, in full.
        inputs: path of each lock in the checkout, and its SHA-256.
        environment: ``GITHUB_REPOSITORY`` and ``GITHUB_SERVER_URL`` say where the source is, ``RELEASE_BUILDER`` who
            built it.
    """
    repository = environment.get("GITHUB_REPOSITORY")
    server = environment.get("GITHUB_SERVER_URL") or "https://github.com"
    source: dict[str, Any] = {"digest": {"gitCommit": commit}}
    source |= {"uri": f"git+{server}/{repository}@{commit}"} if repository else {"name": "source"}
    document = {
        "_type": STATEMENT,
        "subject": [{"name": name, "digest": {"sha256": value}} for name, value in sorted(subjects.items())],
        "predicateType": PREDICATE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {"command": f"make release VERSION={version}"},
                "resolvedDependencies": [
                    source,
                    *({"name": name, "digest": {"sha256": value}} for name, value in sorted(inputs.items())),
                ],
            },
            "runDetails": {"builder": {"id": environment.get("RELEASE_BUILDER") or BUILDER_UNSIGNED}},
        },
    }
    return json.dumps(document, indent=2) + "\n"
