# `make run` and `make test` set themselves up; `make setup` does only that. A second call installs nothing again.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PRESET ?= quickstart
READY := $(VENV)/.ready

.PHONY: run test lint setup wheel-test flink-test postgres-test storage-test parity browser-test reliability-test lock clean

run: $(READY)
	$(BIN)/faceloom run $(PRESET)

# A file of tests stays in one process: its fixtures are made once. Files keep their order, so that property-based tests run
# before flows, whose libraries leave threads behind that draw random numbers. Four processes are 6 GB of TensorFlow at most.
test: $(READY)
	$(BIN)/python -m pytest -n auto --maxprocesses=4 --dist=loadfile --no-loadscope-reorder

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

setup: $(READY)

# uv installs in seconds what takes pip minutes; both check every hash, and neither file names a host. Compiling takes half
# a minute once; without, and where Python may not write bytecode (PYTHONDONTWRITEBYTECODE, as in many containers), every
# start of Beam, Prefect or TensorFlow takes two to three times as long.
$(READY): requirements.lock requirements-uv.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
		|| { echo "faceloom needs Python 3.11 to 3.13; name one with: make PYTHON=python3.11 ..." >&2; exit 2; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null \
		|| { echo "Python's venv module is missing; on Debian: apt-get install python3-venv" >&2; exit 2; }
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-uv.lock
	$(BIN)/uv pip sync --quiet --compile-bytecode --python $(BIN)/python --require-hashes requirements.lock requirements-uv.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

# Builds the wheel, installs it into an empty environment outside the checkout, and runs the smallest preset there.
wheel-test: $(READY)
	.ci/wheel-test $(BIN)

# The same job on Flink, for real, with a task manager killed. Needs Java 17 and Maven; about 5 minutes.
# SOURCE=celeba, BEAM_JAVA=2.77.0 and FLINK=1.20 choose otherwise.
flink-test: $(READY)
	$(BIN)/python -m tests.flink.run $(if $(SOURCE),--source $(SOURCE)) \
		$(if $(BEAM_JAVA),--beam-java $(BEAM_JAVA)) $(if $(FLINK),--flink $(FLINK))

# Every kind of bad night with real processes: kills at each stage, lost machines, a server that is away, full disks, damaged
# files, clocks that jump. About 40 minutes; a jumping clock needs a C compiler, small disks root.
reliability-test: $(READY)
	FACELOOM_LONG_TESTS=1 $(BIN)/python -m pytest -v tests/reliability

# A team's server with PostgreSQL and two workers, for real, of which parts are killed. Needs PostgreSQL (on Debian:
# apt-get install postgresql); about 10 minutes. KEEP=1 keeps logs and data, ONLY="worker server database" chooses.
postgres-test: $(READY)
	$(BIN)/python -m tests.postgres.run $(if $(KEEP),--keep) $(if $(ONLY),--only $(ONLY))

# Object storage against real servers, in an environment of its own: Moto's S3, and with Go (1.24 or newer) also Versity's
# S3 gateway and an emulator of Google Cloud Storage. About 6 minutes.
STORAGE := $(VENV)/storage
STORAGE_READY := $(STORAGE)/.ready
storage-test: $(STORAGE_READY)
	$(STORAGE)/bin/python -m pytest tests/storage

$(STORAGE_READY): $(READY)
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(STORAGE)
	$(BIN)/uv pip install --quiet --python $(STORAGE)/bin/python --require-hashes -r requirements.lock
	grep -E '^[a-z0-9]' requirements.lock | sed 's/ *\\$$//' >$(STORAGE)/constraints.txt
	$(BIN)/uv pip install --quiet --python $(STORAGE)/bin/python --constraint $(STORAGE)/constraints.txt \
		--no-build-isolation --editable '.[storage-test]'
	if command -v go >/dev/null; then \
		GOBIN=$$(realpath $(STORAGE)/bin) go install github.com/versity/versitygw/cmd/versitygw@v1.8.0 && \
		GOBIN=$$(realpath $(STORAGE)/bin) go install github.com/fsouza/fake-gcs-server@v1.56.1; fi
	@touch $@

# Formulas, network and resizings against the tools that others use, in an environment of its own; WRITE=1 keeps their
# values as the golden ones of `make test`. About 5 GB of PyTorch, and then some minutes.
PARITY := $(VENV)/parity
PARITY_READY := $(PARITY)/.ready
parity: $(PARITY_READY)
	$(PARITY)/bin/python -m tests.parity.run $(if $(WRITE),--write)
	$(BIN)/python -m tests.parity.inception --peers-python $(PARITY)/bin/python $(if $(WRITE),--write)

$(PARITY_READY): $(READY)
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(PARITY)
	$(BIN)/uv pip install --quiet --python $(PARITY)/bin/python torch-fidelity==0.4.0 prdc==0.2 \
		pytorch-fid==0.3.0 clean-fid==0.1.35 scipy torch torchvision
	@touch $@

# The report's pages and Prefect's UI in a real browser, in an environment of its own. Needs Chromium: `chromium` on the PATH, or
# CHROMIUM=/path/to/it. About two minutes.
BROWSER := $(VENV)/browser
BROWSER_READY := $(BROWSER)/.ready
browser-test: $(BROWSER_READY)
	$(BROWSER)/bin/python -m pytest tests/browser

$(BROWSER_READY): $(READY)
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(BROWSER)
	$(BIN)/uv pip install --quiet --python $(BROWSER)/bin/python --require-hashes -r requirements.lock
	grep -E '^[a-z0-9]' requirements.lock | sed 's/ *\\$$//' >$(BROWSER)/constraints.txt
	$(BIN)/uv pip install --quiet --python $(BROWSER)/bin/python --constraint $(BROWSER)/constraints.txt \
		--no-build-isolation --editable '.[browser-test]'
	@touch $@

# Only when a bound in pyproject.toml changes: resolves again for every supported Python.
lock: $(READY)
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --extra dev --generate-hashes \
		--no-emit-index-url --no-header pyproject.toml -o requirements.lock
	echo "uv==$$($(BIN)/uv --version | cut -d' ' -f2)" | $(BIN)/uv pip compile --quiet --universal \
		--python-version 3.11 --generate-hashes --no-emit-index-url --no-header - -o requirements-uv.lock

clean:
	rm -rf $(VENV) dist .mypy_cache .ruff_cache .pytest_cache
