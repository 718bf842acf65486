# Installs what uv.lock names, for the architecture of the image, into the environment UV_PROJECT_ENVIRONMENT. Nothing of
# what it installs is run, so that every machine can do it for every image.
# Usage: sync.sh OPTIONS of `uv sync`
#   TARGETARCH  amd64 or arm64, as the builder sets it; this machine's when it sets none
set -eu
architecture=${TARGETARCH:-$(uname -m)}
case $architecture in
    amd64 | x86_64) platform=x86_64-manylinux_2_28 ;;
    arm64 | aarch64) platform=aarch64-manylinux_2_28 ;;
    *)
        echo "sync.sh: images are for amd64 and arm64, and this one is for $architecture" >&2
        exit 1
        ;;
esac
exec /uv/bin/uv sync --quiet --frozen --no-dev --python-platform "$platform" "$@"
