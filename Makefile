# make · make demo · make test · make test-unit · make test-corpus · make test-distributions · make test-processors
# make test-arm64 · make test-riscv64
# make deb · make test-deb · make test-fleet
# make agent · make torture · make bench · make backtest · make backtest-arm64 · make compatibility · make lint · make wheel
SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -ec
PYTHON ?= python3
VENV := .venv
STAMP := $(VENV)/.installed
PACKAGES := $(VENV)/.packages
PIP := $(VENV)/bin/pip install --disable-pip-version-check --progress-bar off
SOURCES := $(shell find src -name '*.py' -o -name '*.[ch]' -o -path '*/static/*') meson.build meson.options
C_FILES := $(wildcard src/liveso/agent/*.[ch]) $(shell find tests examples bench -name '*.[ch]' -not -path '*/build*' 2>/dev/null)

.PHONY: all demo test test-unit test-corpus test-distributions bench backtest compatibility lint wheel clean

all: live.so

live.so: $(STAMP)
	@ln -sfn $$(echo $(VENV)/lib/python3.*/site-packages/liveso/live.so) $@

$(PACKAGES): pyproject.toml tools/requirements
	@command -v $(PYTHON) >/dev/null || { echo "liveso needs Python 3.11 or newer, and there is no $(PYTHON) here: install python3" >&2; exit 1; }
	@$(PYTHON) tools/check-python
	@PYTHON=$(PYTHON) tools/system-packages build
	@$(PYTHON) -m venv $(VENV)
	@echo "installing the Python packages into $(VENV)"
	@$(PIP) $$($(VENV)/bin/python tools/requirements) | sed -un 's/^ *Downloading \([^ ]*\) \(.*\)/  downloading \1 \2/p'
	@touch $@

$(STAMP): $(PACKAGES) $(SOURCES)
	@echo "building live.so"
	@PATH=$(CURDIR)/$(VENV)/bin:$$PATH $(PIP) --quiet --no-build-isolation --no-deps --force-reinstall .
	@touch $@

# live.so for another machine, by Debian's cross compiler: live-MACHINE.so
MACHINE ?= aarch64
.PHONY: agent
agent: live-$(MACHINE).so

live-%.so: tools/cross/%.ini $(PACKAGES) $(wildcard src/liveso/agent/*.[ch]) meson.build
	@tools/system-packages $*
	@PATH=$(CURDIR)/$(VENV)/bin:$$PATH meson setup $(if $(wildcard build/agent-$*/build.ninja),--wipe) \
		--cross-file tools/cross/$*.ini build/agent-$* >/dev/null
	@PATH=$(CURDIR)/$(VENV)/bin:$$PATH ninja --quiet -C build/agent-$* live.so
	@cp build/agent-$*/live.so $@

tools/cross/%.ini:
	@echo "there is no live.so for $*; MACHINE can be $(basename $(notdir $(wildcard tools/cross/*.ini)))" >&2; exit 1

demo: all
	@PYTHON=$(PYTHON) tools/system-packages demo
	@$(MAKE) --no-print-directory -C examples/fibonacci demo
	@$(MAKE) --no-print-directory -C examples/hello_world demo
	@$(MAKE) --no-print-directory -C examples/python_extension demo
	@$(MAKE) --no-print-directory -C examples/pybind11_extension demo
	@$(MAKE) --no-print-directory -C examples/orbits demo

# one worker more than processors, for many tests wait; TESTS: which files, or options of pytest
PYTEST := $(VENV)/bin/python -m pytest -n $$(($$(nproc) + 1)) --dist loadgroup

test: all live-aarch64.so live-riscv64.so
	@PYTHON=$(PYTHON) tools/system-packages test
	$(PYTEST) $(TESTS)

test-unit: all
	@PYTHON=$(PYTHON) tools/system-packages unit
	$(PYTEST) tests/unit

# every build of every pair and mutation, and all that is marked as `further`, of which make test takes a part
test-corpus: all live-aarch64.so live-riscv64.so
	@PYTHON=$(PYTHON) tools/system-packages test
	LIVESO_CORPUS=full $(PYTEST) tests/corpus
	LIVESO_CORPUS=full $(PYTEST) tests/integration -m further

# programs for other machines, which an emulator runs (qemu-user): what is there for them, and tests that are for all
EMULATED := $(addprefix tests/integration/test_,moved_variables.py identity.py tables.py dlopen.py)
.PHONY: test-processors
test-processors: all live-aarch64.so live-riscv64.so
	@PYTHON=$(PYTHON) tools/system-packages test
	LIVESO_CORPUS=full LIVESO_UPDATES=200 $(PYTEST) tests/integration/test_emulated.py tests/integration/test_eight_threads_emulated.py
	LIVESO_CORPUS=full $(PYTEST) tests/corpus/test_mutations_run_aarch64.py
	for machine in aarch64 riscv64; do LIVESO_MACHINE=$$machine $(PYTEST) $(EMULATED) -m "not own_machine"; done

# a whole system of another machine in an emulator, with the daemon in it: what qemu-user has not, as ptrace(2)
IN_SYSTEM := $(addprefix tests/unit/test_,analysis.py kept.py proc.py protocol.py store.py unwind.py waits.py) \
	$(addprefix tests/integration/test_,main_job.py visits.py freeze.py attach.py)
.PHONY: test-arm64
test-arm64: all live-aarch64.so
	@tools/system-packages system-arm64
	LIVESO_LIMIT=300 tools/emulated-system arm64 python -m pytest -n 2 --dist loadgroup -m "not own_machine" $(or $(TESTS),$(IN_SYSTEM))
	LIVESO_LIMIT=300 LIVESO_SYSTEM_KERNEL=trixie/linux-image-arm64-16k tools/emulated-system arm64 \
		python -m pytest -n 2 --dist loadgroup -m "not own_machine" $(or $(TESTS),tests/integration/test_visits.py)

.PHONY: test-riscv64
test-riscv64: all live-riscv64.so
	@tools/system-packages system-riscv64
	LIVESO_LIMIT=300 tools/emulated-system riscv64 python -m pytest -n 2 --dist loadgroup -m "not own_machine" \
		$(or $(TESTS),$(IN_SYSTEM) tests/integration/test_way_back_riscv64.py)

# demo and tests on fresh roots of the releases that are supported
test-distributions:
	@tools/system-packages distributions
	for release in bookworm trixie; do tools/debian-root fresh $$release make demo test; done

# the Ansible collection, over ssh, on four machines on loopback, with liveso's package
.PHONY: test-fleet
test-fleet: deb
	@PYTHON=$(PYTHON) tools/system-packages fleet
	LIVESO_FLEET=1 $(VENV)/bin/python -m pytest $(or $(TESTS),tests/fleet)

bench: all
	@tools/system-packages test
	@tools/system-packages bench
	$(VENV)/bin/python -m bench
	$(VENV)/bin/python -m bench.verdict

backtest: all
	$(VENV)/bin/python -m bench.backtest

# the same updates on two machines
.PHONY: backtest-arm64
backtest-arm64: all
	$(VENV)/bin/python -m bench.backtest.two_machines

compatibility: all
	@tools/system-packages compatibility
	$(VENV)/bin/python -m bench.compatibility

lint: all
	@tools/system-packages lint
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports --no-logo
	clang-format --dry-run -Werror $(C_FILES)

# dist/*.whl, with the oldest glibc that it runs on in its name
wheel: all
	@tools/wheel dist

# dist/*.deb, for Debian 12 and 13
.PHONY: deb test-deb
deb: all
	@tools/deb

# the package installed on fresh roots of both releases, upgraded, and removed, also below a real systemd
test-deb: deb
	@tools/system-packages distributions
	LIVESO_DEB=$$(ls -t dist/liveso_*_amd64.deb | head -n 1) $(VENV)/bin/python -m pytest tests/packaging $(TESTS)

clean:
	rm -rf $(VENV) live.so live-*.so build dist

# UPDATES: of each of the four runs
.PHONY: torture
UPDATES ?= 250
torture: all
	@PYTHON=$(PYTHON) tools/system-packages test
	LIVESO_TORTURE=$(UPDATES) $(VENV)/bin/python -m pytest -s tests/integration/test_torture.py

.PHONY: fuzz
MUTANTS ?= 20000
fuzz: all
	@tools/system-packages test
	$(VENV)/bin/python -m tests.fuzz $(MUTANTS)
