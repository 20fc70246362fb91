# make demo    publish a small installer to an embedded tenant, three times, and look at what happens
# make test    everything the tests need, then the tests
# make quick   the linters and the tests that need no process, network or disk worth the name: before each commit
# make coverage  which lines of the library no test runs; fails below 90 %
# make lint    ruff, mypy, vermin, import-linter, biome (the pages' CSS and JavaScript)
# make examples  write again what is made from code: the example config, the JSON Schemas, processor-info, the picture
# make docs    the site from the Markdown, into build/site/public; nothing is fetched but its generator
# make seal     after a change in shared/, audit/, requirements/: write what KandjiUploader.py lets run (SHA256SUMS and its digest)
# make requirements  write the locked versions again (requirements/), from pyproject.toml; needs uv and the network
# make sbom     build the wheel, and write what it and the image are made of (build/sbom/, CycloneDX)
# make mutants  small changes of the rules, one at a time: does a test notice? Takes long (tools/mutants.sh)
# make orchestrators  run what docs/many-machines.md shows for Celery, Prefect and Airflow, with the real ones
# make bench   the benchmarks; writes docs/performance.md
# make instructions  count what the hot paths take, with valgrind, and keep it for the tests

PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11 python3.10; do \
	command -v $$python >/dev/null 2>&1 && $$python -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null \
	&& echo $$python && exit; done; echo python3)
PYTHON310 ?= $(shell for python in python3.10 $(HOME)/.pyenv/versions/3.10.*/bin/python; do \
	$$python -c '' 2>/dev/null && echo $$python && exit; done)
TESTS ?= tests
WORKERS ?= 3
SPREAD = -n $(WORKERS) --dist worksteal
# What leans on the standard library: formats, argparse, processes, signals, locks, HTTP. All tests run under Python 3.10,
# which is AutoPkg's: no other runs the processor.
NEWER = tests/http tests/installer tests/util tests/kandji/test_page.py tests/kandji/test_transport.py \
	tests/kandji/test_upload_form.py tests/state/test_signatures.py tests/state/test_state.py \
	tests/cli/test_api.py tests/cli/test_completion.py tests/cli/test_documents.py
# The tests of pure rules; each folder or file of them takes about a second.
PURE = tests/plan tests/report tests/docs/test_house.py tests/docs/test_documents.py \
	tests/promotion/test_rules.py tests/promotion/test_conditions.py \
	tests/settings/test_ladder.py tests/settings/test_values.py tests/settings/test_maps.py \
	tests/settings/test_hosts.py tests/settings/test_environment.py tests/homebrew/test_find.py \
	tests/installer/test_kinds.py tests/installer/test_zip.py tests/installer/test_package.py
# Without its bytecode every start of the program, of which the tests make hundreds, would compile it anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test quick test-pure test-quick coverage lint examples docs seal requirements sbom mutants orchestrators bench instructions clean

demo:
	@tools/venv.sh .venv-demo $(PYTHON) -e .
	@.venv-demo/bin/kandji-uploader demo

test: .venv-ready
	@tools/test-programs.sh
ifneq ($(PYTHON310),)
	@tools/venv.sh .venv310 $(PYTHON310) -e . --group dev
	@echo "== $(PYTHON): what a newer Python could change (CONTRIBUTING.md)"
	.venv/bin/python -m pytest -q $(SPREAD) -m "not slow" -k "not fuzz" $(NEWER)
	@echo "== Python 3.10 (AutoPkg's): all tests"
	.venv310/bin/python -m pytest $(SPREAD) $(TESTS)
else
	@echo "== no Python 3.10 here: all tests, under $(PYTHON)"
	.venv/bin/python -m pytest $(SPREAD) $(TESTS)
endif

quick: .venv-ready
	@$(MAKE) --no-print-directory -j 2 lint test-pure

test-pure: .venv-ready
	.venv/bin/python -m pytest -q -n 0 $(PURE)

test-quick: .venv-ready
	.venv/bin/python -m pytest -q $(SPREAD) -m "not slow" $(TESTS)

# What is slow runs the same lines many times.
coverage: .venv-ready
	.venv/bin/python -m pytest -q $(SPREAD) -m "not slow" --cov --cov-report=term:skip-covered --cov-fail-under=90 $(TESTS)

lint: .venv-ready
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/vermin --quiet --no-tips --target=3.10- --violations KandjiUploader.py shared
	.venv/bin/lint-imports
	tools/biome/run.sh lint --error-on-warnings --skip=suspicious/noRedundantUseStrict shared/kandji_uploader

bench: .venv-ready
	.venv/bin/python -m benchmarks

instructions: .venv-ready
	@for python in .venv .venv310; do test ! -x $$python/bin/python || \
		$$python/bin/python -m benchmarks.instructions --keep || exit; done

mutants:
	@tools/venv.sh .venv-mutants $(PYTHON) -e . --group dev --group mutants
	tools/mutants.sh $(MODULES)

orchestrators:
	@tools/venv.sh .venv-orchestrators $(PYTHON) -e ".[signing]" --group orchestrators
	.venv-orchestrators/bin/python -m pytest tests/tenants/test_machines_page.py

examples: .venv-ready
	.venv/bin/kandji-uploader config --example > examples/config.yaml
	for name in config recipe_map package_map tenants; do \
		.venv/bin/kandji-uploader schema $$name > examples/$$name.schema.json || exit; done
	.venv/bin/python tools/picture.py
	.venv/bin/python tools/man.py
	.venv/bin/python tools/completion.py
	.venv/bin/python tools/processor_info.py
	.venv/bin/python tools/processor_page.py
	.venv/bin/python tools/terminal_picture.py

docs:
	@tools/venv.sh .venv-docs $(PYTHON) --group docs
	.venv-docs/bin/python tools/site.py

seal:
	@$(PYTHON) tools/seal.py

LOCK = uv pip compile --quiet --upgrade --generate-hashes --custom-compile-command "make requirements"
LOCK_ALL = $(LOCK) pyproject.toml --extra signing --constraints requirements/constraints.txt
IMAGE = --python-platform linux --python-version 3.13

requirements:
	@command -v uv >/dev/null || { echo "uv is not on PATH; install it: pipx install uv"; exit 1; }
	$(LOCK_ALL) --universal --python-version 3.10 \
		--output-file requirements/autopkg.txt
	$(LOCK_ALL) --extra notify --constraints requirements/autopkg.txt --universal --python-version 3.10 \
		--output-file requirements/notify.txt
	$(LOCK_ALL) $(IMAGE) --output-file requirements/image.txt
	$(LOCK) $(IMAGE) requirements/build.in --output-file requirements/build.txt
	$(MAKE) seal

sbom: .venv-ready
	@rm -rf build/wheel
	.venv/bin/python -m pip wheel --quiet --no-deps --wheel-dir build/wheel .
	.venv/bin/python tools/sbom.py build/wheel/*.whl

clean:
	rm -rf .venv .venv310 .venv-demo .venv-docs .venv-orchestrators tools/biome/node_modules .coverage* .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache build dist

.PHONY: .venv-ready
.venv-ready:
	@tools/venv.sh .venv $(PYTHON) -e . --group dev
