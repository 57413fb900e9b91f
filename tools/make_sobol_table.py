#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes src/search/samplers/sobol_directions.c: the primitive polynomials and initial direction numbers of
Joe & Kuo (2008), new-joe-kuo-6.21201, as SciPy carries them, for the first 256 dimensions.

usage: make_sobol_table.py > src/search/samplers/sobol_directions.c"""
import pathlib

import numpy
import scipy.stats

N_DIMENSIONS = 256
folder = pathlib.Path(scipy.stats.__file__).parent
table = numpy.load(folder / "_sobol_direction_numbers.npz")
degrees = [int(p).bit_length() - 1 for p in table["poly"][:N_DIMENSIONS]]
assert max(degrees) <= 11
print("/* SPDX-License-Identifier: Apache-2.0 */")
print("/* Written by tools/make_sobol_table.py: primitive polynomials and initial direction numbers of")
print(" * Joe & Kuo, \"Constructing Sobol sequences with better two-dimensional projections\", SIAM J.")
print(" * Sci. Comput. 30 (2008), file new-joe-kuo-6.21201. The first row is van der Corput's. */")
print('#include "search/samplers/sobol_directions.h"')
print()
print("/* clang-format off */")
print("const uint16_t qn_sobol_directions[QN_SOBOL_DIMENSIONS][QN_SOBOL_DEGREE_MAX + 1] = {")
for i in range(N_DIMENSIONS):
    numbers = [int(table["poly"][i])] + [int(v) for v in table["vinit"][i][:degrees[i]]]
    print("    {" + ", ".join(map(str, numbers)) + "},")
print("};")
print("/* clang-format on */")
