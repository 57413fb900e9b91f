# SPDX-License-Identifier: Apache-2.0
# A short face over Meson: `make` leaves the program at build/quern.

BUILD ?= build
PREFIX ?= /usr/local
PACKAGES = gcc meson ninja-build pkg-config libjansson-dev libyaml-dev libxxhash-dev zlib1g-dev \
	libzstd-dev libsqlite3-dev libssl-dev libsodium-dev libcmocka-dev node-llhttp python3 curl openssl

.PHONY: all deps build demo test check check-all coverage valgrind lint format install clean

all: build

# Installs only what is missing, so that a prepared machine needs neither network nor root.
deps:
	@tools/install_deps.sh $(PACKAGES)

build: deps
	@[ -f $(BUILD)/build.ninja ] || meson setup $(BUILD) --prefix $(PREFIX) >/dev/null
	@ninja -C $(BUILD) --quiet
	@ln -sf src/cli/quern $(BUILD)/quern

demo: build
	@tools/demo.sh $(BUILD)/quern

# The suite of everyday, then the end-to-end tests; the last line counts them.
test: build
	@tools/run_tests.sh $(BUILD)

check: build
	@tools/run_tests.sh $(BUILD) check

check-all: build lint
	@tools/check_all.sh

# Branches of the parsers that the unit tests take: a line per file, 90 % or more (needs gcovr).
coverage:
	@tools/coverage.sh

# Every test program under valgrind: many minutes.
valgrind:
	@tools/valgrind.sh

lint:
	@tools/lint.sh

format:
	@git ls-files '*.c' '*.h' | xargs clang-format-14 -i

install: build
	@meson install -C $(BUILD) --no-rebuild

clean:
	rm -rf $(BUILD)
