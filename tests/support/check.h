/* SPDX-License-Identifier: Apache-2.0 */
/* What every unit test includes: cmocka under short names, and the no-memory sweep. */
#ifndef TESTS_SUPPORT_CHECK_H
#define TESTS_SUPPORT_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/number.h"

#define CHECK(condition) assert_true(condition)
#define CHECK_OK(call)                                                            \
    do {                                                                          \
        if ((call) != QN_OK) fail_msg("%s is not QN_OK: %s", #call, err.message); \
    } while (0) /* needs a qn_error called `err` in scope */
#define CHECK_FAILS(status, call) assert_int_equal(call, status)
#define CHECK_CONTAINS(text, part)                                                       \
    do {                                                                                 \
        if (!strstr(text, part)) fail_msg("\"%s\" does not contain \"%s\"", text, part); \
    } while (0)
#define CHECK_TEXT(actual, expected) assert_string_equal(actual, expected)
#define CHECK_INT(actual, expected) assert_int_equal(actual, expected)
#define CHECK_NEAR(actual, expected, tolerance)                                                   \
    do {                                                                                          \
        const double a_ = (actual), e_ = (expected);                                              \
        if (!(fabs(a_ - e_) <= (tolerance))) fail_msg("%s is %.17g, not %.17g", #actual, a_, e_); \
    } while (0)

/* Makes each allocation of `call` fail in turn, until one run makes no more of them. Failures must
 * be QN_ERR_NOMEM; LeakSanitizer shows that every way out is clean. The result of the last, good
 * run is the test's to release. */
#define CHECK_SURVIVES_NO_MEMORY(call)  \
    CHECK_SURVIVES_NO_MEMORY_RELEASING( \
        call, fail_msg("%s does not need allocation %d", #call, (int)nth_))

/* As above for a call that may succeed without an allocation it asked for, such as one that only
 * returns what was kept for growth: `release` then frees its result. */
#define CHECK_SURVIVES_NO_MEMORY_RELEASING(call, release)            \
    do {                                                             \
        for (int64_t nth_ = 1;; nth_++) {                            \
            qn_alloc_fail_at(nth_, false);                           \
            const qn_status status_ = (call);                        \
            const bool failed_ = qn_alloc_fail_at(0, false) >= nth_; \
            if (!failed_) {                                          \
                assert_int_equal(status_, QN_OK);                    \
                break;                                               \
            }                                                        \
            if (status_ == QN_OK) {                                  \
                release;                                             \
            } else {                                                 \
                assert_int_equal(status_, QN_ERR_NOMEM);             \
            }                                                        \
            assert_true(nth_ < 1000000);                             \
        }                                                            \
    } while (0)

#define TEST(name) cmocka_unit_test(name)
#define RUN_TESTS(...)                                     \
    int main(void)                                         \
    {                                                      \
        const struct CMUnitTest tests_[] = {__VA_ARGS__};  \
        return cmocka_run_group_tests(tests_, NULL, NULL); \
    }

#endif
