# Every verb first makes what it needs: the environment in .venv, tools and caches in .local.
#
# To add a verb, add a block like the ones below: `.PHONY`, then the target with `environment` as its prerequisite and
# a description after `##`, which `make help` prints. Pass a parameter on as "$$NAME", so that the shell does not
# interpret it: make exports the variables of its command line. Only ARGS is meant to be split into words.

BIN := .venv/bin

# The Python that makes the environment: the first one here that is new enough, unless PYTHON=… names another.
ifeq ($(strip $(PYTHON)),)
PYTHON = $(or $(shell for name in python3 python3.14 python3.13 python3.12 python3.11 /usr/bin/python3; do \
	"$$name" -Es -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null && echo "$$name" && break; done), \
	$(error taskchat: there is no Python 3.11 or newer here; install one, or name yours: make PYTHON=/path/to/python3 …))
endif

# Without a PATH, as in `env -i make run`, Python cannot tell its own place.
export PATH ?= /usr/local/bin:/usr/bin:/bin
# Variables of the shell that change how Python and the tools of this project work, such as PYTHONPATH or PYTHONHOME.
unexport $(filter PYTHON%,$(.VARIABLES)) VIRTUAL_ENV CONDA_PREFIX MYPYPATH PYTEST_PLUGINS PYTEST_DISABLE_PLUGIN_AUTOLOAD
# The SAM CLI keeps its settings below HOME unless it is told otherwise.
export __SAM_CLI_APP_DIR := .local/cache/sam
export SAM_CLI_TELEMETRY := 0
export npm_config_cache := .local/cache/npm
# To build and to validate needs no AWS profile, so a broken one must not matter.
SAM := env -u AWS_PROFILE -u AWS_DEFAULT_PROFILE -u AWS_CONFIG_FILE $(BIN)/sam

.PHONY: help
help:
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 24

.PHONY: environment
environment:
	@"$(PYTHON)" -Es -m local.toolchain

.PHONY: run
run: environment  ## chat on http://127.0.0.1:$PORT (3000); needs no account, no key, no Docker
	@exec $(BIN)/python -m local

.PHONY: chat
chat: environment  ## talk to what `make run` started, from a second terminal
	@exec $(BIN)/python -m local.chat

.PHONY: doctor
doctor: environment  ## check the model's provider: its key, the model, tool calls and caching, by two small requests
	@exec $(BIN)/python -m local.doctor

.PHONY: test
test: environment  ## run every test; ARGS goes to pytest, as in: make test ARGS='-k turns'
	$(BIN)/python -m pytest -o cache_dir=.local/cache/pytest -n 2 --dist loadgroup $(ARGS)

.PHONY: node
node: environment  ## install Node 22 and the programs of others that test /mcp and the page; needs npm
	@$(BIN)/python -m tests.conformance.node

.PHONY: conformance
conformance: node  ## test /mcp with the public conformance suite and MCP Inspector
	$(BIN)/python -m pytest -o cache_dir=.local/cache/pytest -rP tests/conformance

.PHONY: lint
lint: environment  ## run ruff, mypy, the import contracts, the check of the templates, and the security scanners
	@$(MAKE) --no-print-directory -j 2 lint-code lint-templates lint-security

.PHONY: lint-code
lint-code: environment
	$(BIN)/ruff check && $(BIN)/ruff format --check && $(BIN)/mypy && \
		$(BIN)/lint-imports --cache-dir .local/cache/import-linter

.PHONY: lint-templates
lint-templates: environment
	$(BIN)/python -m local.openapi --check
	$(SAM) validate --lint && $(SAM) validate --lint -t functions/migrate/template.yaml && \
		$(SAM) validate --lint -t deploy/role.yaml
	$(BIN)/actionlint && $(BIN)/zizmor --offline --quiet .

.PHONY: lint-security
lint-security: environment
	@$(BIN)/python -m local.security

.PHONY: openapi
openapi: environment  ## write the API's document, docs/openapi.json, and its reference, docs/api.html
	@$(BIN)/python -m local.openapi

.PHONY: eval
eval: environment  ## judge conversations with the configured model, as in: make eval ARGS='--runs 5 --write'
	@$(BIN)/python -m evals $(ARGS)

.PHONY: bench
bench: environment  ## measure this project beside its peers, as in: make bench ARGS='turn --runs 3'
	@"$(PYTHON)" -Es -m local.toolchain bench
	@.local/bench/bin/python -m bench $(ARGS)

.PHONY: build
build: environment  ## build both stacks for Lambda into .aws-sam; LAMBDA_ARCHITECTURE=arm64 for Graviton
	@$(BIN)/python -m deploy.build

# STAGE is a section of samconfig.toml.
secrets deploy rollback destroy preview preview-delete user token migrate role: export STAGE ?= dev

.PHONY: secrets
secrets: environment  ## store the connection strings and the model's key in AWS, as in: make secrets STAGE=dev
	@exec $(BIN)/python -m deploy secrets "$$STAGE"

.PHONY: deploy
deploy: environment  ## build, migrate, deploy and test: STAGE=dev|staging|prod; BUILT=.aws-sam takes what is built
	@exec $(BIN)/python -m deploy release "$$STAGE" $(if $(BUILT),--built "$(abspath $(BUILT))")

.PHONY: rollback
rollback: environment  ## go back to the release before, without a build and without the database
	@exec $(BIN)/python -m deploy rollback "$$STAGE"

.PHONY: destroy
destroy: environment  ## delete a stage, after asking
	@exec $(BIN)/python -m deploy destroy "$$STAGE"

.PHONY: preview
preview: environment  ## deploy a pull request on a branch of a Neon project: STAGE=pr-12, and NEON_… of docs/operations.md
	@exec $(BIN)/python -m deploy preview "$$STAGE"

.PHONY: preview-delete
preview-delete: environment  ## delete a preview, its secrets and its branch: STAGE=pr-12
	@exec $(BIN)/python -m deploy preview-delete "$$STAGE"

.PHONY: migrate
migrate: export EVENT ?= events/migrate-current.json
migrate: environment  ## invoke the deployed migrate function by hand: EVENT=events/migrate-verify.json
	@exec $(BIN)/python -m deploy migrate "$$STAGE" --event "$$EVENT"

.PHONY: role
role: export REPOSITORY ?=
role: environment  ## make the role by which GitHub deploys a stage: STAGE=prod REPOSITORY=OWNER/NAME
	@exec $(BIN)/python -m deploy role "$$STAGE" --repository "$$REPOSITORY"

.PHONY: user
user: export EMAIL ?=
user: environment  ## invite a person to the stage's user pool: EMAIL=ann@example.com; TEST=yes for the smoke test's
	@exec $(BIN)/python -m deploy user "$$STAGE" --email "$$EMAIL" $(if $(TEST),--test)

.PHONY: token
token: export EMAIL ?=
token: environment  ## print a token to try the API with: EMAIL=ann@example.com
	@exec $(BIN)/python -m deploy token "$$STAGE" --email "$$EMAIL"

.PHONY: invoke
invoke: environment  ## invoke a built function in the Lambda emulator: FUNCTION=ChatFunction EVENT=events/chat.json
	@exec $(BIN)/python -m local.invoke "$${FUNCTION:-ConversationsFunction}" \
		"$${EVENT:-events/conversations-list.json}"

.PHONY: clean
clean:  ## remove all that these verbs made, except the local database and its log
	rm -rf .venv .aws-sam
	test ! -d .local || find .local -mindepth 1 -maxdepth 1 ! -name 'taskchat.sqlite3*' ! -name functions.log -exec rm -rf {} +

.PHONY: delete-database
delete-database:  ## delete the local database: all conversations and tasks of `make run`
	rm -f .local/taskchat.sqlite3 .local/taskchat.sqlite3-wal .local/taskchat.sqlite3-shm

# The name that scripts used before there was `environment`.
.PHONY: .venv/.ready
.venv/.ready: environment
