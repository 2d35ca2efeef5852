# Notebook HPC: every command that the project has. `make help` lists them.

PORT ?= 8000
STATE ?= build/state
IMAGE ?= notebook
NAME ?= main
# The first Python that is new enough; of several the first that was built optimized, as those of
# distributions are: all that it runs takes a fifth less time. Looked for when it is needed, once.
SUITS := import sys, sysconfig; new = sys.version_info >= (3, 11); \
	options = str(sysconfig.get_config_var("CONFIG_ARGS")); \
	optimized = sys.base_prefix == "/usr" or "--enable-optimizations" in options; \
	suits = sys.argv[1] == "any" or optimized and bool(__import__("ensurepip")); \
	sys.exit(not (new and suits))
ifndef PYTHON
PYTHON = $(eval PYTHON := $(shell for wanted in optimized any; do \
	for python in python3 python3.14 python3.13 python3.12 python3.11 /usr/bin/python3; do \
	$$python -c '$(SUITS)' $$wanted 2>/dev/null && echo $$python && exit; done; done))$(PYTHON)
endif

# Where a machine sets this, each of the hundreds of Pythons that the tests start would compile all
# that it imports anew: several seconds each.
unexport PYTHONDONTWRITEBYTECODE

SHELL := /bin/sh
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VENV := .venv/bin
# As images/_tool/tools.py has it.
CACHE := $(or $(NOTEBOOK_HPC_CACHE),$(HOME)/.cache/notebook-hpc)
LAB := extensions/offline_jobs
RINGS := tests
PYTEST := $(VENV)/python -m pytest
# What needs no process beside itself.
PURE := tests/unit tests/golden
# The Lab extension's scripts, with the pinned Node.
JLPM := $(VENV)/python -m images._tool.jlpm
BED = $(VENV)/python -m tests.bed --name "$(NAME)"
# An installation, for `make deploy` and its like; without KUBECONFIG the cluster that kubectl means.
SETTINGS ?= cluster/settings.yaml
# Not every shell does so in the words of a command.
override SETTINGS := $(patsubst ~/%,$(HOME)/%,$(SETTINGS))
DEPLOYMENT = build/environments/platform/bin/python -m cluster.driver --settings "$(SETTINGS)" --kubeconfig "$(KUBECONFIG)"
MAKE_ENVIRONMENT = $(PYTHON) -m images._tool.environment

.PHONY: help run setup environment build-lab images new-image audit lock system-packages quick test test-rings test-lab test-long \
	bench bench-b1 bench-b2 bench-b3 bench-b7 bench-b8 bench-stock bench-images bench-pulls class push mirror images-lacking deploy deploy-status undeploy smoke \
	cluster-tools cluster-plan cluster-up cluster-verify cluster-upgrade cluster-down \
	bed bed-hub bed-down bed-status bed-programs try-bed-programs record lint types format screenshots clean clean-state python

help: ## show this list
	@echo "make TARGET [NAME=value ...]"
	@awk -F ':.*## ' '/^[a-z][a-z0-9-]*:.*## / { printf "  %-18s %s\n", $$1, $$2 }' Makefile
	@echo "Needed: Python >= 3.11 and the package registries; all else is fetched into build/,"
	@echo ".venv/ and the cache (NOTEBOOK_HPC_CACHE, ~/.cache/notebook-hpc by default)."

python:
	@test -n "$(PYTHON)" && "$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	echo "Notebook HPC needs Python 3.11 or newer, and $(or $(PYTHON),python3) is not: say where one is, as in 'make run PYTHON=/opt/python3.12/bin/python3'." >&2; exit 1; }

run: python ## start hub and jobs service on this machine, PORT=8000 STATE=build/state; Ctrl-C ends all
	@$(MAKE_ENVIRONMENT) platform notebook
	@exec build/environments/platform/bin/python -m hub_config.embedded --port "$(PORT)" --state "$(STATE)"

setup: python ## make .venv and image `notebook`: all that the tests need
	@$(MAKE_ENVIRONMENT) setup

environment: python ## make the local environment of an image, IMAGE=notebook
	@$(MAKE_ENVIRONMENT) $(IMAGE)

build-lab: python ## build the Lab extension alone
	@$(MAKE_ENVIRONMENT) lab

images: setup ## build container images with docker, podman or buildah and verify each: all, or IMAGE=notebook; BASE= ENGINE=
	@$(VENV)/python -m images._tool.build --base "$(BASE)" --engine "$(ENGINE)" $(if $(filter command environment,$(origin IMAGE)),$(IMAGE))

audit: setup ## ask public sources whether what the locks pin is known to be vulnerable; fails where none is reached
	@$(VENV)/python -m images._tool.audit

new-image: python ## begin an image of your own in images/NAME, NAME= FROM=notebook FROM_FILE=requirements.txt or a conda file
	@$(MAKE_ENVIRONMENT) platform
	@build/environments/platform/bin/python -m images._tool.new_image \
	--name="$(if $(filter command environment,$(origin NAME)),$(NAME))" --base="$(FROM)" --file="$(FROM_FILE)"

push: setup ## push our images to the registry of SETTINGS= and write their digests there and in its catalogue: all, or IMAGE=notebook; TAG= ENGINE= COMPRESSION=
	@$(VENV)/python -m images._tool.push --settings "$(SETTINGS)" --tag "$(TAG)" --engine "$(ENGINE)" --compression "$(COMPRESSION)" $(if $(filter command environment,$(origin IMAGE)),$(IMAGE))

images-lacking: setup ## name those of our images that the registry of SETTINGS= does not have as they are written down
	@$(VENV)/python -m images._tool.lacking --settings "$(SETTINGS)"

mirror: setup ## copy images and charts of others that make deploy installs into the registry of SETTINGS=, by digest
	@$(VENV)/python -m images._tool.mirror --settings "$(SETTINGS)"

lock: python ## resolve all requirements*.txt anew from their .in files, UPGRADE=1 takes newer versions
	@$(PYTHON) -m images._tool.lock $(if $(UPGRADE),--upgrade)

system-packages:
	@sh tests/system_packages.sh

test: ## run all tests: jest, then all rings, cheap ones first
	@$(MAKE) test-lab
	@$(MAKE) test-rings

test-rings: setup system-packages try-bed-programs ## run the rings of tests in Python, those that wait beside those that compute
	@$(PYTEST) $(RINGS) -n auto --remember --durations=10 $(PYTEST_OPTIONS)

quick: setup ## check what a minute can: lint, types, and all tests of pure functions
	@$(MAKE) -j2 -O lint types test-lab
	@$(PYTEST) $(PURE) -n logical -q

test-lab: setup ## run the Lab extension's own tests (jest)
	@$(JLPM) test

test-long: setup system-packages try-bed-programs test-lab ## run all rings at full size, report in build/test-long; goes on where it was ended, FRESH=1 begins anew
	@FRESH="$(FRESH)" $(PYTEST) $(RINGS) --long $(PYTEST_OPTIONS)

bed: setup system-packages ## start the test bed, a real Kubernetes of plain processes, NAME=main; last line KUBECONFIG=PATH
	@$(BED) up

bed-hub: setup system-packages ## start the platform on a test bed, as pods of real nodes, NAME=main PORT=8000
	@$(BED) hub --port "$(PORT)"

bed-down: ## end a test bed, or what a crash left of it, NAME=main
	@test ! -d build/bed || $(BED) down

bed-status: ## show what runs of a test bed, and its memory, NAME=main
	@if test -d build/bed; then $(BED) status; else echo "No bed runs; start it with: make bed"; exit 1; fi

bed-programs: setup ## find or build the test bed's programs: etcd, Kubernetes, Volcano, Karpenter, kwok ...
	@$(VENV)/python -m tests.bed.programs

# Without them the bed's rings say so and skip themselves; where CI runs they can be had.
try-bed-programs:
	@$(VENV)/python -m tests.bed.programs >/dev/null || test "$${CI:-}" != true

deploy: python ## install the platform on a Kubernetes cluster, or bring it up to date; SETTINGS= KUBECONFIG= STEP=
	@$(MAKE_ENVIRONMENT) platform
	@$(DEPLOYMENT) --step "$(STEP)" $(if $(filter 1,$(TAKE_OVER)),--take-over) deploy

class: python ## print a class for the catalogue that makes the most of a machine, MACHINE= SHARE= DISK=
	@$(MAKE_ENVIRONMENT) platform
	@build/environments/platform/bin/python -m cluster.driver.fit "$(MACHINE)" --share "$(or $(SHARE),1)" --disk "$(or $(DISK),640)"

deploy-status: python ## show what of the platform is on a cluster and whether it is right, SETTINGS= KUBECONFIG=
	@$(MAKE_ENVIRONMENT) platform
	@$(DEPLOYMENT) status

undeploy: python ## take the platform away from a cluster, but for people's files; SETTINGS= KUBECONFIG= YES=1
	@$(MAKE_ENVIRONMENT) platform
	@$(DEPLOYMENT) $(if $(filter 1,$(YES)),--yes) undeploy

smoke: python ## try a hub as somebody with a token does: session, cell, job, result; URL= CLASSES=standard,gpu (or all) GROUP=
	@$(MAKE_ENVIRONMENT) platform
	@exec build/environments/platform/bin/python -m cluster.smoke --url "$(or $(URL),http://127.0.0.1:8000)" --classes "$(CLASSES)" --group "$(GROUP)"

cluster-tools: python ## get aws, eksctl, kubectl and helm, by pinned versions and checksums, into build/tools
	@$(MAKE_ENVIRONMENT) platform notebook
	@build/environments/platform/bin/python -m cluster.aws.programs

cluster-plan: python ## show a cluster on AWS before it is made, and what it costs, into build/cluster; SETTINGS= KUBECONFIG=
	@$(MAKE_ENVIRONMENT) platform
	@build/environments/platform/bin/python -m cluster.aws plan --settings "$(SETTINGS)" --kubeconfig "$(KUBECONFIG)"

cluster-up: python ## make the cluster of SETTINGS= on AWS, with the platform, or go on where it stopped; STEP=
	@$(MAKE_ENVIRONMENT) platform
	@exec build/environments/platform/bin/python -m cluster.aws up --settings "$(SETTINGS)" --step "$(STEP)"

cluster-verify: python ## look at the cluster of SETTINGS= on AWS: machines, pools, platform; changes nothing in it
	@$(MAKE_ENVIRONMENT) platform
	@exec build/environments/platform/bin/python -m cluster.aws verify --settings "$(SETTINGS)"

cluster-upgrade: python ## bring the cluster of SETTINGS= to its Kubernetes and this checkout's charts; sessions and jobs go on
	@$(MAKE_ENVIRONMENT) platform
	@exec build/environments/platform/bin/python -m cluster.aws upgrade --settings "$(SETTINGS)"

cluster-down: python ## take the cluster of SETTINGS= on AWS away, and list what is left: people's files stay but for HOMES=delete
	@$(MAKE_ENVIRONMENT) platform
	@exec build/environments/platform/bin/python -m cluster.aws down --settings "$(SETTINGS)" --homes "$(or $(HOMES),keep)"

record: bed ## rewrite the recorded API objects that tests of pure functions read (tests/recorded)
	@$(VENV)/python -m tests.bed.record --name $(NAME)

bench: bench-stock ## measure runner, jobs, list and sessions against what a user would pick instead, into build/bench
	@$(VENV)/python -m tests.bench

bench-b1: bench-stock ## measure the runner against papermill, of 1, 200 and 1,000 cells
	@$(VENV)/python -m tests.bench.bench_runner --cells 1 200 1000

bench-b2: bench-stock ## measure one job from its submission to its end against jupyter-scheduler
	@$(VENV)/python -m tests.bench.bench_job

bench-b3: bench-stock ## measure many jobs at once against jupyter-scheduler, JOBS=100 ROUNDS=3
	@$(VENV)/python -m tests.bench.bench_burst --jobs "$(or $(JOBS),100)" --rounds "$(or $(ROUNDS),3)"

bench-b7: setup ## measure a list of jobs among 10,000 against one among 100
	@$(VENV)/python -m tests.bench.bench_list

bench-b8: bench-stock ## measure the start of a session, and of ten at once, against a stock JupyterHub
	@$(VENV)/python -m tests.bench.bench_session

bench-stock: setup
	@$(MAKE_ENVIRONMENT) stock scheduler

bench-images: setup system-packages ## measure how fast containers of our images start, against a stock image
	@$(VENV)/python -m tests.bench.bench_images

bench-pulls: setup system-packages ## measure how fast image `notebook` is pulled and unpacked, its layers in zstd against gzip
	@$(VENV)/python -m tests.bench.bench_pulls

lint: setup ## check format, style, import walls, shell, YAML and TypeScript
	@$(VENV)/ruff format --check .
	@$(VENV)/ruff check .
	@PYTHONPATH=images/stomics/stereo_seq $(VENV)/lint-imports --no-cache
	@$(VENV)/yamllint --strict .
	@git ls-files -co --exclude-standard '*.sh' .ci/run | xargs $(VENV)/shellcheck
	@$(JLPM) lint:check
	@$(JLPM) prettier:check

types: setup ## check types: mypy strict and TypeScript
	@$(VENV)/mypy --cache-dir "$(CACHE)/mypy"
	@$(JLPM) types

format: setup ## format Python, and mend what the linters can mend
	@$(VENV)/ruff check --fix-only --quiet .
	@$(VENV)/ruff format .

screenshots: setup system-packages ## take the documents' pictures anew, with the browser ring
	@SCREENSHOTS=docs/pictures $(PYTEST) tests/browser

clean: ## remove all that was made, but not the state of `make run`
	@rm -rf .venv build/environments build/hub6 build/stock build/scheduler build/wheels build/stamps build/bench build/tools
	@rm -rf $(LAB)/node_modules $(LAB)/lib $(LAB)/offline_jobs/labextension $(LAB)/offline_jobs/service/web/built $(LAB)/.yarn
	@rm -rf .mypy_cache .ruff_cache .import_linter_cache .hypothesis $(LAB)/tsconfig.tsbuildinfo

clean-state: ## remove the state of `make run`: homes, jobs, everything, STATE=build/state
	@state="$(patsubst ~/%,$(HOME)/%,$(STATE))"; \
	if test ! -e "$$state"; then exit 0; fi; \
	if test -f "$$state/lock" && test -d "$$state/secrets"; then rm -rf "$$state"; \
	else echo "'$$state' is not a state folder of make run; it stays." >&2; exit 1; fi
