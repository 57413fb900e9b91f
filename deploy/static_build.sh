#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds the program as one file that needs no library: static_build.sh SOURCE BUILD. Host names are
# resolved only where the C library of the build is installed; give addresses as numbers.
set -eu
meson setup "$2" "$1" --prefer-static -Dbuildtype=release -Ddefault_library=static \
    -Dc_link_args=-static
ninja -C "$2" src/cli/quern
