/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/http/content_coding.h"

#include "check.h"

static qn_span span(const char *text)
{
    return (qn_span){text, text ? strlen(text) : 0};
}

static void names_are_found(void **state)
{
    (void)state;
    CHECK_INT(qn_content_coding_of_body((qn_span){0}), QN_CODING_IDENTITY);
    CHECK_INT(qn_content_coding_of_body(span("identity")), QN_CODING_IDENTITY);
    CHECK_INT(qn_content_coding_of_body(span(" GZip ")), QN_CODING_GZIP);
    CHECK_INT(qn_content_coding_of_body(span("x-gzip")), QN_CODING_GZIP);
    CHECK_INT(qn_content_coding_of_body(span("deflate")), QN_CODING_DEFLATE);
    CHECK_INT(qn_content_coding_of_body(span("zstd")), QN_CODING_ZSTD);
    static const char *const unknown[] = {"", "br", "gzip, zstd", "gzip;q=1", "unknown"};
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
        CHECK_INT(qn_content_coding_of_body(span(unknown[i])), QN_CODING_UNKNOWN);
    }
}

static void replies_are_coded_as_clients_like(void **state)
{
    (void)state;
    static const struct {
        const char *accept;
        qn_coding coding;
    } cases[] = {{NULL, QN_CODING_IDENTITY},
                 {"", QN_CODING_IDENTITY},
                 {"gzip", QN_CODING_GZIP},
                 {"gzip, deflate, br, zstd", QN_CODING_ZSTD},
                 {"gzip, deflate", QN_CODING_GZIP},
                 {"zstd;q=0.5, gzip", QN_CODING_GZIP},
                 {"zstd;q=0.5,gzip;q=0.4", QN_CODING_ZSTD},
                 {"GZIP ; Q=0.123", QN_CODING_GZIP},
                 {"gzip;q=0", QN_CODING_IDENTITY},
                 {"gzip;q=0.000, zstd;q=0", QN_CODING_IDENTITY},
                 {"*", QN_CODING_ZSTD},
                 {"*;q=0", QN_CODING_IDENTITY},
                 {"zstd;q=0, *", QN_CODING_GZIP},
                 {"identity", QN_CODING_IDENTITY},
                 {"identity, gzip;q=0.5", QN_CODING_IDENTITY},
                 {"identity;q=0.5, gzip", QN_CODING_GZIP},
                 {"br", QN_CODING_IDENTITY},
                 {"deflate", QN_CODING_IDENTITY},
                 {",,;,gzip,", QN_CODING_GZIP},
                 {"gzip;q=x", QN_CODING_IDENTITY}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const qn_coding got = qn_content_coding_for_reply(span(cases[i].accept));
        if (got != cases[i].coding) {
            fail_msg("'%s' gives %s", cases[i].accept, qn_coding_name(got));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(names_are_found),
                                       TEST(replies_are_coded_as_clients_like)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
