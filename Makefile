# The front door of Holdfast: `make` says what there is. The build itself is CMake's (CMakePresets.json).
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

JOBS ?= $(shell nproc)
# Tests with servers wait half of their time.
TEST_JOBS ?= $(shell expr $$(nproc) + 1)
FUZZ_SECONDS ?= 60
SOAK_SECONDS ?= 3600
API_SECONDS ?= 300
BENCH_ARGUMENTS ?=
BENCH_POSTGRES_ARGUMENTS ?=
LAUNCHER := $(if $(shell command -v ccache),-DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
INSTALL := scripts/install-dependencies.sh
# $(call compile,PRESET[,MORE ARGUMENTS])
compile = cmake --preset $(1) $(LAUNCHER) $(if $(2),$(2),-DHOLDFAST_TESTS=ON) >/dev/null && cmake --build --preset $(1) -j$(JOBS)

.PHONY: help run build deb demo test test-sanitizers check format tidy asan tsan bench check-api soak fuzz clean

help: ## list these targets
	@echo "Holdfast: backups that are encrypted, deduplicated and proven. Targets:"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: ## install what is missing, build, protect a sample tree and a PostgreSQL under load, and get them back
	@$(INSTALL) build run
	@$(call compile,release,-DHOLDFAST_TESTS=OFF)
	@scripts/demo.sh
	@scripts/demo-postgres.sh

build: ## build the program: build/holdfast
	@$(INSTALL) build
	@$(call compile,release,-DHOLDFAST_TESTS=OFF)

deb: build ## the Debian package: build/holdfast_VERSION_ARCHITECTURE.deb
	@$(INSTALL) deb
	@scripts/make-deb.sh

demo:
	@scripts/demo.sh

test: ## install what is missing, build, run the main job and all tests
	@$(INSTALL) build run test
	@$(call compile,release)
	@scripts/demo.sh
	@scripts/demo-postgres.sh --stop
	@GTEST_BRIEF=1 ctest --test-dir build --output-on-failure -j$(TEST_JOBS) --no-tests=error

test-sanitizers: asan tsan ## the unit tests under address, undefined-behaviour and thread sanitizers

asan: ## the unit tests under the address and undefined-behaviour sanitizers
	@$(INSTALL) build test
	@$(call compile,asan)
	@ctest --test-dir build-asan --output-on-failure -j$(JOBS) -L unit --no-tests=error

tsan: ## the unit tests under the thread sanitizer
	@$(INSTALL) build test
	@$(call compile,tsan)
	@ctest --test-dir build-tsan --output-on-failure -j$(JOBS) -L unit --no-tests=error

check: ## format, lint and unit tests: about a minute
	@$(INSTALL) build check
	@git ls-files -z --cached --others --exclude-standard '*.cpp' '*.h' | xargs -0 clang-format-19 --dry-run -Werror
	@python3 scripts/lint.py --self-test
	@python3 scripts/lint.py
	@$(call compile,release)
	@ctest --test-dir build --output-on-failure -j$(JOBS) -L unit --no-tests=error

format: ## lay out all sources with clang-format
	@$(INSTALL) check
	@git ls-files -z --cached --others --exclude-standard '*.cpp' '*.h' | xargs -0 clang-format-19 -i

tidy: ## clang-tidy over src (minutes)
	@$(INSTALL) build check
	@$(call compile,release)
	@run-clang-tidy-19 -quiet -p build -j $(JOBS) "$(CURDIR)/src/.*"

bench: ## measure beside others, files and PostgreSQL; writes bench/RESULTS.md
	@$(INSTALL) build run bench
	@$(call compile,release,-DHOLDFAST_BENCH=ON)
	@python3 bench/files.py $(BENCH_ARGUMENTS)
	@python3 bench/postgres.py $(BENCH_POSTGRES_ARGUMENTS)
	@python3 bench/server.py $(BENCH_SERVER_ARGUMENTS)

check-api: ## a property-based client over every route of the API, for API_SECONDS (300)
	@$(INSTALL) build contract
	@$(call compile,release)
	@scripts/check-api.sh build/holdfast $(API_SECONDS)

soak: ## the long seeded simulations and kill loops, for SOAK_SECONDS (3600)
	@$(INSTALL) build test
	@$(call compile,release)
	@scripts/soak.sh build/tests $(SOAK_SECONDS)

fuzz: ## every fuzzer for FUZZ_SECONDS (60) each, from its kept corpus
	@$(INSTALL) build fuzz
	@$(call compile,fuzz)
	@scripts/fuzz.sh build-fuzz/tests/fuzz $(FUZZ_SECONDS)

clean: ## remove what was built; keeps the data of the benchmarks
	@scripts/demo-postgres.sh --end
	@rm -rf build build-debug build-asan build-tsan build-fuzz
