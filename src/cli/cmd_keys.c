/* SPDX-License-Identifier: Apache-2.0 */
/* quern keys: make, list and revoke the API keys of a server. */
#include "base/clock.h"
#include "cli/commands.h"
#include "frame/frame.h"
#include "serve/security/key_file.h"

#include <stdio.h>
#include <string.h>

struct keys_request {
    const char *arguments[3]; /* action, file, id */
    const char *name, *roles;
    const char *const *models;
    double expires_s;
};

#define AT(member) offsetof(struct keys_request, member)

static const cli_option options[] = {
    {"name", CLI_TEXT, AT(name), "NAME", "create: whose key it is, for lists and logs", NULL,
     false},
    {"roles", CLI_TEXT, AT(roles), "LIST",
     "create: any of predict, read, admin (default predict,read)", NULL, false},
    {"model", CLI_LIST, AT(models), "NAME",
     "create: the model it is for; may be repeated (default all)", NULL, false},
    {"expires", CLI_DURATION, AT(expires_s), "SECONDS",
     "create: how long it lasts, such as 720h (default: until it is revoked)", NULL, false},
    {0}};

static bool parse_roles(const char *text, unsigned *out)
{
    *out = 0;
    for (;;) {
        const size_t bytes = strcspn(text, ",");
        const unsigned role = qn_access_of((qn_span){text, bytes});
        if (role == 0) return false;
        *out |= role;
        if (text[bytes] == '\0') return true;
        text += bytes + 1;
    }
}

static int create_key(const struct keys_request *request, const char *path)
{
    qn_error err = {0};
    char text[QN_KEY_TEXT_BYTES];
    qn_key_request key = {.path = path,
                          .name = request->name ? request->name : "key",
                          .models = request->models,
                          .created_us = qn_clock_utc_us(),
                          .expires_us = INT64_MAX};
    if (!parse_roles(request->roles ? request->roles : "predict,read", &key.roles)) {
        fprintf(stderr, "quern keys: --roles %s: a role is predict, read or admin\n",
                request->roles);
        return CLI_USAGE;
    }
    if (request->expires_s > 0) {
        key.expires_us = key.created_us + (int64_t)(request->expires_s * 1e6);
    }
    if (qn_key_create(&key, text, &err) != QN_OK) return cli_fail(&cmd_keys, &err);
    puts(text);
    fputs("quern keys: this is the only time that the key is shown\n", stderr);
    qn_secret_wipe(text, sizeof text);
    return CLI_OK;
}

static void print_key(const qn_key *key, int64_t now_us)
{
    static const qn_access roles[] = {QN_ACCESS_PREDICT, QN_ACCESS_READ, QN_ACCESS_ADMIN};
    char expires[QN_VALUE_TEXT_BYTES] = "never";
    if (key->expires_us != INT64_MAX) qn_timestamp_format_utc(key->expires_us, expires);
    printf("%s  %-20s  %-20s%s  ", key->id, key->name, expires,
           now_us >= key->expires_us ? " (expired)" : "");
    const char *comma = "";
    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++) {
        if ((key->roles & roles[i]) == 0) continue;
        printf("%s%s", comma, qn_access_name(roles[i]));
        comma = ",";
    }
    const char *before = "  ";
    for (int64_t i = 0; i < key->identity.n_grants; i++, before = ",") {
        printf("%s%s", before, key->identity.grants[i].model ? key->identity.grants[i].model : "*");
    }
    putchar('\n');
}

static int list_keys(const char *path)
{
    qn_error err = {0};
    qn_key_file *file = NULL;
    const int64_t now_us = qn_clock_utc_us();
    if (qn_key_file_open(path, &file, &err) != QN_OK) return cli_fail(&cmd_keys, &err);
    printf("%-16s  %-20s  %-20s  %s\n", "id", "name", "expires", "roles  models");
    for (int64_t i = 0; i < qn_key_file_n(file); i++) {
        print_key(qn_key_file_at(file, i), now_us);
    }
    qn_key_file_free(file);
    return CLI_OK;
}

static int revoke_key(const char *path, const char *id)
{
    qn_error err = {0};
    if (qn_key_revoke(path, id, &err) != QN_OK) return cli_fail(&cmd_keys, &err);
    return CLI_OK;
}

static int keys_run(int argc, char **argv)
{
    struct keys_request request = {0};
    const int parsed = cli_parse(&cmd_keys, argc, argv, &request);
    if (parsed != CLI_OK) return parsed == CLI_HELP_SHOWN ? CLI_OK : parsed;
    const char *action = request.arguments[0], *path = request.arguments[1];
    const char *id = request.arguments[2];
    if (strcmp(action, "create") == 0 && !id) return create_key(&request, path);
    if (strcmp(action, "list") == 0 && !id) return list_keys(path);
    if (strcmp(action, "revoke") == 0 && id) return revoke_key(path, id);
    fputs("quern keys: expected create FILE, list FILE, or revoke FILE ID\n", stderr);
    return CLI_USAGE;
}

const cli_command cmd_keys = {
    .name = "keys",
    .summary = "make, list and revoke API keys of a server",
    .synopsis = "create|list|revoke FILE [ID] [options]",
    .details =
        "FILE holds digests of keys, not the keys; 'quern serve --keys FILE' checks clients\n"
        "against it, and takes changes on SIGHUP. A new key is printed once.",
    .examples = "    quern keys create keys.json --name batch --roles predict --model credit\n"
                "    quern keys list keys.json\n"
                "    quern keys revoke keys.json 3f9c0a5be1d24c77",
    .options = options,
    .n_arguments_min = 2,
    .n_arguments_max = 3,
    .arguments_offset = AT(arguments),
    .run = keys_run};
