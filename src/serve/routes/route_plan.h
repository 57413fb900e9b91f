/* SPDX-License-Identifier: Apache-2.0 */
/* Route plan: which version answers requests that name a model and no version. One of
 *
 *     to: champion                                  one for all; moving the alias is blue/green
 *     split: {champion: 90, challenger: 10}         shares of the traffic
 *     canary: {from: champion, to: challenger, percent: 5}
 *     bandit: {arms: [champion, challenger], policy: thompson, seed: 1}     see bandit.h
 *
 * with, where they make sense,
 *
 *     key: header x-customer                        who has one value of it always gets one version
 *     salt: spring                                  another one deals the values anew
 *     rollback: {window: 200, errors: 0.05, latency: 0.02, outcomes: 100}
 *
 *     shadow: {to: challenger, share: 0.1}          requests that it gets, too; see shadow.h
 *
 * Targets are aliases or versions.
 *
 * Threads: immutable once read. */
#ifndef QN_SERVE_ROUTES_ROUTE_PLAN_H
#define QN_SERVE_ROUTES_ROUTE_PLAN_H

#include "base/arena.h"
#include "base/error.h"
#include "base/json.h"
#include "base/yaml.h"

enum { QN_ARMS_MAX = 16 };

typedef enum qn_route_kind {
    QN_ROUTE_NONE, /* nothing is said: the latest version */
    QN_ROUTE_TO,
    QN_ROUTE_SPLIT,
    QN_ROUTE_CANARY, /* the first arm is `from`, the second `to` */
    QN_ROUTE_BANDIT
} qn_route_kind;

typedef enum qn_bandit_policy { QN_BANDIT_THOMPSON, QN_BANDIT_UCB } qn_bandit_policy;

/* What tells requests apart. */
typedef enum qn_route_key {
    QN_KEY_REQUEST, /* its id: each for itself */
    QN_KEY_HEADER,
    QN_KEY_COLUMN /* of the first row */
} qn_route_key;

typedef struct qn_route_arm {
    const char *target;
    double weight; /* as it is given */
    double share;  /* of the traffic, 0 to 1; all add up to 1 */
} qn_route_arm;

/* When a canary's traffic goes back: as soon as more than a share of its last `window` requests
 * had an error, or more than one in twenty took longer than `latency_s` – the 95th percentile –, or
 * its predictions are worse than the other arm's (loss_watch.h). */
typedef struct qn_route_rollback {
    int64_t window;   /* 0: never */
    double errors;    /* QN_INF: any share is good */
    double latency_s; /* QN_INF: any time is good */
    int64_t outcomes; /* from so many on of either arm predictions are compared; 0: never */
} qn_route_rollback;

typedef struct qn_route_plan {
    qn_route_kind kind;
    int n_arms;
    qn_route_arm arms[QN_ARMS_MAX];
    qn_route_key key;
    const char *key_name; /* of the header or column */
    const char *salt;     /* NULL: the model's name */
    qn_route_rollback rollback;
    const char *shadow; /* a target; NULL: none */
    double shadow_share;
    qn_bandit_policy policy;
    uint64_t seed;
} qn_route_plan;

/* Whether `key` is one of a plan. */
bool qn_route_plan_has(const char *key);
/* Reads the keys of a model's mapping that are a plan's; `path` is for messages, texts stand in the
 * nodes. Fails with QN_ERR_DATA: "path:line:column: …". */
QN_MUST_CHECK
qn_status qn_route_plan_read(const char *path, const qn_yaml_node *map, qn_route_plan *plan,
                             qn_error *err);
/* Adds the members that read back as the same plan. */
void qn_route_plan_write(const qn_route_plan *plan, qn_json_writer *json);

#endif
