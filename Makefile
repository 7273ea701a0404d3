# The front door. Every verb makes what it needs first: a virtual environment in .venv, uv and caches in .local.
PYTHON ?= python3
FUNCTION ?= ConversationsFunction
EVENT ?= events/conversations-list.json
export SAM_CLI_TELEMETRY := 0

READY := .venv/.ready
BIN := .venv/bin

# A stamp in an environment that lost its interpreter is worth nothing.
$(shell $(BIN)/python -c '' 2>/dev/null || rm -f $(READY))

.PHONY: help run chat test conformance lint bench build invoke clean
help:
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' Makefile

run: $(READY)  ## chat on http://127.0.0.1:$PORT (3000); no account, no key, no Docker
	@exec $(BIN)/python -m local

chat: $(READY)  ## talk to what `make run` started, from a second terminal
	@$(BIN)/python -m local.chat

test: $(READY)  ## run every test; ARGS goes to pytest, as in: make test ARGS='-k turns'
	$(BIN)/python -m pytest -n 2 --dist loadgroup $(ARGS)

conformance: $(READY)  ## test /mcp with the public conformance suite and MCP Inspector; wants npm, which brings Node 22
	@$(BIN)/python -m tests.conformance.node
	$(BIN)/python -m pytest -rP tests/conformance

lint: $(READY)  ## ruff, mypy, the import contracts, the template
	$(BIN)/ruff check && $(BIN)/ruff format --check && $(BIN)/mypy && $(BIN)/lint-imports
	$(BIN)/sam validate && $(BIN)/sam validate --lint

bench: $(READY)  ## measure this project beside its peers, as in: make bench ARGS='turn --runs 3'
	@UV_PROJECT_ENVIRONMENT=.local/bench .local/uv-*/bin/uv run --frozen -q --group bench -p $(BIN)/python python -m bench $(ARGS)

build: $(READY)  ## build the functions and layers for Lambda into .aws-sam/build
	$(BIN)/sam build
	@$(BIN)/python -m deploy.stamp .aws-sam/build

invoke: $(READY)  ## invoke a built function in the Lambda emulator: FUNCTION=ChatFunction EVENT=events/chat.json
	@$(BIN)/python -m local.invoke $(FUNCTION) $(EVENT)

clean:  ## remove all that these verbs made, the local database too
	rm -rf .venv .local .aws-sam .mypy_cache .pytest_cache .ruff_cache .import_linter_cache

$(READY): pyproject.toml uv.lock local/toolchain.py
	@$(PYTHON) -m local.toolchain
	@touch $@
