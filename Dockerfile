# syntax=docker/dockerfile:1
# Two images from one file: `--target operator` and `--target api`. `make images` builds both. A third is the plugin's,
# `--target kubectl-scim`: `make image-kubectl-scim` puts the kubectl of this checkout's Go modules into build/ first.
# BASE_IMAGE is any image with Python 3.11 or newer, its venv module and pip. Ours is Debian 13 with Python 3.13, for
# all platforms, at the digest that its publishers recorded (docker-library/repo-info). A newer one is a change here.
ARG BASE_IMAGE=python:3.13-slim-trixie@sha256:9662417aace5ae7b8e2609cce472b72a8958e134ba372808abe9cc1a0c0125e6

# -- the locked dependencies and the program, each image's own: made by the machine that builds, for whichever
# architecture, since an emulator would take many times as long
FROM --platform=$BUILDPLATFORM ${BASE_IMAGE} AS build
ENV UV_PROJECT_ENVIRONMENT=/app UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never UV_NO_CACHE=1 PYTHONDONTWRITEBYTECODE=1
RUN python3 -m venv /uv && /uv/bin/pip install --quiet --no-cache-dir --disable-pip-version-check uv==0.13.9
WORKDIR /source
COPY dev/images/sync.sh /sync.sh
COPY pyproject.toml uv.lock README.md LICENSE ./

FROM build AS build-operator
ARG TARGETARCH
RUN sh /sync.sh --no-install-project --extra operator
COPY operator operator
COPY scim_api scim_api
RUN sh /sync.sh --no-editable --extra operator
COPY dev/images/finish.sh /finish.sh
RUN sh /finish.sh /app scim-operator

FROM build AS build-api
ARG TARGETARCH
RUN sh /sync.sh --no-install-project --extra api
COPY operator operator
COPY scim_api scim_api
RUN sh /sync.sh --no-editable --extra api
COPY dev/images/finish.sh /finish.sh
RUN sh /finish.sh /app scim-api

FROM build AS build-kubectl-scim
ARG TARGETARCH
RUN sh /sync.sh --no-install-project --extra cli
COPY kubectl_scim kubectl_scim
COPY scim_console scim_console
RUN sh /sync.sh --no-editable --extra cli
COPY dev/images/finish.sh /finish.sh
RUN sh /finish.sh /app kubectl-scim

# -- the base without what no program needs at run time: package managers, compilers, documentation. buildah 1.28 would
# go on with the platform of the stage before, unless it is told
FROM --platform=$TARGETPLATFORM ${BASE_IMAGE} AS bare
COPY dev/images/strip.sh /strip.sh
RUN sh /strip.sh

FROM scratch AS runtime
COPY --from=bare / /
ENV PATH=/app/bin:/usr/local/bin:/usr/bin:/bin LANG=C.UTF-8 PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 HOME=/tmp
USER 65532:65532
WORKDIR /tmp

FROM runtime AS operator
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="scim-operator" \
      org.opencontainers.image.description="Rotates the SCIM token of Microsoft Entra ID as a Kubernetes object" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build-operator /app /app
ENTRYPOINT ["scim-operator"]
CMD ["run"]

FROM runtime AS api
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="scim-api" \
      org.opencontainers.image.description="SCIM 2.0 service for Microsoft Entra ID" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build-api /app /app
EXPOSE 8080 8081
ENTRYPOINT ["scim-api"]
CMD ["serve"]

FROM runtime AS kubectl-scim
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="kubectl-scim" \
      org.opencontainers.image.description="kubectl with the plugin that looks at ScimTokens" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --chmod=0755 build/kubectl /usr/bin/kubectl
COPY --from=build-kubectl-scim /app /app
ENTRYPOINT ["kubectl", "scim"]
CMD ["--help"]
