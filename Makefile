# Everything a newcomer needs:   make run    make test
# The rest is for whoever works on it:   make check   make format   make lock   make clean

VENV    := .venv
PYTHON  := $(VENV)/bin/python
UV      := $(VENV)/bin/uv
WORKERS ?= 2
MAKEFLAGS += --jobs=2

# Hundreds of processes import the same modules: each is compiled once, whatever the shell says.
unexport PYTHONDONTWRITEBYTECODE

PAGE    := $(shell find web/src web/session web/public web/index.html web/*.ts 2>/dev/null)

.PHONY: run test pages check build screenshots format lock clean

run: $(VENV)/.run web/dist/index.html
	$(VENV)/bin/collab serve

test: check build pages $(VENV)/.services
	$(VENV)/bin/pytest -n $(WORKERS) --dist loadgroup

# The page, and the whole-session harness that the tests run in Node.
build: web/dist/index.html web/dist-session/session.js

# The page's own tests.
pages: web/node_modules/.stamp
	cd web && npm test

# Static checks: style, types, and the same for the page.
check: $(VENV)/.dev web/node_modules/.stamp
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	cd web && npm run --silent check

# The README's pictures, made from the real page.
screenshots: $(VENV)/.services web/dist/index.html
	$(PYTHON) web/tools/screenshots.py

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
	rm -rf $(VENV) web/node_modules web/dist web/dist-session .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(UV):
	python3 -m venv $(VENV)
	$(PYTHON) -m pip install -q --disable-pip-version-check uv

# The package includes the built page, also where it is installed in place.
$(VENV)/.run: requirements/run.txt pyproject.toml | $(UV) web/dist/index.html
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

web/dist/index.html: web/node_modules/.stamp $(PAGE)
	cd web && npm run --silent build

web/dist-session/session.js: web/node_modules/.stamp $(PAGE)
	cd web && npm run --silent build:session
