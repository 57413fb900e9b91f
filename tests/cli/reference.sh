# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# docs/cli.md is what the program says of itself: quern help --reference >docs/cli.md
quern help --reference | diff "$QUERN_SOURCE/docs/cli.md" - && echo same
# docs/learners.md is the same of the learners: quern learners --reference >docs/learners.md
quern learners --reference | diff "$QUERN_SOURCE/docs/learners.md" - && echo same
