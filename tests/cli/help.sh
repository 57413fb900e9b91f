# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# The overview and the help of every command; both ways of asking give the same.
try quern help
for verb in $(quern help --completion | cut -d ' ' -f 1); do
    try quern help "$verb"
    [ "$verb" = help ] && continue
    quern "$verb" --help | cmp - <(quern help "$verb") || exit 1
done
