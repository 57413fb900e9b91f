#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes src/base/powers_of_ten.c: the first 128 bits of the powers of ten, cut off.

usage: make_power_table.py > src/base/powers_of_ten.c"""
MIN, MAX = -342, 324


def leading_bits(power):
    """floor(10^power * 2^s), s such that 2^127 <= result < 2^128."""
    if power >= 0:
        value = 10**power
        return value << 128 >> value.bit_length()
    divisor = 10**-power
    bits = (1 << (divisor.bit_length() + 128)) // divisor
    return bits >> (bits.bit_length() - 128)


print("/* SPDX-License-Identifier: Apache-2.0 */")
print("/* Written by tools/make_power_table.py. */")
print('#include "base/powers_of_ten.h"')
print()
print("/* clang-format off */")
print("const qn_power_of_ten qn_powers_of_ten[QN_POWER_MAX - QN_POWER_MIN + 1] = {")
for power in range(MIN, MAX + 1):
    bits = leading_bits(power)
    print("    {0x%016x, 0x%016x}," % (bits >> 64, bits & (1 << 64) - 1))
print("};")
print("/* clang-format on */")
