# Two commands matter: `make demo` shows the product work, `make test` proves it.
SHELL := /bin/bash
PYTHON ?= python3
# uv comes from PyPI into a place of its own when the machine has none, of the version that the images are built with.
UV_VERSION := $(shell sed -n 's/.* uv==\([0-9.]*\).*/\1/p' Dockerfile)
UV := $(shell command -v uv 2>/dev/null || echo .uv/bin/uv)
RUN := $(UV) run --frozen --all-extras
export PYTHONPATH := dev
JAVA_TESTS := tests/java
POD_TESTS := tests/e2e/test_pods.py tests/e2e/test_pods_postgresql.py tests/e2e/test_pods_helm_3.py
# Each first one ends the node that is running, or empties it of images.
NODE_TESTS := tests/operator/test_localcluster_node.py $(POD_TESTS)
RELEASE_TESTS := tests/e2e/test_pods_registry.py $(POD_TESTS)

.DEFAULT_GOAL := help
.PHONY: help install tools node-tools browser demo demo-stop images image-kubectl-scim release chart e2e-up e2e-down test test-unit test-api test-postgres test-python test-operator test-chart test-console test-docs test-e2e try-release test-java properties docs docs-tools costs lint format bench bench-start bench-layers bench-tenants bench-hostile bench-changes bench-groups bench-console bench-secret bench-scale bench-hand-over torture torture-changes soak screenshots crd openapi mutants kind clean

help: ## Show these targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

.uv/bin/uv:
	@echo "== uv is not installed; putting it into .uv"
	@$(PYTHON) -m venv .uv && .uv/bin/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

install: $(filter .uv/bin/uv,$(UV)) ## Install the locked dependencies into .venv
	@echo "== dependencies as locked in uv.lock, compiled once: tests start hundreds of processes"
	@$(UV) sync --frozen --all-extras --quiet --compile-bytecode
	@$(RUN) python -m compileall -q scim_api operator kubectl_scim scim_console dev tests

tools: install ## Build etcd, kube-apiserver, kube-controller-manager and kubectl (minutes once, then cached)
	@echo "== Kubernetes tools from their Go modules (built once, then cached)"
	@$(RUN) python -m localcluster build

demo: install ## See it work: ScimToken, Secret, people, rotation (KEEP=1 leaves it running; KUBERNETES=cached, kind, download or build)
	@$(RUN) python -m demo $(if $(KEEP),--keep) $(if $(KUBERNETES),--kubernetes $(KUBERNETES))

demo-stop: install ## Stop what `make demo KEEP=1` left running
	@$(RUN) python -m demo --stop

node-tools: install
	@echo "== Kubernetes (the newest and the oldest), the chart's tools and, as root, a node's, from their Go modules (built once, then cached)"
	@$(RUN) python -m localcluster everything

browser: install
	@echo "== Chromium (as root by apt-get, when missing) and axe, which judges pages by WCAG"
	@PYTHONPATH=dev:tests $(RUN) python -m support.browser

docs-tools: install
	@echo "== what builds the documentation as a site"
	@$(UV) sync --frozen --all-extras --group docs --quiet

docs: docs-tools ## The documentation as a site, in site/ (DOCS_REPOSITORY_URL=... for links to files of the repository)
	@$(RUN) --group docs python -m docs_site

test: node-tools browser docs-tools ## Run every test: unit, API on SQLite and PostgreSQL, operator, chart, console, the demo, real pods
	@echo "== tests, three at a time: those with processes of their own wait for these half of the time"
	@$(RUN) python -m pytest --durations=10 -n 3 --dist loadfile --no-loadscope-reorder $(addprefix --ignore=,$(NODE_TESTS) $(JAVA_TESTS))
	@echo "== tests that have the machine's one node to themselves"
	@$(RUN) python -m pytest --durations=10 $(NODE_TESTS)

properties: node-tools ## Properties with examples drawn anew (ROUNDS=5); what fails is told with its seed
	@set -e; for round in $$(seq 1 $(or $(ROUNDS),5)); do \
	  echo "== round $$round of $(or $(ROUNDS),5): each property with examples that no run has seen"; \
	  $(RUN) python -m pytest -q -n 2 --dist loadfile -m hypothesis --hypothesis-profile=default --hypothesis-seed=$$RANDOM $(addprefix --ignore=,$(NODE_TESTS) $(JAVA_TESTS)); \
	done

costs: install ## What each SCIM operation costs in statements and instructions; writes the committed figures anew
	@COSTS=renew $(RUN) python -m pytest -q -s tests/api/test_costs.py

test-unit: install ## Tests without I/O, and those of what measures
	@$(RUN) python -m pytest tests/unit tests/bench

test-api: install ## The API against SQLite and PostgreSQL
	@$(RUN) python -m pytest tests/api

test-postgres: install ## The API on another PostgreSQL than the newest (VERSION=15, 16 or 17)
	@case "$(VERSION)" in 15|16|17) ;; *) echo "VERSION=$(VERSION): it says which: make test-postgres VERSION=15, 16 or 17" >&2; exit 2;; esac
	@TEST_POSTGRES_VERSION=$(VERSION) $(RUN) python -m pytest -n 2 --dist loadfile tests/api -k postgres

test-python: $(filter .uv/bin/uv,$(UV)) ## The API and its command line on another Python (VERSION=3.12, 3.13 or 3.14; INTERPRETER=path)
	@test -n "$(VERSION)" || { echo "VERSION= says which: make test-python VERSION=3.12, 3.13 or 3.14" >&2; exit 2; }
	@echo "== Python $(VERSION), with the locked dependencies, in .venv-$(VERSION)"
	@UV_PROJECT_ENVIRONMENT=.venv-$(VERSION) $(UV) run --frozen --all-extras --python $(or $(INTERPRETER),$(VERSION)) python -m pytest -n 2 --dist loadfile tests/unit/scim_api tests/api

test-operator: tools ## The operator against real kube-apiservers, the newest and the oldest that is supported
	@$(RUN) python -m localcluster build --oldest
	@$(RUN) python -m pytest tests/operator

test-chart: node-tools ## The chart as helm renders it
	@$(RUN) python -m pytest tests/chart

test-console: browser ## The console's pages in a real Chromium
	@$(RUN) python -m pytest tests/console

test-docs: browser docs-tools ## The documentation as a site: built strictly, its links, in a real Chromium
	@$(RUN) --group docs python -m pytest tests/docs

test-e2e: node-tools browser ## The demo, all parts together and, as root, the chart in real pods
	@$(RUN) python -m pytest tests/e2e

try-release: node-tools ## What `make release REGISTRY=...` made in dist/, in real pods: from a registry of that name, and from its files (as root)
	@ls $(or $(DIST),dist)/scim-operator-*.tgz > /dev/null 2>&1 || { echo "$(or $(DIST),dist) holds no release: make release VERSION=... makes one, DIST= says where one is" >&2; exit 2; }
	@tar -xzOf $(or $(DIST),dist)/scim-operator-*.tgz scim-operator/values.yaml | grep -q '^  registry: "[^"]' || { echo "the chart in $(or $(DIST),dist) names no registry to install from: make release VERSION=... REGISTRY=... makes one that does" >&2; exit 2; }
	@SCIM_TESTS_RELEASE=$(or $(DIST),dist) $(RUN) python -m pytest --durations=10 $(RELEASE_TESTS)

test-java: install ## UnboundID's SCIM 2 SDK for Java against the API, on both databases (needs a JDK of 17 or newer, and Maven)
	@$(RUN) python -m pytest $(JAVA_TESTS)

lint: install ## Lint, format check, types, layers, workflows
	@echo "== ruff"; $(RUN) ruff check . && $(RUN) ruff format --check .
	@echo "== mypy --strict"; $(RUN) mypy operator/scim_operator scim_api kubectl_scim scim_console dev tests
	@echo "== import-linter"; $(RUN) lint-imports
	@echo "== actionlint, zizmor"; $(RUN) python -m workflow_lint

format: install ## Format and mend what can be mended
	@$(RUN) ruff check --fix . ; $(RUN) ruff format .

bench: install ## SCIM requests: ours on both databases, bare references, other servers (ARGS="--sizes 1000 1000000")
	@PYTHONPATH=dev:tests $(RUN) python -m bench.compare $(ARGS)

bench-layers: install ## Where the time of a request goes: microseconds by layer (ARGS="--contender 'ours, SQLite'")
	@PYTHONPATH=dev:tests $(RUN) python -m bench.layers $(ARGS)

bench-tenants: install ## Many tenants on one worker: what a loud one does to a quiet one, and how much all get
	@PYTHONPATH=dev:tests $(RUN) python -m bench.fair

bench-hostile: install ## What a tenant that sends the most expensive requests does to a quiet one (ARGS="--rounds 3")
	@PYTHONPATH=dev:tests $(RUN) python -m bench.hostile $(ARGS)

bench-changes: install ## A thousand requests that wait for changes, and how soon a change is told (ARGS="--seconds 10")
	@PYTHONPATH=dev:tests $(RUN) python -m bench.changes $(ARGS)

bench-groups: install ## One member added to a group of 10 and of 100,000; the large one read whole
	@PYTHONPATH=dev:tests $(RUN) python -m bench.teams

bench-console: browser ## The console with 100,000 users: first paint of each page, and search as you type (ARGS="--database SQLite")
	@PYTHONPATH=dev:tests $(RUN) python -m bench.console $(ARGS)

bench-start: install ## How soon the API answers after its start, what it imports for that, and its memory (ARGS="--starts 10 --users 1000")
	@PYTHONPATH=dev:tests $(RUN) python -m bench.start $(ARGS)

bench-secret: tools ## How fast a ScimToken becomes a Secret (p50, p99 of 100)
	@PYTHONPATH=dev:tests $(RUN) python -m bench.time_to_secret

bench-scale: tools ## Many ScimTokens: issuing, rest, restart, all due at once (COUNT=10000, ARGS=--no-storm)
	@PYTHONPATH=dev:tests $(RUN) python -m bench.scale --count $(or $(COUNT),10000) $(ARGS)

bench-hand-over: tools ## Many ScimTokens with spec.entra: first hand-over, rotations, rest, restart, outages (COUNT=1000, ARGS="--tenants --pace 200")
	@PYTHONPATH=dev:tests $(RUN) python -m bench.hand_over --count $(or $(COUNT),1000) $(ARGS)

torture: tools ## Kill, freeze and edit everything under traffic, and judge each answer (MINUTES=2 TOKENS=3 SEED=... HAND_OVER=1)
	@PYTHONPATH=dev:tests $(RUN) python -m torture --minutes $(or $(MINUTES),2) --tokens $(or $(TOKENS),3) $(if $(SEED),--seed $(SEED)) $(if $(HAND_OVER),--hand-over)

torture-changes: install ## Kill everything under those who follow the changes, and compare their copies (CHANGES=1000000 MINUTES=8 SEED=... DATABASE=sqlite)
	@PYTHONPATH=dev:tests $(RUN) python -m torture.changes --changes $(or $(CHANGES),1000000) --minutes $(or $(MINUTES),8) --database $(or $(DATABASE),postgresql) $(if $(SEED),--seed $(SEED))

soak: tools ## Hours of Entra's traffic on the chart in real pods, rotations every minute: nothing may grow (HOURS=1; root)
	@PYTHONPATH=dev:tests $(RUN) python -m soak --hours $(or $(HOURS),1)

screenshots: browser ## The pictures of the console in docs/pictures, from a played company
	@PYTHONPATH=dev:tests $(RUN) python -m support.screenshots

mutants: install ## Put small faults into the code, one at a time: which does no test notice? (ARGS="--sample 300", "--help")
	@$(RUN) python -m mutants $(ARGS)

images: ## Build both images with docker, podman or buildah (TAG=... BASE_IMAGE=...)
	@bash dev/images/build.sh

e2e-up: tools ## Real pods on this machine, as root and without a container engine: node, images, chart, ScimToken
	@$(RUN) python -m inpods up

e2e-down: install ## End what `make e2e-up` left running
	@$(RUN) python -m inpods down

image-kubectl-scim: tools ## Build the image of kubectl scim, with the kubectl of this checkout (TAG=... BASE_IMAGE=...)
	@mkdir -p build && $(RUN) python -c 'import shutil; from localcluster import build_tools; shutil.copy2(build_tools().path("kubectl"), "build/kubectl")'
	@TARGETS=kubectl-scim bash dev/images/build.sh

release: install ## Everything a release holds, in dist/ (VERSION=0.2.0 REGISTRY=... ARGS=--check-reproducible; without VERSION it says what)
	@$(RUN) python -m release $(if $(VERSION),"$(VERSION)" $(ARGS),--help)

crd: install ## Generate the CRDs from the models, for kubectl and for the chart
	@$(RUN) python -m scim_operator.api.crd crds
	@cp crds/*.yaml charts/scim-operator/files/

chart: install ## Generate the chart's README.md and values.schema.json from values.yaml, and its version from pyproject.toml
	@$(RUN) python -m chart_files

openapi: install ## Generate docs/admin-openapi.json and docs/token-openapi.json from the routes
	@$(RUN) python -m scim_api.http.admin.openapi > docs/admin-openapi.json
	@$(RUN) python -m scim_api.http.oauth.openapi > docs/token-openapi.json

kind: ## The same on kind, for machines with a container engine
	@bash dev/kind/up.sh

clean: ## Remove what was installed into the checkout
	@rm -rf .venv .venv-* .uv site .pytest_cache .mypy_cache .ruff_cache .hypothesis
