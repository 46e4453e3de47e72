# Needs make and Python 3.11 or newer with its venv module; everything else goes into .venv.

SHELL = /bin/sh
VENV = .venv
BIN = $(VENV)/bin
CONFIG = etc/mqttd.conf
MARKS = $(VENV)/.mqttd
INSTALLED = $(MARKS)-installed
PLUGINS = $(MARKS)-plugins
TOOLS = $(MARKS)-tools
PYTEST_ARGS = -n 2
BENCH_ARGS =
FUZZ_ARGS =

.DEFAULT_GOAL = help
.PHONY: help run test test-clients lint docs bench fuzz grade clean

help:
	@echo 'make run           install into .venv and start the broker with $(CONFIG)'
	@echo 'make test          lint, documentation and all tests'
	@echo 'make lint          style, types, import rules, file sizes, documentation'
	@echo 'make docs          build the documentation into docs/_build'
	@echo 'make bench         measure the broker'
	@echo 'make fuzz          a bounded run of the fuzz targets'
	@echo 'make grade         have sslyze and testssl.sh judge the TLS of the shipped configuration'
	@echo 'make test-clients  install the MQTT and TLS clients the tests use'
	@echo 'make clean         remove .venv and everything that was built'

$(BIN)/python:
	@for python in $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11; do \
	    if "$$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' \
	        2>/dev/null; then \
	        echo "making $(VENV) with $$python"; \
	        exec "$$python" -m venv $(VENV); \
	    fi; \
	done; \
	echo 'mqttd needs Python 3.11 or newer with its venv module.'; \
	echo 'On Debian and Ubuntu: apt-get install python3 python3-venv'; \
	echo 'An interpreter of another name: make run PYTHON=/path/to/python3'; \
	exit 1

$(INSTALLED): setup.cfg pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	@touch $@

# Twisted keeps a list of its plugins beside them; who installs refreshes it.
$(PLUGINS): $(INSTALLED) $(wildcard twisted/plugins/*.py)
	@rm -f twisted/plugins/dropin.cache
	@$(BIN)/python -c 'from twisted.plugin import IPlugin, getPlugins; list(getPlugins(IPlugin))'
	@touch $@

run: $(PLUGINS)
	@exec $(BIN)/twistd -n --pidfile= mqttd --config $(CONFIG)

# --group came with pip 25.1.
$(TOOLS): $(INSTALLED)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	    --group test --group lint --group docs
	@touch $@

test-clients:
	@tools/install-test-clients

test: $(PLUGINS) $(TOOLS) test-clients
	@$(MAKE) --no-print-directory lint
	$(BIN)/pytest $(PYTEST_ARGS)

lint: $(PLUGINS) $(TOOLS)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tools/check_files.py
	$(BIN)/python docs/_generate_settings.py --check
	@$(MAKE) --no-print-directory docs

docs: $(PLUGINS) $(TOOLS)
	$(BIN)/sphinx-build -q -n -W --keep-going docs docs/_build

bench: $(PLUGINS) $(TOOLS)
	@for name in codec route end_to_end; do \
	    echo "$$name"; $(BIN)/python benchmarks/$$name.py $(BENCH_ARGS) || exit 1; \
	done
	@for name in crl live_recheck; do \
	    echo "$$name"; $(BIN)/python benchmarks/$$name.py || exit 1; \
	done

fuzz: $(PLUGINS) $(TOOLS)
	@for file in $(wildcard fuzz/fuzz_*.py); do \
	    echo "$$file"; $(BIN)/python "$$file" $(FUZZ_ARGS) || exit 1; \
	done

grade: $(PLUGINS) $(TOOLS)
	@$(BIN)/python tools/grade

clean:
	rm -rf $(VENV) build dist docs/_build *.egg-info .mypy_cache .ruff_cache .pytest_cache \
	    .import_linter_cache .hypothesis .tox .coverage twisted/plugins/dropin.cache \
	    tests/integration/mqttjs/node_modules
	find mqttd tests twisted tools docs benchmarks -name __pycache__ -prune -exec rm -rf {} +
