# The front door: `make` lists the targets. CI calls the same ones.

SHELL := /bin/bash
export PATH := $(PATH):/usr/local/go/bin
GO ?= go

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
export VERSION

MODULES := shared services/smp services/xftp

# The tools of `make lint`.
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.1
GOFUMPT     := mvdan.cc/gofumpt@v0.12.0
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.9.0

# What can be changed on the command line.
TESTFLAGS ?=
FUZZTIME  ?= 5s
BENCH     ?= .
BENCHTIME ?= 1s
BENCHARGS ?=
BENCH_SMP  ?= $(GO) run sotto/services/smp/e2e/load $(BENCHARGS)
BENCH_XFTP ?= $(GO) run sotto/services/xftp/e2e/load $(BENCHARGS)

# Postgres for tests: the server in SOTTO_TEST_DATABASE_URL, or a private one that lasts as long as the command.
# Tests keep nothing, so theirs need not reach the disk; for e2e and bench it does, as in production.
ifeq ($(SOTTO_TEST_DATABASE_URL),)
LOCAL_PG := docker/postgres/local.sh run
TEST_PG   = SOTTO_POSTGRES_OPTIONS="-c max_connections=300 -c fsync=off" $(LOCAL_PG) .data/test-postgres SOTTO_TEST_DATABASE_URL
BENCH_PG  = SOTTO_POSTGRES_OPTIONS="-c max_connections=300" $(LOCAL_PG) .data/bench-postgres SOTTO_TEST_DATABASE_URL
endif

.DEFAULT_GOAL := help
.PHONY: help run build test race e2e bench fuzz lint fmt modules image up down smoke tor monitoring clean go

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: build ## run both relays here, with a Postgres of their own unless SMP_DATABASE_URL and XFTP_DATABASE_URL are set
	@docker/run.sh

build: go ## compile bin/smp and bin/xftp
	@echo "build: bin/smp, bin/xftp, version $(VERSION)"
	@for name in smp xftp; do \
	  CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -ldflags "-X main.version=$(VERSION)" -o bin/$$name ./services/$$name || exit 1; \
	done

test: go ## run all tests
	@echo "test: all tests of the workspace"
	@$(TEST_PG) $(GO) test $(TESTFLAGS) work

race: go ## run all tests with the race detector
	@echo "race: all tests of the workspace with the race detector"
	@CGO_ENABLED=1 $(TEST_PG) $(GO) test -race $(TESTFLAGS) work

e2e: go ## run the end-to-end tests alone, telling what they do
	@echo "e2e: whole conversations with the relays and their database"
	@SOTTO_E2E=1 $(BENCH_PG) $(GO) test -count=1 -p 1 -v -timeout 20m sotto/services/smp/e2e sotto/services/xftp/e2e

bench: go ## measure: benchmarks of the packages, then each relay under load
	@echo "bench: benchmarks of the packages"
	@$(BENCH_PG) $(GO) test -run '^$$' -bench '$(BENCH)' -benchtime $(BENCHTIME) -benchmem work
	@echo "bench: the message relay under load"
	@$(BENCH_PG) $(BENCH_SMP)
	@echo "bench: the file relay under load"
	@$(BENCH_PG) $(BENCH_XFTP)

fuzz: go ## run each fuzz target for FUZZTIME (5s)
	@echo "fuzz: each target for $(FUZZTIME)"
	@GO="$(GO)" FUZZTIME="$(FUZZTIME)" .ci/fuzz

lint: go ## vet, staticcheck, gofumpt, govulncheck, shellcheck
	@echo "lint: go vet"
	@$(GO) vet work
	@echo "lint: staticcheck"
	@$(GO) run $(STATICCHECK) work
	@echo "lint: gofumpt"
	@files=$$($(GO) run $(GOFUMPT) -l shared services) || exit 1; \
	if [ -n "$$files" ]; then printf 'These files need make fmt:\n%s\n' "$$files" >&2; exit 1; fi
	@echo "lint: govulncheck"
	@$(GO) run $(GOVULNCHECK) -version >/dev/null || exit 1; \
	for dir in $(MODULES); do \
	  if ! out=$$($(GO) run $(GOVULNCHECK) -C $$dir ./... 2>&1); then \
	    if grep -q 'fetching vulnerabilities' <<<"$$out"; then \
	      echo "lint: govulncheck was skipped: its database cannot be reached from here"; break; \
	    fi; \
	    printf '%s\n' "$$out" >&2; exit 1; \
	  fi; \
	done
	@if command -v shellcheck >/dev/null; then \
	  echo "lint: shellcheck"; shellcheck .ci/run .ci/fuzz docker/*.sh docker/*/*.sh docs/systemd/*.sh; \
	else echo "lint: shellcheck was skipped: it is not installed"; fi
	@echo "lint: units of systemd"; docs/systemd/check.sh

fmt: go ## format the Go code
	@$(GO) run $(GOFUMPT) -w shared services

modules: go ## build each service without the workspace, and check that the modules agree on versions
	@for name in $(MODULES); do \
	  echo "modules: $$name by itself"; \
	  (cd $$name && GOWORK=off $(GO) build -o /dev/null ./... && GOWORK=off $(GO) vet ./...) || exit 1; \
	done
	@echo "modules: go work sync leaves no difference"
	@sums() { cat go.work go.work.sum */go.mod */go.sum services/*/go.mod services/*/go.sum 2>/dev/null | cksum; }; \
	before=$$(sums); $(GO) work sync || exit 1; \
	[ "$$before" = "$$(sums)" ] || { echo "go work sync changed versions: commit what it did" >&2; exit 1; }

image: ## build the container images
	docker compose build

up: ## start the stack in the background and print the relays' addresses
	docker compose up --build --detach --wait
	@docker compose exec -T smp /smp address --plain
	@docker compose exec -T xftp /xftp address --plain

down: ## stop the stack; its data stay
	docker compose down

smoke: ## check the stack on loopback ports from 15080 on: use it, kill parts of it, upgrade to it, remove it
	@docker/smoke.sh

tor: build ## check an onion service for both relays, in a Tor network of its own on this machine
	@docker/tor/test.sh

monitoring: build ## check configuration, alerts and dashboard with a real Prometheus and both relays
	@docker/monitoring/check.sh

clean: ## remove what was compiled; data stay
	rm -rf bin

go:
	@$(GO) version >/dev/null 2>&1 || { echo "Go 1.26 or newer is needed: https://go.dev/doc/install" >&2; exit 1; }
