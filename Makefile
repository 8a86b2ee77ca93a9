# One command each, on a machine with Python 3.11-3.13 and make. Everything heavier is Snakemake (see README.md).

CORES = all
PROFILE = profiles/demo.yaml
ARGS =

V = .venv/bin/python

# A container's user may have no home to write into: Snakemake, Jupyter and matplotlib would fail or complain
ifneq ($(shell [ -w "$$HOME" ] || mkdir -p build/home && [ -w "$$HOME" ] || echo no),)
export HOME := $(CURDIR)/build/home
export UV_NO_CACHE = 1
endif
# ... nor a name, which Snakemake asks for
ifneq ($(shell id -un >/dev/null 2>&1 || echo no),)
export USER = nobody
endif

.PHONY: help book again test lint lab lock clean setup

help:
	@echo 'make book    run the profile and build the report: book/_build/html/index.html'
	@echo 'make again RUN=study/run PROFILE=profiles/X.yaml   train recorded runs anew: those of results/RUN, which may hold a *'
	@echo 'make test    linters, then the tests but the slow ones (ARGS="-k name" for some, slow or not)'
	@echo 'make test SLOW=1  all tests, as .ci/run runs them; COVERAGE=1: and how many lines of each room they ran'
	@echo 'make lint    ruff, the order of the rooms, types'
	@echo 'make lab     open JupyterLab in this folder'
	@echo 'make lock    resolve pyproject.toml into requirements.lock again'
	@echo 'make clean   remove executed pages, the built report and caches; runs and their records stay'
	@echo
	@echo 'Variables: CORES=$(CORES) PROFILE=$(PROFILE)'

# The lock is held while Snakemake runs and given up by the system however it ends: a second "make book" is told to wait, and
# a killed one leaves nothing to clear away. So Snakemake's own lock, which a kill leaves behind, is not needed.
book: setup
	@$(V) -c "$$BOOK_PY" --cores $(CORES) --configfile "$(PROFILE)" --nolock --rerun-incomplete --quiet host rules -- book
	@echo 'The report: book/_build/html/index.html'

define BOOK_PY
import sys
from snakemake.cli import main
from repro.experiment.profile import require_profile
from repro.files import only_one
try:
    require_profile(sys.argv[sys.argv.index("--configfile") + 1])
    with only_one("build/lock"):
        main()
except (BlockingIOError, FileNotFoundError) as error:
    sys.exit(f"make book: {error}")
endef
export BOOK_PY

# Runs that are not as git has them were trained already or stopped: called once more it goes on. A profile that makes none of
# them is told of before anything is deleted.
again: setup
	@records=$$(git ls-files -- 'results/$(RUN)/record.json'); \
	[ -n "$$records" ] || { echo 'make again: git has no results/$(RUN)/record.json; RUN is study/run, as the folders of results/' >&2; exit 2; }; \
	$(SNAKEMAKE) --dry-run --force --quiet all -- $$records >/dev/null || exit; \
	for record in $$records; do run=$${record%/record.json}; \
		! git diff --quiet -- $$run || rm -rf $$run build/runs/$${run#results/}; \
	done; \
	$(SNAKEMAKE) --quiet host rules -- $$records

SNAKEMAKE = .venv/bin/snakemake --cores $(CORES) --configfile "$(PROFILE)" --rerun-incomplete

PYTEST = -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder $(if $(SLOW)$(ARGS),,-m 'not slow') $(ARGS)

# COVERAGE=1 adds a table of the lines that the tests ran, a row a room; on Python 3.11 tracing makes plain Python 1.4 times
# as slow, so it is asked for once a run of .ci/run
test: lint
	@rm -rf build/coverage && mkdir -p build/coverage
	@$(V) $(if $(COVERAGE),-m coverage run) $(PYTEST); status=$$?; $(if $(COVERAGE),$(V) tests/coverage_by_room.py;) exit $$status

lint: setup
	$(V) -m ruff check
	$(V) -m ruff format --check
	.venv/bin/lint-imports
	.venv/bin/mypy --no-error-summary

lab: setup
	$(V) -m jupyterlab --notebook-dir .

lock: setup
	.venv/bin/uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate --python-version 3.11 \
		--extra test --extra export --extra slurm pyproject.toml -o requirements.lock

clean:
	rm -rf build/pages build/book book/_build .pytest_cache .ruff_cache .import_linter_cache .mypy_cache

# .venv as requirements.lock says. The stamp, written last, names the lock, pyproject.toml, this folder and the Python that
# it was made for. Without one (a killed install) .venv is made anew; with another one it is brought up to date in place.
setup:
	@now=$$($(V) -c "$$STAMP_PY" 2>/dev/null) && [ "$$now" = "$$(cat .venv/stamp 2>/dev/null)" ] || $(MAKE) --no-print-directory .venv

define STAMP_PY
import hashlib, os, sys
files = b"".join(open(name, "rb").read() for name in ("requirements.lock", "pyproject.toml"))
print(hashlib.sha256(files + repr((os.getcwd(), sys.version)).encode()).hexdigest())
endef
export STAMP_PY

.PHONY: .venv
.venv:
	@if [ -f .venv/stamp ] && $(V) -c "$$FITS_PY"; then \
		echo 'Bringing .venv up to date'; \
	else \
		echo 'Making .venv: a download of about 3 GB'; \
		for python in python3.13 python3.12 python3.11 python3 python ''; do \
			[ -z "$$python" ] || ! $$python -c "$$FITS_PY" >/dev/null 2>&1 || break; \
		done; \
		[ -n "$$python" ] || { echo 'No Python 3.11, 3.12 or 3.13 with venv and pip found (on Debian: apt-get install python3-venv)' >&2; exit 1; }; \
		rm -rf .venv && $$python -m venv .venv; \
	fi
	@rm -f .venv/stamp
	@# uv itself first, the lock's version with the lock's hashes
	@sed -n '/^uv==/,/[^\\]$$/p' requirements.lock > .venv/uv.txt
	@$(V) -m pip install --quiet --disable-pip-version-check --require-hashes -r .venv/uv.txt
	@# a proxy with a certificate of its own is known to the system, not to uv
	@export VIRTUAL_ENV=.venv; \
	sync() { .venv/bin/uv pip sync --quiet --require-hashes requirements.lock && .venv/bin/uv pip install --quiet --no-deps --editable .; }; \
	sync || { echo "Once more, with the system's certificates" >&2; export UV_SYSTEM_CERTS=1; sync; }
	@$(V) -c "$$STAMP_PY" > .venv/stamp.new && mv .venv/stamp.new .venv/stamp

define FITS_PY
import ensurepip, sys, venv
sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))
endef
export FITS_PY
