/* SPDX-License-Identifier: Apache-2.0 */
/* Routing: what is said of models beyond their files – which version an alias leads to, and which
 * answers when none is named (route_plan.h). It is read from a YAML file and written as JSON, which
 * is YAML, too:
 *
 *     models:
 *       credit:
 *         aliases: {champion: 1, challenger: 2}
 *         canary: {from: champion, to: challenger, percent: 5}
 *
 * Threads: immutable but for its count of references, which is atomic; share freely. Routes at work
 * are locked. */
#ifndef QN_SERVE_ROUTES_ROUTING_H
#define QN_SERVE_ROUTES_ROUTING_H

#include "base/arena.h"
#include "base/error.h"
#include "base/json_pull.h"
#include "base/str.h"
#include "serve/routes/route.h"

#include <stdatomic.h>

typedef struct qn_alias {
    const char *name, *version;
} qn_alias;

/* All of one model. */
typedef struct qn_model_routing {
    const char *model;
    int64_t n_aliases;
    qn_alias *aliases; /* in the order of their names */
    qn_route_plan plan;
    qn_route_state *route; /* the plan at work; NULL: there is none */
} qn_model_routing;

typedef struct qn_routing {
    _Atomic int64_t n_refs;
    qn_arena memory;
    int64_t n_models;
    qn_model_routing *models; /* in the order of their names */
} qn_routing;                 /* let go with qn_routing_unref() */

/* Reads a routes file's text (none at all: no routes); `path` is for messages. With one reference.
 * Fails with QN_ERR_DATA ("path:line:column: …") or QN_ERR_NOMEM. */
QN_MUST_CHECK
qn_status qn_routing_read(const char *path, const char *text, size_t bytes, qn_routing **out,
                          qn_error *err);
/* A copy in which `alias` of `model` leads to `version` (NULL: is not there). Fails with QN_ERR_ARG
 * (a name that cannot be) or QN_ERR_NOMEM. */
QN_MUST_CHECK
qn_status qn_routing_with_alias(const qn_routing *routing, const char *model, const char *alias,
                                const char *version, qn_routing **out, qn_error *err);
/* Before `routing` takes the place of `before`: plans that are the same go on as they are at work
 * now; but not (`anew`) what was rolled back. */
void qn_routing_inherit(qn_routing *routing, const qn_routing *before, bool anew);
qn_routing *qn_routing_ref(qn_routing *routing);
void qn_routing_unref(qn_routing *routing); /* accepts NULL */

/* As indented JSON that reads back as the same. */
void qn_routing_write(const qn_routing *routing, qn_str *out);

bool qn_span_equals(qn_span span, const char *text);
/* NULL: nothing is said of that model. */
const qn_model_routing *qn_routing_find(const qn_routing *routing, qn_span model);
/* Where an alias leads; NULL: it is none. */
const char *qn_routing_version(const qn_model_routing *model, qn_span alias);
/* The version that an arm of a plan leads to; arm -1 is its shadow. */
const char *qn_routing_target(const qn_model_routing *model, int arm);
/* What leads to that version – an alias, or the version itself, named by a plan –, or NULL. */
const char *qn_routing_leads_to(const qn_routing *routing, const char *model, const char *version);

#endif
