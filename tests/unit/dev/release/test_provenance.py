"""The provenance of a release."""

import json

from release.provenance import BUILDER_UNSIGNED, statement

COMMIT = "c" * 40


def test_it_names_files_commit_and_locks() -> None:
    document = json.loads(statement({"b.tgz": "22", "a.whl": "11"}, "0.2.0", COMMIT, {"uv.lock": "33"}, {}))
    assert document["_type"] == "https://in-toto.io/Statement/v1"
    assert document["predicateType"] == "https://slsa.dev/provenance/v1"
    assert document["subject"] == [
        {"name": "a.whl", "digest": {"sha256": "11"}},
        {"name": "b.tgz", "digest": {"sha256": "22"}},
    ]
    build = document["predicate"]["buildDefinition"]
    assert build["externalParameters"] == {"command": "make release VERSION=0.2.0"}
    assert build["resolvedDependencies"] == [
        {"digest": {"gitCommit": COMMIT}, "name": "source"},
        {"name": "uv.lock", "digest": {"sha256": "33"}},
    ]
    assert document["predicate"]["runDetails"] == {"builder": {"id": BUILDER_UNSIGNED}}


def test_the_environment_says_where_the_source_is_and_who_built_it() -> None:
    environment = {"GITHUB_REPOSITORY": "me/it", "RELEASE_BUILDER": "https://builder.example.com"}
    document = json.loads(statement({}, "0.2.0", COMMIT, {}, environment))
    [source] = document["predicate"]["buildDefinition"]["resolvedDependencies"]
    assert source["uri"] == f"git+https://github.com/me/it@{COMMIT}"
    assert document["predicate"]["runDetails"]["builder"]["id"] == "https://builder.example.com"
