/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/security/identity.h"

#include <string.h>

const char qn_identity_no_memory[] =
    "there is no memory to check the credentials; send it again later";

static const struct {
    const char *name;
    qn_access role;
} roles[] = {{"predict", QN_ACCESS_PREDICT}, {"read", QN_ACCESS_READ}, {"admin", QN_ACCESS_ADMIN}};

enum { N_ROLES = sizeof roles / sizeof *roles };

static bool equals(const char *text, qn_span span)
{
    return strlen(text) == span.bytes && memcmp(text, span.text, span.bytes) == 0;
}

unsigned qn_access_of(qn_span word)
{
    for (int i = 0; i < N_ROLES; i++) {
        if (equals(roles[i].name, word)) return roles[i].role;
    }
    return 0;
}

const char *qn_access_name(qn_access role)
{
    for (int i = 0; i < N_ROLES; i++) {
        if (roles[i].role == role) return roles[i].name;
    }
    return "none";
}

bool qn_identity_may(const qn_identity *identity, qn_access role, const qn_span *model)
{
    for (int64_t i = 0; i < identity->n_grants; i++) {
        const qn_grant *grant = &identity->grants[i];
        if ((grant->roles & role) == 0) continue;
        if (!grant->model || (model && equals(grant->model, *model))) return true;
    }
    return false;
}

bool qn_identity_may_some(const qn_identity *identity, qn_access role)
{
    for (int64_t i = 0; i < identity->n_grants; i++) {
        if (identity->grants[i].roles & role) return true;
    }
    return false;
}

bool qn_identity_copy(const qn_identity *identity, qn_arena *memory, qn_identity *out)
{
    qn_grant *grants = qn_arena_array(memory, identity->n_grants, sizeof *grants);
    if (!grants) return false;
    for (int64_t i = 0; i < identity->n_grants; i++) {
        const char *model = identity->grants[i].model;
        grants[i].roles = identity->grants[i].roles;
        grants[i].model = model ? qn_arena_strdup(memory, model) : NULL;
        if (model && !grants[i].model) return false;
    }
    *out = *identity;
    out->grants = grants;
    return true;
}
