# Everything a person or a CI machine does here. "make help" lists it.

SHELL := /bin/bash
.DEFAULT_GOAL := help

BIN       := bin/tako
VERSION   ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
FUZZTIME  ?= 10s

# One set of flags for the build, vet and staticcheck: they then share compiled
# packages, and gVisor is compiled once. Stamping from git is off, because it
# fails where the checkout belongs to another user.
STATIC := CGO_ENABLED=0 GOFLAGS='-trimpath -buildvcs=false'

.PHONY: help
help: ## list what there is to do
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: ## set up what is missing, build, and run one job in a sandbox
	@scripts/setup.sh go certs python3
	@$(MAKE) --no-print-directory build
	@echo "Running a job in a fresh sandbox: $(BIN) run -c 'print(1+1)'"
	@result=$$($(BIN) run -c 'print(1+1)') && echo "The sandbox answered: $$result"

.PHONY: build
build: ## build bin/tako, one static binary, and bin/tako-vm, a link to it
	@$(STATIC) go build -ldflags '-s -w -X github.com/takovm/tako/internal/cli.version=$(VERSION)' -o $(BIN) ./cmd/tako
	@ln -sf tako $(BIN)-vm

PREFIX ?= /usr/local

.PHONY: install
install: build ## put tako, its man pages and its completion below PREFIX (default /usr/local)
	@install -D -m 755 $(BIN) $(DESTDIR)$(PREFIX)/bin/tako
	@ln -sf tako $(DESTDIR)$(PREFIX)/bin/tako-vm
	@$(BIN) man $(DESTDIR)$(PREFIX)/share/man
	@install -d $(DESTDIR)$(PREFIX)/share/bash-completion/completions
	@$(BIN) completion bash > $(DESTDIR)$(PREFIX)/share/bash-completion/completions/tako

.PHONY: test
test: ## set up what is missing, lint, and run every test with the race detector
	@scripts/setup.sh go certs cc python3 node npm numpy pandas httpx requests postgres curl mmdebstrap
	@for root in minimal data; do scripts/debian.sh $$root > /dev/null || [ $$? = 3 ] || exit 1; done # 3: it said what is missing
	@$(MAKE) --no-print-directory build lint
	@CGO_ENABLED=1 go test -race -run '^$$' ./... > /dev/null # compiles, two packages at a time
	@# One package at a time: they share the machine's cgroups and its two cores.
	@TAKO_TEST_BINARY=$(abspath $(BIN)) CGO_ENABLED=1 go test -race -count=1 -p 1 -timeout 15m ./...

.PHONY: lint
lint: ## check format, modules, vet and staticcheck
	@scripts/lint.sh

.PHONY: bench
bench: build ## measure sandboxes, jobs and servers on this machine, and write docs/PERFORMANCE.md's first table
	@scripts/setup.sh bubblewrap postgres || echo "not all that tako is compared with is installed" >&2
	@scripts/bench.sh $(abspath $(BIN))
	@go run ./bench

.PHONY: fuzz
fuzz: ## run every fuzz test for FUZZTIME (default 10s) each
	@FUZZTIME=$(FUZZTIME) scripts/fuzz.sh

.PHONY: crash
crash: ## kill servers between every two commits of a job's life and 50 times at random, on both databases
	@scripts/setup.sh go certs python3 postgres
	@TAKO_CRASH=1 go test ./test/crash -count=1 -timeout 40m -v | grep -v '^ *time=\|point of failure [a-z]*\.[a-z]*$$'

.PHONY: soak
soak: build ## run 10,000 jobs and look at what they leave; ask databases with 100,000 records
	@TAKO_SOAK=1 TAKO_TEST_BINARY=$(abspath $(BIN)) go test ./test/soak -count=1 -timeout 60m -v

.PHONY: mutate
mutate: build ## remove each line of the spec builder and expect a test to fail
	@scripts/mutate.sh

.PHONY: generate
generate: ## write the generated files again
	@go test ./internal/engine/gvisor -run GuestFilter -update
	@go test ./internal/api -run OpenAPIFile -update
	@go test ./internal/api -run APIReference -update
	@go test ./internal/cli -run CLIReference -update
	@go test ./internal/config -run Reference -update
	@go generate ./...

.PHONY: clean
clean: ## remove what was built
	@rm -rf bin
