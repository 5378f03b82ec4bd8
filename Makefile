# Everything a newcomer needs:   make run    make test
# The rest is for whoever works on it:   make check   make format   make lock   make clean

VENV    := .venv
PYTHON  := $(VENV)/bin/python
UV      := $(VENV)/bin/uv
WORKERS ?= 2

.PHONY: run test check format lock clean

run: $(VENV)/.run web/dist/index.html
	$(VENV)/bin/collab serve

test: check $(VENV)/.services web/dist/index.html
	cd web && npm test
	$(VENV)/bin/pytest -n $(WORKERS) --dist loadgroup

# Static checks: style, types, and the same for the page.
check: $(VENV)/.dev web/node_modules/.stamp
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	cd web && npm run --silent check

format: $(VENV)/.dev web/node_modules/.stamp
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .
	cd web && npm run --silent format

# Pinned with hashes and without any index's address, so that the files hold everywhere.
lock: $(UV)
	$(UV) pip compile -q --upgrade --universal --generate-hashes --no-header --group build \
	  -o requirements/run.txt pyproject.toml
	$(UV) pip compile -q --upgrade --universal --generate-hashes --no-header --group build --group dev \
	  -c requirements/run.txt -o requirements/dev.txt pyproject.toml
	cd web && npm update --package-lock-only

clean:
	rm -rf $(VENV) web/node_modules web/dist .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(UV):
	python3 -m venv $(VENV)
	$(PYTHON) -m pip install -q --disable-pip-version-check uv

$(VENV)/.run: requirements/run.txt pyproject.toml | $(UV)
	$(UV) pip install -q --python $(PYTHON) --require-hashes -r requirements/run.txt
	$(UV) pip install -q --python $(PYTHON) --no-build-isolation --no-deps -e .
	touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.run
	$(UV) pip install -q --python $(PYTHON) --require-hashes -r requirements/dev.txt
	touch $@

# Browser tests drive the system's Chromium.
$(VENV)/.services: tests/services.sh | $(VENV)/.dev
	bash tests/services.sh
	touch $@

web/node_modules/.stamp: web/package-lock.json
	cd web && npm ci --no-audit --no-fund --loglevel=error
	touch $@

web/dist/index.html: web/node_modules/.stamp $(shell find web/src web/index.html web/vite.config.ts 2>/dev/null)
	cd web && npm run --silent build
