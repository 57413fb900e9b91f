/* SPDX-License-Identifier: Apache-2.0 */
/* JSON without a document: the caller asks for one value after another and nothing is built. Strict
 * (RFC 8259, UTF-8 checked, no zero character in a text, at most QN_PULL_DEPTH_MAX levels); what is
 * wrong is kept once and told by qn_pull_fail(). For the rows of prediction requests, where a
 * document would cost more than the prediction; other JSON is read by base/json.h.
 *
 * Every function that reads returns false, or QN_PULL_ERROR, once something is wrong; after that
 * all of them do, so that a caller may check late.
 *
 * Threads: one thread at a time per reader. */
#ifndef QN_BASE_JSON_PULL_H
#define QN_BASE_JSON_PULL_H

#include "base/arena.h"
#include "base/error.h"
#include "base/number.h"

#include <stdbool.h>
#include <stddef.h>

enum { QN_PULL_DEPTH_MAX = 64 };

typedef enum qn_pull_type {
    QN_PULL_ERROR,
    QN_PULL_END, /* nothing but blanks is left */
    QN_PULL_OBJECT,
    QN_PULL_ARRAY,
    QN_PULL_CLOSE, /* a closing bracket: only after qn_pull_next() said that there is an item */
    QN_PULL_TEXT,
    QN_PULL_NUMBER,
    QN_PULL_TRUE,
    QN_PULL_FALSE,
    QN_PULL_NULL
} qn_pull_type;

typedef struct qn_span {
    const char *text; /* not terminated */
    size_t bytes;
} qn_span;

/* A copy of a reader is a bookmark: reading goes on from where it was copied. */
typedef struct qn_pull {
    const char *begin, *at, *end;
    qn_arena *arena;   /* holds texts that had escapes */
    const char *wrong; /* the first thing that was wrong, or NULL */
    bool no_memory;
} qn_pull; /* initialise with {.begin = text, .at = text, .end = text + bytes, .arena = arena} */

/* Passes blanks and tells what comes; consumes nothing of it. */
qn_pull_type qn_pull_peek(qn_pull *pull);

/* Whether a number begins just here, blanks aside: quicker than to peek. */
static inline bool qn_pull_is_at_number(const qn_pull *pull)
{
    return !pull->wrong && pull->at < pull->end &&
           (*pull->at == '-' || (*pull->at >= '0' && *pull->at <= '9'));
}

/* Reads a number that is written as doubles in full are. False, and nothing is read, for any other
 * value. */
static inline bool qn_pull_full_number(qn_pull *pull, double *out)
{
    if (pull->wrong) return false;
    const size_t bytes = qn_scan_full_double(pull->at, (size_t)(pull->end - pull->at), out);
    pull->at += bytes;
    return bytes > 0;
}

/* Enters the object or array that was peeked at. */
void qn_pull_enter(qn_pull *pull);
/* In an array, before each item: whether there is one. Passes the comma, or the closing bracket.
 * `first` is true before the first call and is the reader's from then on. */
bool qn_pull_next(qn_pull *pull, bool *first);
/* In an object, before each value: whether there is one, and its key. The reader stands at the
 * value then, or at the end. */
bool qn_pull_key(qn_pull *pull, bool *first, qn_span *key);
/* Whether there is one more value and its key is `name`, which has nothing that JSON escapes; only
 * then is anything passed. For keys in an order that is known. */
bool qn_pull_key_is(qn_pull *pull, bool *first, qn_span name);
/* Whether the text goes on with exactly these bytes; only then they are passed. For what was read
 * once in the same place. */
bool qn_pull_pass(qn_pull *pull, qn_span bytes);

/* The value that was peeked at. Texts are borrowed from the JSON itself or stand in the arena. */
bool qn_pull_text(qn_pull *pull, qn_span *out);
/* `token` (may be NULL) is the number as written; one beyond the doubles' range is infinite. */
bool qn_pull_number(qn_pull *pull, double *out, qn_span *token);
/* true, false and null. */
bool qn_pull_word(qn_pull *pull);
/* Any value, checked as strictly as one that is used. */
bool qn_pull_skip(qn_pull *pull);

/* Marks what was read last as wrong; `wrong` is a text that lives on. Always false. */
bool qn_pull_refuse(qn_pull *pull, const char *wrong);
/* "NAME:LINE:COLUMN: what is wrong", QN_ERR_DATA; or QN_ERR_NOMEM. */
qn_status qn_pull_fail(const qn_pull *pull, const char *name, qn_error *err);

#endif
