# A thin front for Meson: `make help` lists what there is.
#
#   BUILD=DIR     build directory (default build)
#   PREFIX=DIR    where `make install` puts the tree (default /usr/local); DESTDIR is honoured
#   TESTS='...'   names of tests for `make test` (default all)

BUILD ?= build
PREFIX ?= /usr/local
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

# Debian's Meson before any other on the PATH: one that a version manager put there may lack its Python.
MESON = $$(if [ -x /usr/bin/meson ]; then echo /usr/bin/meson; else command -v meson; fi)
VERSION = $(shell sed -n "s/^ *version: '\(.*\)',$$/\1/p" meson.build)

.PHONY: all help setup install demo test fuzz soak check-format format lint sanitize bundle clean

all: setup
	@test -f $(BUILD)/build.ninja || $(MESON) setup $(BUILD) $(MESON_OPTIONS)
	@$(MESON) compile -C $(BUILD)

help:
	@echo 'make                     build into $(BUILD)/'
	@echo 'make demo                start everything, run CUDA programs in twenty VMs, show the panel, stop'
	@echo 'make test                build and run all tests; TESTS="NAME ..." for some'
	@echo 'make install PREFIX=DIR  install below DIR (default /usr/local; DESTDIR is honoured)'
	@echo 'make setup               install what the build needs (Debian; other targets call it)'
	@echo 'make check-format        check the C sources against .clang-format; make format mends them'
	@echo 'make lint                clang-tidy, cppcheck, shellcheck'
	@echo 'make fuzz SECONDS=600    a hostile guest that does random things'
	@echo 'make soak MINUTES=120    mixed load of 16 guests, and nothing may grow'
	@echo 'make sanitize            tests with address, undefined-behaviour and thread sanitizers'
	@echo 'make bundle              dist/vgpu-$(VERSION)-x86_64-linux.tar.gz, runs from any directory'
	@echo 'make clean               remove $(BUILD)/ and what the other targets made'

setup:
	@tools/setup

install: all
	@$(MESON) configure $(BUILD) -Dprefix=$(abspath $(PREFIX))
	@$(MESON) install -C $(BUILD) --quiet $(if $(DESTDIR),--destdir $(abspath $(DESTDIR)))
	@echo 'installed below $(DESTDIR)$(abspath $(PREFIX))'

demo: all
	@/usr/bin/python3 tools/demo $(BUILD)

test: all
	@tools/setup --optional || echo 'some tests will be left out'
	@tools/setup --vm=$(BUILD)/vm || echo 'the tests in a virtual machine will be left out'
	@tools/run-tests $(BUILD) $(TESTS)

# SECONDS of random attacks by a guest, with WINDOW=1 through a window; the seed is printed, and SEED=N repeats a run.
fuzz: all
	@/usr/bin/python3 tests/system/hostile/test_hostile.py --build=$(BUILD) --fuzz=$(or $(SECONDS),600) \
	    $(if $(SEED),--seed=$(SEED)) $(if $(WINDOW),--window)

# MINUTES of mixed load on the simulated driver; SEED=N repeats a run.
soak: all
	@/usr/bin/python3 tests/gpu/soak --build=$(BUILD) --minutes=$(or $(MINUTES),120) $(if $(SEED),--seed=$(SEED))

check-format:
	@tools/setup --lint
	@tools/check-format

format:
	@tools/setup --lint
	@tools/check-format --fix

lint: all
	@tools/setup --lint
	@tools/lint --build=$(BUILD)

sanitize: setup
	@tools/sanitize

bundle: all
	@tools/setup --bundle
	@packaging/bundle $(BUILD) $(VERSION)

clean:
	rm -rf $(BUILD) build-asan build-tsan build-bundle dist
