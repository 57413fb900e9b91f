/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json_pull.h"

#include "base/json_escape.h"
#include "base/utf8.h"

#include <string.h>

bool qn_pull_refuse(qn_pull *pull, const char *wrong)
{
    if (!pull->wrong) pull->wrong = wrong;
    return false;
}

static bool no_memory(qn_pull *pull)
{
    pull->no_memory = true;
    return qn_pull_refuse(pull, "no memory");
}

static const char *behind_blanks(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t')) {
        at++;
    }
    return at;
}

static void skip_blanks(qn_pull *pull)
{
    pull->at = behind_blanks(pull->at, pull->end);
}

qn_pull_type qn_pull_peek(qn_pull *pull)
{
    if (pull->wrong) return QN_PULL_ERROR;
    skip_blanks(pull);
    if (pull->at == pull->end) return QN_PULL_END;
    switch (*pull->at) {
    case '{':
        return QN_PULL_OBJECT;
    case '[':
        return QN_PULL_ARRAY;
    case '}':
    case ']':
        return QN_PULL_CLOSE;
    case '"':
        return QN_PULL_TEXT;
    case 't':
        return QN_PULL_TRUE;
    case 'f':
        return QN_PULL_FALSE;
    case 'n':
        return QN_PULL_NULL;
    default:
        break;
    }
    if (*pull->at == '-' || (*pull->at >= '0' && *pull->at <= '9')) return QN_PULL_NUMBER;
    qn_pull_refuse(pull, "expected a value");
    return QN_PULL_ERROR;
}

void qn_pull_enter(qn_pull *pull)
{
    pull->at++;
}

/* What stands between the items of an array or object; false at its end, which is passed. */
static bool next_item(qn_pull *pull, char close, bool *first, const char *wrong)
{
    if (pull->wrong) return false;
    skip_blanks(pull);
    if (pull->at == pull->end) return qn_pull_refuse(pull, "the text ends too early");
    if (*pull->at == close) {
        pull->at++;
        return false;
    }
    if (*first) {
        *first = false;
        return true;
    }
    if (*pull->at != ',') return qn_pull_refuse(pull, wrong);
    pull->at++;
    skip_blanks(pull);
    if (pull->at < pull->end && *pull->at == close) {
        return qn_pull_refuse(pull, "a comma stands before the closing bracket");
    }
    return true;
}

bool qn_pull_next(qn_pull *pull, bool *first)
{
    return next_item(pull, ']', first, "expected ',' or ']'");
}

bool qn_pull_key(qn_pull *pull, bool *first, qn_span *key)
{
    if (!next_item(pull, '}', first, "expected ',' or '}'")) return false;
    if (pull->at == pull->end || *pull->at != '"') {
        return qn_pull_refuse(pull, "expected a key in double quotes");
    }
    if (!qn_pull_text(pull, key)) return false;
    skip_blanks(pull);
    if (pull->at == pull->end || *pull->at != ':') return qn_pull_refuse(pull, "expected ':'");
    pull->at++;
    skip_blanks(pull);
    return true;
}

bool qn_pull_key_is(qn_pull *pull, bool *first, qn_span name)
{
    const char *const end = pull->end, *at = behind_blanks(pull->at, end);
    if (pull->wrong) return false;
    if (!*first) {
        if (at == end || *at != ',') return false;
        at = behind_blanks(at + 1, end);
    }
    if ((size_t)(end - at) < name.bytes + 2 || *at != '"' || at[name.bytes + 1] != '"' ||
        memcmp(at + 1, name.text, name.bytes) != 0) {
        return false;
    }
    at = behind_blanks(at + name.bytes + 2, end);
    if (at == end || *at != ':') return false;
    *first = false;
    pull->at = behind_blanks(at + 1, end);
    return true;
}

bool qn_pull_pass(qn_pull *pull, qn_span bytes)
{
    const char *at = pull->at, *same = bytes.text;
    size_t left = bytes.bytes;
    if (pull->wrong || (size_t)(pull->end - at) < left) return false;
    for (; left >= 8; at += 8, same += 8, left -= 8) { /* a word at a time: quicker than a call */
        if (memcmp(at, same, 8) != 0) return false;
    }
    for (; left > 0; at++, same++, left--) {
        if (*at != *same) return false;
    }
    pull->at = at;
    return true;
}

/* Texts. */

/* The text from `begin` to `end`, its closing quote, without its escapes: never longer than with
 * them. */
static bool unescape(qn_pull *pull, const char *begin, const char *end, qn_span *text)
{
    char *copy = qn_arena_array(pull->arena, end - begin + 1, 1);
    if (!copy) return no_memory(pull);
    char *out = copy;
    for (pull->at = begin; pull->at < end;) {
        if (*pull->at == '\\') {
            size_t bytes;
            pull->at++;
            const char *fault = qn_json_escape(&pull->at, pull->end, out, &bytes);
            if (fault) return qn_pull_refuse(pull, fault);
            out += bytes;
        } else {
            *out++ = *pull->at++;
        }
    }
    pull->at = end + 1;
    *text = (qn_span){copy, (size_t)(out - copy)};
    return true;
}

bool qn_pull_text(qn_pull *pull, qn_span *out)
{
    const char *begin = pull->at + 1, *at = begin, *const end = pull->end;
    unsigned char high = 0;
    bool escaped = false;
    while (at < end && *at != '"') {
        const unsigned char c = (unsigned char)*at;
        if (c < 0x20) {
            pull->at = at;
            return qn_pull_refuse(pull, "found a control character in a text");
        }
        high |= c;
        if (c == '\\') {
            escaped = true;
            at++;
        }
        at++;
    }
    if (at >= end) return qn_pull_refuse(pull, "a text is not closed");
    if (high & 0x80) {
        const char *wrong = qn_utf8_first_invalid(begin, (size_t)(at - begin));
        if (wrong) {
            pull->at = wrong;
            return qn_pull_refuse(pull, "found bytes that are not UTF-8");
        }
    }
    if (escaped) return unescape(pull, begin, at, out);
    *out = (qn_span){begin, (size_t)(at - begin)};
    pull->at = at + 1;
    return true;
}

/* Numbers and words. */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Whether a number is written as RFC 8259, section 6, asks for: digits before and behind the point,
 * no '+', no zeros to begin with. */
static bool is_json(const char *at, const char *end)
{
    at += *at == '-';
    if (end - at > 2 && at[1] == '.') return is_digit(at[0]) && is_digit(at[2]); /* as most are */
    const char *const whole = at;
    while (at < end && is_digit(*at)) {
        at++;
    }
    if (at == whole || (*whole == '0' && at > whole + 1)) return false;
    return at == end || *at != '.' || (at + 1 < end && is_digit(at[1]));
}

bool qn_pull_number(qn_pull *pull, double *out, qn_span *token)
{
    const size_t bytes = qn_scan_double(pull->at, (size_t)(pull->end - pull->at), out);
    const char *end = pull->at + bytes;
    if (bytes == 0 || !is_json(pull->at, end) || (end < pull->end && (*end | 0x20) == 'e')) {
        return qn_pull_refuse(pull, "a number is not written as JSON asks for");
    }
    if (token) *token = (qn_span){pull->at, bytes};
    pull->at = end;
    return true;
}

bool qn_pull_word(qn_pull *pull)
{
    static const char *const words[] = {"true", "false", "null"};
    for (int i = 0; i < 3; i++) {
        const size_t n = strlen(words[i]);
        if ((size_t)(pull->end - pull->at) >= n && memcmp(pull->at, words[i], n) == 0) {
            pull->at += n;
            return true;
        }
    }
    return qn_pull_refuse(pull, "expected a value");
}

static bool skip_scalar(qn_pull *pull, qn_pull_type type)
{
    qn_span text;
    double number;
    if (type == QN_PULL_TEXT) return qn_pull_text(pull, &text);
    if (type == QN_PULL_NUMBER) return qn_pull_number(pull, &number, NULL);
    if (type == QN_PULL_TRUE || type == QN_PULL_FALSE || type == QN_PULL_NULL) {
        return qn_pull_word(pull);
    }
    return qn_pull_refuse(pull,
                          type == QN_PULL_END ? "the text ends too early" : "expected a value");
}

/* One frame a level instead of recursion: depth is the sender's to choose. */
bool qn_pull_skip(qn_pull *pull)
{
    struct {
        bool object, first;
    } levels[QN_PULL_DEPTH_MAX];
    int depth = 0;
    do {
        const qn_pull_type type = qn_pull_peek(pull);
        if (type == QN_PULL_OBJECT || type == QN_PULL_ARRAY) {
            if (depth == QN_PULL_DEPTH_MAX) {
                return qn_pull_refuse(pull, "nested deeper than 64 levels");
            }
            levels[depth].object = type == QN_PULL_OBJECT;
            levels[depth++].first = true;
            qn_pull_enter(pull);
        } else if (!skip_scalar(pull, type)) {
            return false;
        }
        while (depth > 0) {
            qn_span key;
            bool *first = &levels[depth - 1].first;
            const bool more = levels[depth - 1].object ? qn_pull_key(pull, first, &key)
                                                       : qn_pull_next(pull, first);
            if (more) break;
            if (pull->wrong) return false;
            depth--;
        }
    } while (depth > 0);
    return true;
}

qn_status qn_pull_fail(const qn_pull *pull, const char *name, qn_error *err)
{
    if (pull->no_memory) return qn_fail(err, QN_ERR_NOMEM, "%s: no memory to read it", name);
    int64_t line = 1;
    const char *start = pull->begin;
    for (const char *c = pull->begin; c < pull->at && c < pull->end; c++) {
        if (*c == '\n') {
            line++;
            start = c + 1;
        }
    }
    return qn_fail(err, QN_ERR_DATA, "%s:%" PRId64 ":%" PRId64 ": %s", name, line,
                   (int64_t)(pull->at - start) + 1, pull->wrong ? pull->wrong : "no error");
}
