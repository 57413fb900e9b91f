/* SPDX-License-Identifier: Apache-2.0 */
/* Recoding against the libraries' own one-call functions, and against bodies that are
 * damaged, cut short, or small and made to grow. */
#include "source/recoder.h"

#include "check.h"

#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

static qn_span span(const char *text)
{
    return (qn_span){text, text ? strlen(text) : 0};
}

/* All steps. */
static qn_status recode(qn_coding coding, bool encode, qn_span all, size_t bytes_max, qn_str *out,
                        int *n_steps, qn_error *err)
{
    qn_recoder *recoder = encode ? qn_encoder_create(coding) : qn_decoder_create(coding, 23);
    if (!recoder) return qn_fail(err, QN_ERR_NOMEM, "no memory");
    qn_status status = QN_OK;
    bool done = false;
    for (*n_steps = 0; status == QN_OK && !done; ++*n_steps) {
        status = qn_recoder_step(recoder, all, bytes_max, out, &done, err);
    }
    qn_recoder_free(recoder);
    return status;
}

static char *some_text(size_t bytes)
{
    char *text = malloc(bytes + 1);
    unsigned state = 1;
    CHECK(text != NULL);
    for (size_t i = 0; i < bytes; i++) {
        state = state * 1103515245 + 12345;
        text[i] = "0123456789,.{}\":"[state >> 28];
    }
    text[bytes] = '\0';
    return text;
}

/* By the libraries themselves: gzip and zlib by zlib's, zstd by zstd's. */
static size_t compress_whole(qn_coding coding, const char *text, size_t bytes, char *out,
                             size_t room)
{
    if (coding == QN_CODING_ZSTD) return ZSTD_compress(out, room, text, bytes, 3);
    z_stream stream = {0};
    const int window = coding == QN_CODING_GZIP ? 15 + 16 : 15;
    CHECK_INT(deflateInit2(&stream, 6, Z_DEFLATED, window, 8, Z_DEFAULT_STRATEGY), Z_OK);
    stream.next_in = (unsigned char *)(uintptr_t)text;
    stream.avail_in = (unsigned)bytes;
    stream.next_out = (unsigned char *)out;
    stream.avail_out = (unsigned)room;
    CHECK_INT(deflate(&stream, Z_FINISH), Z_STREAM_END);
    deflateEnd(&stream);
    return room - stream.avail_out;
}

static const qn_coding codings[] = {QN_CODING_GZIP, QN_CODING_DEFLATE, QN_CODING_ZSTD};
enum { N_CODINGS = 3 };

static void bodies_are_decoded(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 1000, 200000, 3000000};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        char *text = some_text(sizes[s]);
        const size_t room = sizes[s] + 1000;
        char *coded = malloc(room);
        for (int c = 0; c < N_CODINGS; c++) {
            qn_error err = {0};
            qn_str out = {0};
            int n_steps = 0;
            const size_t bytes = compress_whole(codings[c], text, sizes[s], coded, room);
            CHECK_OK(
                recode(codings[c], false, (qn_span){coded, bytes}, sizes[s], &out, &n_steps, &err));
            CHECK_INT(out.bytes, (long)sizes[s]);
            CHECK(memcmp(out.text ? out.text : "", text, sizes[s]) == 0);
            CHECK(sizes[s] < 3000000 || n_steps > 10);
            qn_str_release(&out);
        }
        free(coded);
        free(text);
    }
}

static void members_and_frames_join(void **state)
{
    (void)state;
    char coded[200];
    qn_error err = {0};
    int n_steps = 0;
    for (int c = 0; c < N_CODINGS; c += 2) {
        qn_str out = {0};
        size_t bytes = compress_whole(codings[c], "[1,", 3, coded, sizeof coded);
        bytes += compress_whole(codings[c], "2]", 2, coded + bytes, sizeof coded - bytes);
        CHECK_OK(recode(codings[c], false, (qn_span){coded, bytes}, 100, &out, &n_steps, &err));
        CHECK_TEXT(out.text, "[1,2]");
        qn_str_release(&out);
    }
}

static void replies_are_encoded(void **state)
{
    (void)state;
    char *text = some_text(1000000);
    for (int c = 0; c < N_CODINGS; c += 2) {
        qn_error err = {0};
        qn_str coded = {0}, back = {0};
        int n_steps = 0;
        const qn_span all = {text, 1000000};
        CHECK_OK(recode(codings[c], true, all, SIZE_MAX, &coded, &n_steps, &err));
        CHECK(n_steps > 5 && coded.bytes < 700000);
        CHECK_OK(recode(codings[c], false, (qn_span){coded.text, coded.bytes}, 1000000, &back,
                        &n_steps, &err));
        CHECK_INT(back.bytes, 1000000);
        CHECK(memcmp(back.text, text, 1000000) == 0);
        qn_str_release(&coded);
        qn_str_release(&back);
    }
    free(text);
}

/* A gigabyte of zeros is a megabyte of gzip, or a few kilobytes of zstd. */
static void bombs_are_refused(void **state)
{
    (void)state;
    enum { GROWN = 100 * 1000 * 1000 };
    char *zeros = calloc(GROWN, 1), *coded = malloc(1000000);
    for (int c = 0; c < N_CODINGS; c++) {
        qn_error err = {0};
        qn_str out = {0};
        int n_steps = 0;
        const size_t bytes = compress_whole(codings[c], zeros, GROWN, coded, 1000000);
        CHECK_FAILS(QN_ERR_BUDGET, recode(codings[c], false, (qn_span){coded, bytes}, 1000000, &out,
                                          &n_steps, &err));
        CHECK_CONTAINS(err.message, "more than 1000000 bytes once decoded");
        CHECK(out.bytes <= 1000000);
        qn_str_release(&out);
    }
    free(zeros);
    free(coded);
}

static void damaged_bodies_are_refused(void **state)
{
    (void)state;
    char *text = some_text(5000), coded[6000];
    for (int c = 0; c < N_CODINGS; c++) {
        const size_t bytes = compress_whole(codings[c], text, 5000, coded, sizeof coded);
        for (size_t cut = 0; cut < bytes; cut += cut < 40 ? 1 : 97) {
            char *part = malloc(cut + 1);
            qn_error err = {0};
            qn_str out = {0};
            int n_steps = 0;
            memcpy(part, coded, cut);
            CHECK_FAILS(QN_ERR_DATA, recode(codings[c], false, (qn_span){part, cut}, 100000, &out,
                                            &n_steps, &err));
            qn_str_release(&out);
            free(part);
        }
        for (size_t at = 0; at < bytes; at += 13) { /* damaged, or other bytes, but no crash */
            qn_error err = {0};
            qn_str out = {0};
            int n_steps = 0;
            coded[at] ^= 0x10;
            const qn_status status =
                recode(codings[c], false, (qn_span){coded, bytes}, 100000, &out, &n_steps, &err);
            CHECK(status == QN_OK || status == QN_ERR_DATA || status == QN_ERR_BUDGET);
            coded[at] ^= 0x10;
            qn_str_release(&out);
        }
    }
    qn_error err = {0};
    qn_str out = {0};
    int n_steps = 0;
    CHECK_FAILS(QN_ERR_DATA,
                recode(QN_CODING_GZIP, false, span("{\"a\": 1}"), 1000, &out, &n_steps, &err));
    CHECK_CONTAINS(err.message, "the gzip data is damaged after");
    qn_str_release(&out);
    free(text);
}

/* A frame of zstd that wants a window of 128 MB: RFC 8878 lets 8 MB do. */
static void a_large_window_is_refused(void **state)
{
    (void)state;
    ZSTD_CCtx *context = ZSTD_createCCtx();
    ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, 27);
    ZSTD_CCtx_setParameter(context, ZSTD_c_enableLongDistanceMatching, 1);
    char coded[200];
    ZSTD_outBuffer to = {coded, sizeof coded, 0};
    ZSTD_inBuffer from = {"abc", 3, 0};
    /* Not in one call: the size would be known, and the window made to fit. */
    ZSTD_compressStream2(context, &to, &from, ZSTD_e_flush);
    ZSTD_compressStream2(context, &to, &from, ZSTD_e_end);
    ZSTD_freeCCtx(context);
    qn_error err = {0};
    qn_str out = {0};
    int n_steps = 0;
    CHECK_FAILS(QN_ERR_DATA, recode(QN_CODING_ZSTD, false, (qn_span){coded, to.pos}, 1000, &out,
                                    &n_steps, &err));
    qn_str_release(&out);
}

static qn_status there_and_back(void)
{
    int n_steps = 0;
    qn_str coded = {0}, back = {0};
    qn_status status = recode(QN_CODING_GZIP, true, span("abc"), 1000, &coded, &n_steps, NULL);
    if (status == QN_OK) {
        status = recode(QN_CODING_GZIP, false, (qn_span){coded.text, coded.bytes}, 1000, &back,
                        &n_steps, NULL);
    }
    qn_str_release(&coded);
    qn_str_release(&back);
    return status;
}

static void recoding_survives_running_out_of_memory(void **state)
{
    (void)state;
    CHECK_SURVIVES_NO_MEMORY(there_and_back());
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(bodies_are_decoded),
                                       TEST(members_and_frames_join),
                                       TEST(replies_are_encoded),
                                       TEST(bombs_are_refused),
                                       TEST(damaged_bodies_are_refused),
                                       TEST(a_large_window_is_refused),
                                       TEST(recoding_survives_running_out_of_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
