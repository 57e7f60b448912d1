.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
RESULTS := ../$(notdir $(CURDIR))-results
MUTATE ?=  # for make mutate: mutants to try, pipeline.corpus.select* for example; all without it
# Stages call `python`: the one of this project, whether or not .venv is activated.
export PATH := $(CURDIR)/.venv/bin:$(PATH)

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: .venv/ready  ## make .venv with every package at its pinned version

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, e.g. make setup PYTHON=python3.11")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet -c constraints.txt torch==2.13.0
	$(BIN)/pip install --quiet -c constraints.txt -e '.[dev]'
	sh .ci/chromium
	touch .venv/ready

lock: setup  ## write constraints.txt anew from what a fresh set-up would resolve to; needs the network
	mkdir -p work
	$(BIN)/pip install --quiet --dry-run --ignore-installed --report work/lock.json torch==2.13.0 -e '.[dev]'
	$(BIN)/python .ci/lock.py < work/lock.json > constraints.txt

report: setup  ## run what has changed (dvc repro) and print where the page is
	$(BIN)/python -m pipeline validate
	$(BIN)/dvc repro
	@echo "Open $(CURDIR)/reports/index.html"

check: setup  ## format, lint, types and the fast tests without real text: about two minutes
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	OMP_NUM_THREADS=1 $(BIN)/pytest -q -n 2 -m 'not slow and not realdata'

test: setup  ## all tests, the slow ones too
	OMP_NUM_THREADS=1 $(BIN)/pytest -q -n 2

results: setup  ## the run of docs/results.md, in a folder beside this one; needs ../shared/data, half an hour
	git worktree add --force --detach $(RESULTS)
	rm -r $(RESULTS)/reports/metrics
	cp params/e5-local.yaml $(RESULTS)/params.yaml
	cd $(RESULTS) && for stage in sources corpus links "extract e5" "align e5" "intervene e5" claims; do \
	  python -m pipeline.stages.$$stage || exit 1; done
	rm -rf reports/results/e5-small && mkdir -p reports/results
	mv $(RESULTS)/reports/metrics reports/results/e5-small
	git worktree remove --force $(RESULTS)

docs: setup  ## the documents as a site, work/site/index.html
	$(BIN)/python -m mkdocs build --strict --quiet
	@echo "Open $(CURDIR)/work/site/index.html"

studies: setup  ## answer the paper's open questions anew: half an hour each on two cores; goes on where it was stopped
	for study in $$($(BIN)/python -c 'from typing import get_args; from pipeline.params import StudyName; print(*get_args(StudyName))'); \
	do $(BIN)/python -m pipeline.stages.study $$study || exit 1; done

plots: setup  ## draw curves and losses (dvc plots show) on a page that needs no network
	$(BIN)/pip install --quiet -c constraints.txt -e '.[plots]'
	$(BIN)/python .ci/plots_page.py > .dvc/plots/page.html
	$(BIN)/dvc config --local plots.html_template plots/page.html
	$(BIN)/dvc plots show

bench: setup  ## ratios against plain references: reports/bench.json and docs/benchmarks.md; half an hour
	$(BIN)/python benchmarks/run.py

mutate: setup  ## change the code line by line and count the changes that no test notices; half an hour or more
	$(BIN)/pip install --quiet -c constraints.txt -e '.[mutate]'
	OMP_NUM_THREADS=1 $(BIN)/mutmut run $(MUTATE)
	$(BIN)/mutmut results

audit: setup  ## look up known security holes of the pinned packages; needs the network
	$(BIN)/pip install --quiet -c constraints.txt -e '.[audit]'
	$(BIN)/pip-audit --requirement constraints.txt --no-deps --disable-pip

.PHONY: help setup lock report check test results docs studies plots bench mutate audit
