.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## Set up what is missing, then show the queue on real data
	@scripts/setup demo
	@.venv/bin/python examples/demo.py

.PHONY: test
test: ## Lint, the C++ tests, the Python tests with both Pulsing releases
	@scripts/test

.PHONY: lint
lint: ## Formatting, clang-tidy, layering of includes, ruff, mypy, instruction counts
	@scripts/setup test
	@scripts/lint

.PHONY: format
format: ## Rewrite the sources in the project's format
	@scripts/setup test
	@scripts/format

.PHONY: sanitize
sanitize: ## The C++ tests under ASan and UBSan, then under TSan
	@scripts/setup test
	@scripts/sanitize

.PHONY: mutants
mutants: ## Put faults into a copy of the engine; show which test catches each
	@scripts/setup test
	@scripts/mutants

.PHONY: fault-long
fault-long: ## The random fault tests at length: a million power cuts and more
	@scripts/setup test
	@scripts/fault-long

.PHONY: bench
bench: ## Measure against peers and the disk, 20 minutes; writes docs/benchmarks.md
	@scripts/setup bench
	@.venv/bin/python bench/run.py

.PHONY: fuzz
fuzz: ## Fuzz the decoders for a minute each, from the kept corpus
	@scripts/setup fuzz
	@tests/fuzz/run

.PHONY: docs
docs: ## Check that every link of the documentation leads somewhere
	@python3 scripts/check_docs.py

.PHONY: clean
clean: ## Remove everything built; the .venv folders stay
	rm -rf build .mypy_cache .pytest_cache .ruff_cache .hypothesis python/persisting/_core.pyi
	find . -name __pycache__ -not -path './.venv*' -prune -exec rm -rf {} +
