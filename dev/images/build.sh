#!/usr/bin/env bash
# Builds images with whichever of docker, podman and buildah there is.
#   TAG         default: the version in pyproject.toml
#   BASE_IMAGE  default: the Dockerfile's; any image with Python 3.11 or newer, venv and pip
#   BUILD_FLAGS handed to the builder
#   TARGETS     stages of the Dockerfile; default: both of the product, operator and api
set -euo pipefail
cd "$(dirname "$0")/../.."

version=$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
revision=$(git rev-parse HEAD 2>/dev/null || echo unknown)
tag=${TAG:-$version}

for engine in docker podman buildah; do
    # The docker command may be there without its daemon.
    command -v "$engine" >/dev/null && "$engine" info >/dev/null 2>&1 && break
    engine=
done
[ -n "$engine" ] || { echo "make images: needs docker (running), podman or buildah" >&2; exit 1; }

arguments=(--build-arg "VERSION=$version" --build-arg "REVISION=$revision")
[ -z "${BASE_IMAGE:-}" ] || arguments+=(--build-arg "BASE_IMAGE=$BASE_IMAGE")
read -r -a flags <<<"${BUILD_FLAGS:-}"
# The same inputs make the same image: files' times are not among the inputs.
[ "$engine" = docker ] && export SOURCE_DATE_EPOCH=0 || arguments+=(--timestamp 0)

for target in ${TARGETS:-operator api}; do
    image=scim-$target:$tag
    [ "$target" = kubectl-scim ] && image=$target:$tag
    echo "== $engine builds $image"
    "$engine" build "${arguments[@]}" "${flags[@]}" --target "$target" --tag "$image" .
done
