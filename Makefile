# ecgvis: two commands on a fresh machine.
#   make study                        simulate a data set, train with one seed for six epochs, evaluate, report
#   make study DATA=/path/recordings  the same on real recordings, whatever their kind, with three seeds
#   make test                         run every notebook: examples and tests
#   make test-slow [PAGES=NOTEBOOKS]  cells marked slow as well; .ci/slow.csv keeps what became of them
# and for those who change it:
#   make outputs                      execute the notebooks whose outputs are older than their code
#   make check                        what a reviewer would ask first
#   make docs                         the site, in _docs/: by Quarto where it is on PATH, else by nbconvert
#   make example                      the study of .ci/site/example.yaml, and the site with its report
#   make measure BEFORE=CHECKOUT      the marks of the house, beside those of another checkout
#   make bench-gpu                    measure a GPU, in a fresh environment, and keep it in nbs/bench/gpu.ipynb;
#                                     GPU=FILE.json shows what was measured elsewhere, there by
#                                     python -m ecgvis.study.gpu FILE.json (eight minutes at most, no network)
PYTHON ?= python3
VENV   ?= .venv
BIN     = $(VENV)/bin
DATA   ?=
OUT    ?= runs
ARGS   ?=
PAGES  ?=

EXAMPLE ?= runs/example
GPU    ?=

.PHONY: study test test-slow outputs docs example check measure bench-gpu .bench-gpu install readme clean

study: $(VENV)/.installed
	$(BIN)/ecgvis study $(if $(DATA),--data "$(DATA)",--seeds 1 --epochs 6) --out "$(OUT)" $(ARGS)

test: $(VENV)/.installed-dev
	OMP_NUM_THREADS=1 $(BIN)/nbdev_test --path nbs --skip_file_re '^[_.]|^50_submission' --n_workers 2 --timing
	OMP_NUM_THREADS=1 $(BIN)/nbdev_test --path nbs/95_study/50_submission.ipynb --n_workers 1 --timing # two nodes of its own

test-slow: $(VENV)/.installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python .ci/test.py --slow $(ARGS) $(PAGES)

outputs: $(VENV)/.installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python .ci/pages.py run

docs: $(VENV)/.installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python .ci/site.py build _docs $(EXAMPLE)/report

example: $(VENV)/.installed-dev
	OMP_NUM_THREADS=1 $(BIN)/ecgvis study .ci/site/example.yaml --jobs 2 --out "$(dir $(EXAMPLE))" --name "$(notdir $(EXAMPLE))" $(ARGS)
	$(MAKE) docs

measure: $(VENV)/.installed-dev
	PATH="$(abspath $(BIN)):$$PATH" python .ci/measure.py $(BEFORE) .

bench-gpu:
	rm -rf $(VENV)-gpu
	$(MAKE) VENV=$(VENV)-gpu .bench-gpu

.bench-gpu: $(VENV)/.installed-dev
	OMP_NUM_THREADS=1 ECGVIS_GPU="$(if $(GPU),$(abspath $(GPU)))" PATH="$(abspath $(BIN)):$$PATH" $(BIN)/jupyter nbconvert --log-level WARN --to notebook --execute --inplace nbs/bench/gpu.ipynb
	$(BIN)/nbdev_clean --fname nbs/bench/gpu.ipynb

check: $(VENV)/.installed-dev
	PATH="$(abspath $(BIN)):$$PATH" .ci/check

readme: $(VENV)/.installed-dev
	$(BIN)/python .ci/readme.py README.md

install: $(VENV)/.installed

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: settings.ini setup.py pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[dev]"
	touch $@

clean:
	rm -rf $(VENV) $(VENV)-gpu build dist *.egg-info
