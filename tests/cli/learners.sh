# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# The list of learners, and the parameters of one with every type of them.
try quern learners
try quern learners mlp
try quern learners no_such_learner
