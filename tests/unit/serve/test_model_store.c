/* SPDX-License-Identifier: Apache-2.0 */
/* The store of models: a folder of them, aliases, loading and unloading, and what stays when
 * something is wrong. */
#include "serve/models/model_store.h"

#include "served.h"

#include <sys/stat.h>

static char folder[] = "/tmp/quern-store-XXXXXX";
static char model_path[128], other_path[128], models_dir[160], routes_path[160];

static int make_models(void **state)
{
    (void)state;
    if (!mkdtemp(folder)) return -1;
    served_fit(folder, "binary", 1, model_path, sizeof model_path);
    served_fit(folder, "regression", 2, other_path, sizeof other_path);
    snprintf(models_dir, sizeof models_dir, "%s/models", folder);
    snprintf(routes_path, sizeof routes_path, "%s/routes.yaml", folder);
    return 0;
}

static void shell(const char *format, ...) QN_PRINTF(1, 2);

static void shell(const char *format, ...)
{
    char command[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(command, sizeof command, format, arguments);
    va_end(arguments);
    CHECK_INT(system(command), 0);
}

static int remove_models(void **state)
{
    (void)state;
    shell("rm -r %s", folder);
    return 0;
}

/* A folder with m@1, m@2 (the other kind of layout) and n@1. */
static void fill_folder(void)
{
    shell("rm -rf %s && mkdir -p %s/m/2 %s/n", models_dir, models_dir, models_dir);
    shell("cp %s %s/m/1.quern && cp %s %s/m/2/model.quern && cp %s %s/n/1.quern", model_path,
          models_dir, other_path, models_dir, model_path, models_dir);
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    CHECK(file && fputs(text, file) >= 0 && fclose(file) == 0);
}

static qn_model_store *create(const qn_model_sources *sources)
{
    qn_model_store *store = NULL;
    qn_error err = {0};
    CHECK_OK(qn_model_store_create(sources, 1, &store, &err));
    return store;
}

/* Reloads and checks how many failed and what was told. */
static void reload(qn_model_store *store, int n_failed, const char *part)
{
    qn_reload done;
    qn_model_store_reload(store, &done);
    if (done.n_failed != n_failed) {
        fail_msg("%d failed: %s", (int)done.n_failed, done.messages.text);
    }
    if (part) CHECK_CONTAINS(done.messages.text, part);
    qn_str_release(&done.messages);
}

/* "2 loaded", "2 unloaded" …: the version that is found, and whether it is loaded; "none". */
static const char *find(qn_model_store *store, const char *name, const char *version)
{
    static char text[200];
    qn_catalog *catalog = qn_model_store_acquire(store);
    const qn_span name_span = {name, strlen(name)};
    const qn_span version_span = {version, version ? strlen(version) : 0};
    const qn_catalog_entry *entry =
        qn_catalog_find(catalog, name_span, version ? &version_span : NULL);
    snprintf(text, sizeof text, "none");
    if (entry) {
        snprintf(text, sizeof text, "%s %s%s", entry->version,
                 entry->model      ? "loaded"
                 : entry->unloaded ? "unloaded"
                                   : "absent",
                 entry->problem ? " with a problem" : "");
    }
    qn_catalog_unref(catalog);
    return text;
}

static void a_folder_is_served(void **state)
{
    (void)state;
    fill_folder();
    shell("cp %s %s/m/.3.quern.tmp && mkdir %s/m/notes %s/.hidden && cp %s %s/stray.quern",
          model_path, models_dir, models_dir, models_dir, model_path, models_dir);
    shell("cp %s '%s/m/a b.quern' && mkfifo %s/m/9.quern && ln -s /dev/zero %s/m/8.quern",
          model_path, models_dir, models_dir, models_dir);
    qn_model_store *store = create(&(qn_model_sources){.folder = models_dir});
    CHECK_TEXT(find(store, "m", NULL), "none");
    reload(store, 0, "m@2: ");
    CHECK_TEXT(find(store, "m", NULL), "2 loaded");
    CHECK_TEXT(find(store, "m", "1"), "1 loaded");
    CHECK_TEXT(find(store, "n", NULL), "1 loaded");
    CHECK_TEXT(find(store, "stray", NULL), "none");
    qn_catalog *catalog = qn_model_store_acquire(store);
    CHECK_INT(catalog->n_entries, 3);
    qn_catalog_unref(catalog);
    qn_model_store_free(store);
}

static void versions_come_and_go_with_their_files(void **state)
{
    (void)state;
    fill_folder();
    qn_model_store *store = create(&(qn_model_sources){.folder = models_dir});
    reload(store, 0, NULL);
    qn_catalog *before = qn_model_store_acquire(store);
    reload(store, 0, NULL);
    CHECK(!qn_model_store_is_newer(store, before)); /* nothing new, nothing done */
    shell("cp %s %s/m/10.quern && rm %s/n/1.quern", model_path, models_dir, models_dir);
    reload(store, 0, "n@1: ");
    CHECK_TEXT(find(store, "m", NULL), "10 loaded");
    CHECK_TEXT(find(store, "n", NULL), "none");
    /* Who began before still sees what there was. */
    CHECK(qn_catalog_find(before, (qn_span){"n", 1}, NULL)->model != NULL);
    qn_catalog_unref(before);
    shell("mv %s/m/10.quern %s/m/x && mkdir %s/m/10 && mv %s/m/x %s/m/10/model.quern", models_dir,
          models_dir, models_dir, models_dir, models_dir);
    reload(store, 0, NULL);
    CHECK_TEXT(find(store, "m", NULL), "10 loaded");
    shell("mv %s %s.away", models_dir, models_dir);
    reload(store, 1, "No such file"); /* a mount that is not there takes nothing with it */
    CHECK_TEXT(find(store, "m", NULL), "10 loaded");
    shell("mv %s.away %s", models_dir, models_dir);
    qn_model_store_free(store);
}

static void a_version_that_cannot_be_loaded_does_no_harm(void **state)
{
    (void)state;
    fill_folder();
    qn_model_store *store = create(&(qn_model_sources){.folder = models_dir});
    qn_error err = {0};
    qn_reload done;
    reload(store, 0, NULL);
    shell("head -c 1000 %s > %s/m/3.quern", model_path, models_dir);
    reload(store, 1, "m@3: ");
    reload(store, 0, NULL); /* told once */
    CHECK_TEXT(find(store, "m", NULL), "2 loaded");
    CHECK_TEXT(find(store, "m", "3"), "3 absent with a problem");
    CHECK_FAILS(QN_ERR_DATA, qn_model_store_load(store, "m", "3", &done, &err));
    CHECK_CONTAINS(err.message, "3.quern");
    qn_str_release(&done.messages);
    shell("head -c 1000 %s > %s/m/1.quern", model_path, models_dir);
    CHECK_FAILS(QN_ERR_DATA, qn_model_store_load(store, "m", "1", &done, &err));
    qn_str_release(&done.messages);
    CHECK_TEXT(find(store, "m", "1"), "1 loaded with a problem");
    qn_model_store_free(store);
}

static void aliases_lead_to_versions(void **state)
{
    (void)state;
    fill_folder();
    static const char *const aliases[] = {"m@champion=1", "m@challenger=2", NULL};
    qn_model_store *store = create(&(qn_model_sources){.folder = models_dir, .aliases = aliases});
    qn_error err = {0};
    reload(store, 0, NULL);
    CHECK_TEXT(find(store, "m", "champion"), "1 loaded");
    CHECK_TEXT(find(store, "m", "challenger"), "2 loaded");
    CHECK_TEXT(find(store, "n", "champion"), "none");
    CHECK_OK(qn_model_store_set_alias(store, "m", "champion", "2", &err));
    CHECK_TEXT(find(store, "m", "champion"), "2 loaded");
    CHECK_FAILS(QN_ERR_DATA, qn_model_store_set_alias(store, "m", "champion", "7", &err));
    CHECK_CONTAINS(err.message, "version '7', which is not loaded");
    CHECK_FAILS(QN_ERR_DATA, qn_model_store_set_alias(store, "x", "champion", "1", &err));
    CHECK_FAILS(QN_ERR_ARG, qn_model_store_set_alias(store, "m", "a/b", "1", &err));
    CHECK_TEXT(find(store, "m", "champion"), "2 loaded");
    CHECK_OK(qn_model_store_set_alias(store, "m", "challenger", NULL, &err));
    CHECK_TEXT(find(store, "m", "challenger"), "none");
    qn_model_store_free(store);
}

static void what_an_alias_leads_to_stays(void **state)
{
    (void)state;
    fill_folder();
    static const char *const aliases[] = {"m@live=1", NULL};
    qn_model_store *store = create(&(qn_model_sources){.folder = models_dir, .aliases = aliases});
    qn_error err = {0};
    reload(store, 0, NULL);
    CHECK_FAILS(QN_ERR_DATA, qn_model_store_unload(store, "m", "1", &err));
    CHECK_CONTAINS(err.message, "'live' of 'm' leads to version '1'");
    CHECK_FAILS(QN_ERR_DATA, qn_model_store_unload(store, "m", NULL, &err));
    shell("rm %s/m/1.quern", models_dir);
    reload(store, 0, NULL);
    CHECK_TEXT(find(store, "m", "live"), "1 loaded");
    CHECK_OK(qn_model_store_set_alias(store, "m", "live", "2", &err));
    reload(store, 0, "is gone");
    CHECK_TEXT(find(store, "m", "1"), "none");
    qn_model_store_free(store);
}

static void models_are_unloaded_until_they_are_loaded(void **state)
{
    (void)state;
    fill_folder();
    char spec[200];
    snprintf(spec, sizeof spec, "s=%s", model_path);
    const char *const specs[] = {spec, NULL};
    qn_model_store *store = create(&(qn_model_sources){.folder = models_dir, .specs = specs});
    qn_error err = {0};
    qn_reload done;
    CHECK_TEXT(find(store, "s", NULL), "1 absent");
    reload(store, 0, NULL);
    CHECK_OK(qn_model_store_unload(store, "m", "2", &err));
    CHECK_TEXT(find(store, "m", NULL), "1 loaded");
    CHECK_TEXT(find(store, "m", "2"), "2 unloaded");
    CHECK_OK(qn_model_store_unload(store, "s", NULL, &err));
    reload(store, 0, NULL);
    CHECK_TEXT(find(store, "m", "2"), "2 unloaded");
    CHECK_TEXT(find(store, "s", "1"), "1 unloaded");
    CHECK_OK(qn_model_store_load(store, "m", NULL, &done, &err));
    qn_str_release(&done.messages);
    CHECK_TEXT(find(store, "m", NULL), "2 loaded");
    CHECK_OK(qn_model_store_load(store, "s", "1", &done, &err));
    qn_str_release(&done.messages);
    CHECK_TEXT(find(store, "s", "1"), "1 loaded");
    static const char *const strangers[] = {"x", "../m", "", "m/1", ".hidden", "/etc"};
    for (size_t i = 0; i < sizeof strangers / sizeof *strangers; i++) {
        CHECK_FAILS(QN_ERR_DATA, qn_model_store_load(store, strangers[i], NULL, &done, &err));
        qn_str_release(&done.messages);
        CHECK_FAILS(QN_ERR_DATA, qn_model_store_unload(store, strangers[i], NULL, &err));
    }
    CHECK_FAILS(QN_ERR_DATA, qn_model_store_unload(store, "m", "7", &err));
    qn_model_store_free(store);
}

static void the_routes_file_is_read_and_written(void **state)
{
    (void)state;
    fill_folder();
    static const char *const aliases[] = {"m@champion=1", "m@old=1", NULL};
    const qn_model_sources sources = {
        .folder = models_dir, .aliases = aliases, .routes = routes_path};
    qn_error err = {0};
    write_file(routes_path, "models: {m: {aliases: {champion: 2}}}\n");
    qn_model_store *store = create(&sources);
    reload(store, 0, "routes read");
    CHECK_TEXT(find(store, "m", "champion"), "2 loaded");
    CHECK_TEXT(find(store, "m", "old"), "1 loaded");
    CHECK_OK(qn_model_store_set_alias(store, "m", "next", "1", &err));
    qn_model_store_free(store);
    store = create(&sources); /* as after a restart */
    reload(store, 0, "routes read");
    CHECK_TEXT(find(store, "m", "next"), "1 loaded");
    write_file(routes_path, "models: {m: {aliases: {champion: 9}}}");
    reload(store, 1, "the routes stay as they are");
    CHECK_TEXT(find(store, "m", "champion"), "2 loaded");
    reload(store, 0, NULL); /* told once */
    write_file(routes_path, "models: [");
    reload(store, 1, "routes.yaml:2:1: ");
    CHECK_TEXT(find(store, "m", "champion"), "2 loaded");
    write_file(routes_path, "models: {m: {aliases: {champion: 9}}}  ");
    shell("cp %s %s/m/9.quern", model_path, models_dir);
    reload(store, 0, "routes read");
    CHECK_TEXT(find(store, "m", "champion"), "9 loaded");
    CHECK_INT(unlink(routes_path), 0);
    CHECK_INT(mkdir(routes_path, 0700), 0);
    CHECK_FAILS(QN_ERR_IO, qn_model_store_set_alias(store, "m", "champion", "1", &err));
    CHECK_TEXT(find(store, "m", "champion"), "9 loaded");
    CHECK_INT(rmdir(routes_path), 0);
    reload(store, 1, "No such file");
    qn_model_store_free(store);
}

static void what_cannot_be_is_refused(void **state)
{
    (void)state;
    qn_model_store *store = NULL;
    qn_error err = {0};
    static const char *const specs[] = {"a b=x.quern", NULL};
    static const char *const aliases[][2] = {
        {"m", NULL}, {"m@a", NULL}, {"m=a", NULL}, {"m=a@1", NULL}, {"m@a/b=1", NULL}};
    CHECK_FAILS(QN_ERR_ARG,
                qn_model_store_create(&(qn_model_sources){.specs = specs}, 1, &store, &err));
    CHECK_CONTAINS(err.message, "no name to serve a model by");
    fill_folder();
    for (size_t i = 0; i < sizeof aliases / sizeof *aliases; i++) {
        store = create(&(qn_model_sources){.folder = models_dir, .aliases = aliases[i]});
        reload(store, 1, aliases[i][0]);
        qn_model_store_free(store);
    }
}

static qn_status live_a_life(void)
{
    static const char *const aliases[] = {"n@live=1", NULL};
    const qn_model_sources sources = {
        .folder = models_dir, .aliases = aliases, .routes = routes_path};
    qn_model_store *store = NULL;
    qn_status status = qn_model_store_create(&sources, 2, &store, NULL);
    if (status != QN_OK) return status;
    qn_reload done;
    qn_model_store_reload(store, &done);
    if (done.n_failed > 0 || done.messages.failed) status = QN_ERR_NOMEM;
    qn_str_release(&done.messages);
    if (status == QN_OK) status = qn_model_store_set_alias(store, "n", "live", NULL, NULL);
    if (status == QN_OK) status = qn_model_store_unload(store, "n", NULL, NULL);
    if (status == QN_OK) {
        status = qn_model_store_load(store, "n", NULL, &done, NULL);
        if (done.messages.failed || status == QN_ERR_DATA) status = QN_ERR_NOMEM;
        qn_str_release(&done.messages);
    }
    qn_model_store_free(store);
    return status;
}

static void a_life_survives_running_out_of_memory(void **state)
{
    (void)state;
    fill_folder();
    shell("rm -r %s/m", models_dir);
    write_file(routes_path, "{}");
    CHECK_SURVIVES_NO_MEMORY(live_a_life());
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(a_folder_is_served),
                                       TEST(versions_come_and_go_with_their_files),
                                       TEST(a_version_that_cannot_be_loaded_does_no_harm),
                                       TEST(aliases_lead_to_versions),
                                       TEST(what_an_alias_leads_to_stays),
                                       TEST(models_are_unloaded_until_they_are_loaded),
                                       TEST(the_routes_file_is_read_and_written),
                                       TEST(what_cannot_be_is_refused),
                                       TEST(a_life_survives_running_out_of_memory)};
    return cmocka_run_group_tests(tests, make_models, remove_models);
}
