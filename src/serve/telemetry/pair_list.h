/* SPDX-License-Identifier: Apache-2.0 */
/* Pair list: "name=value,name=value" with blanks around names and values passed over and %XX in
 * values decoded – how OpenTelemetry's environment variables have attributes and headers (W3C
 * Baggage, 3.2.1).
 *
 * Threads: pure functions. */
#ifndef QN_SERVE_TELEMETRY_PAIR_LIST_H
#define QN_SERVE_TELEMETRY_PAIR_LIST_H

#include "base/error.h"

#include <stdbool.h>

/* Called for each pair with terminated texts, borrowed until it returns; false: the value cannot
 * be. */
typedef bool (*qn_pair_taker)(void *taker, const char *name, const char *value);

/* `what` is for messages: "the traces' headers". Empty pairs are passed over. Fails with QN_ERR_ARG
 * (not of that form; refused by the taker; values, which may be secret, are not said) or
 * QN_ERR_NOMEM. */
QN_MUST_CHECK
qn_status qn_pair_list_read(const char *what, const char *text, qn_pair_taker take, void *taker,
                            qn_error *err);

#endif
