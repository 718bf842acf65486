#!/usr/bin/env bash
# Pushes what `make release` made in dist/ to an OCI registry and signs it with cosign, keyless. release.yml runs it.
#   push.sh VERSION
#   REGISTRY  host and path below which images and chart go, in lower case; the caller has signed in to it
# Reads dist/SHA256SUMS, dist/images/NAME.oci or NAME-VERSION.oci (OCI layouts), for each image its SBOM NAME.cdx.json or
# NAME-VERSION.cdx.json in dist/, and dist/scim-operator-VERSION.tgz. Writes dist/subjects.txt: digests and names of all
# files, images and the chart, as sha256sum writes them, for the provenance.
set -euo pipefail
cd "$(dirname "$0")/../../dist"
version=${1:?usage: push.sh VERSION}
registry=${REGISTRY:?host and path of the registry}
chart=scim-operator-$version.tgz
authfile=$HOME/.docker/config.json

fail() {
    echo "push.sh: $*" >&2
    exit 1
}

# Everything is looked at before anything is pushed.
sha256sum --check --quiet SHA256SUMS
[ -f "$chart" ] || fail "there is no dist/$chart"
names=()
declare -A layouts sboms
for layout in images/*.oci; do
    [ -e "$layout" ] || fail "there is no dist/images/*.oci"
    name=$(basename "$layout" .oci)
    name=${name%-"$version"}
    names+=("$name")
    layouts[$name]=$layout
    for sbom in "$name.cdx.json" "$name-$version.cdx.json"; do
        [ ! -f "$sbom" ] || sboms[$name]=$sbom
    done
    [ -n "${sboms[$name]:-}" ] || fail "image $name has no SBOM: neither dist/$name.cdx.json nor dist/$name-$version.cdx.json"
done

cp SHA256SUMS subjects.txt

# Signed by digest: a tag can be moved.
sign() { # NAME DIGEST
    cosign sign --yes "$registry/$1@$2"
    echo "${2#sha256:}  $registry/$1" >>subjects.txt
}

for name in "${names[@]}"; do
    layout=${layouts[$name]}
    transport=oci
    [ -d "$layout" ] || transport=oci-archive
    skopeo copy --quiet --all --preserve-digests --authfile "$authfile" --digestfile digest.txt \
        "$transport:$layout" "docker://$registry/$name:$version"
    digest=$(cat digest.txt)
    sign "$name" "$digest"
    cosign attest --yes --type cyclonedx --predicate "${sboms[$name]}" "$registry/$name@$digest"
done
rm -f digest.txt

pushed=$(helm push "$chart" "oci://$registry/charts" --registry-config "$authfile" 2>&1) || fail "helm push: $pushed"
digest=$(sed -n 's/^Digest: *//p' <<<"$pushed")
[ -n "$digest" ] || fail "helm push named no digest: $pushed"
sign charts/scim-operator "$digest"
