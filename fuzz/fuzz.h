/* SPDX-License-Identifier: Apache-2.0 */
/* What libFuzzer calls; replay.c calls it with the files of a corpus. */
#ifndef FUZZ_FUZZ_H
#define FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

#endif
