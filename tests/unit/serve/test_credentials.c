/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/security/credentials.h"

#include "base/file.h"
#include "serve/security/token_cache.h"
#include "tokens.h"

#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/quern-credentials-XXXXXX";
static char keys_path[64], jwks_path[64];
static token_maker maker;

static int make_files(void **state)
{
    (void)state;
    if (!mkdtemp(folder)) return -1;
    snprintf(keys_path, sizeof keys_path, "%s/keys.json", folder);
    snprintf(jwks_path, sizeof jwks_path, "%s/jwks.json", folder);
    token_maker_init(&maker);
    return qn_file_write_private(jwks_path, maker.jwks, strlen(maker.jwks), NULL) == QN_OK ? 0 : -1;
}

static int remove_files(void **state)
{
    (void)state;
    token_maker_release(&maker);
    unlink(keys_path);
    unlink(jwks_path);
    return rmdir(folder);
}

static void add_key(char text[QN_KEY_TEXT_BYTES])
{
    qn_error err = {0};
    const qn_key_request request = {
        .path = keys_path, .name = "a", .roles = QN_ACCESS_READ, .expires_us = INT64_MAX};
    CHECK_OK(qn_key_create(&request, text, &err));
}

static void options_go_together(void **state)
{
    (void)state;
    const qn_credential_files cases[] = {
        {.tls = {.certificate = "a"}},      {.tls = {.key = "a"}},
        {.tls = {.client_ca = "a"}},        {.jwks = jwks_path},
        {.jwks = jwks_path, .issuer = "a"}, {.jwks = jwks_path, .audience = "a"},
        {.issuer = "a", .audience = "a"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        qn_error err = {0};
        qn_credential_store *store;
        CHECK_FAILS(QN_ERR_ARG, qn_credential_store_create(&cases[i], &store, &err));
        CHECK(store == NULL);
    }
}

/* New keys count from the reload on; what cannot be read leaves the old ones in place. */
static void files_are_read_anew_when_they_changed(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_str messages = {0};
    bool changed;
    char first[QN_KEY_TEXT_BYTES], second[QN_KEY_TEXT_BYTES];
    const char *wrong;
    qn_credential_store *store;
    unlink(keys_path);
    add_key(first);
    const qn_credential_files files = {
        .keys = keys_path, .jwks = jwks_path, .issuer = "us", .audience = "quern"};
    CHECK_OK(qn_credential_store_create(&files, &store, &err));
    qn_credentials *old = qn_credential_store_acquire(store);
    CHECK(!qn_credential_store_is_newer(store, old));
    CHECK(qn_credential_store_reload(store, &messages, &changed) && !changed);
    CHECK(messages.bytes == 0);

    add_key(second);
    CHECK(qn_credential_store_reload(store, &messages, &changed) && changed);
    CHECK_CONTAINS(messages.text, "read anew");
    CHECK(qn_credential_store_is_newer(store, old));
    const qn_span key = {second, strlen(second)};
    CHECK(qn_key_file_find(old->keys, key, 0, &wrong) == NULL);
    qn_credentials_unref(old);
    qn_credentials *now = qn_credential_store_acquire(store);
    CHECK(qn_key_file_find(now->keys, key, 0, &wrong) != NULL);

    CHECK_INT(chmod(keys_path, 0644), 0);
    CHECK_INT(truncate(keys_path, 100), 0);
    qn_str_clear(&messages);
    CHECK(!qn_credential_store_reload(store, &messages, &changed) && !changed);
    CHECK_CONTAINS(messages.text, "the credentials read before go on");
    CHECK(!qn_credential_store_is_newer(store, now));
    qn_credentials_unref(now);
    qn_str_release(&messages);
    qn_credential_store_free(store);
}

static void secrets_in_a_file_for_all_are_refused(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_credential_store *store;
    const qn_credential_files files = {.jwks = jwks_path, .issuer = "us", .audience = "quern"};
    CHECK_INT(chmod(jwks_path, 0644), 0);
    CHECK_FAILS(QN_ERR_DATA, qn_credential_store_create(&files, &store, &err));
    CHECK_CONTAINS(err.message, "chmod 600");
    CHECK_INT(chmod(jwks_path, 0600), 0);
}

/* A cached token ends with its time, and with the keys that checked it. */
static void cached_tokens_do_not_outlive_their_reasons(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_arena memory = {0};
    qn_identity identity;
    const char *wrong;
    bool changed;
    qn_credential_store *store;
    const qn_credential_files files = {.jwks = jwks_path, .issuer = "us", .audience = "quern"};
    CHECK_OK(qn_credential_store_create(&files, &store, &err));
    qn_credentials *credentials = qn_credential_store_acquire(store);
    qn_token_cache *cache = qn_token_cache_create();
    char *text = token_make(&maker, "{\"alg\":\"EdDSA\",\"kid\":\"e\"}",
                            "{\"iss\":\"us\",\"aud\":\"quern\",\"exp\":2000,\"nbf\":1000,"
                            "\"sub\":\"alice\",\"scope\":\"predict:m\"}",
                            "EdDSA");
    const qn_span span = {text, strlen(text)};
    static const struct {
        int64_t now_s;
        bool good;
    } times[] = {{900, false},  {1500, true}, {1500, true}, {2029, true},
                 {2030, false}, {1600, true}, {969, false}, {970, true}};
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        CHECK(qn_token_cache_check(cache, credentials, span, times[i].now_s, &memory, &identity,
                                   &wrong) == times[i].good);
        if (!times[i].good) continue;
        const qn_span m = {"m", 1};
        CHECK_TEXT(identity.name, "token:alice");
        CHECK(qn_identity_may(&identity, QN_ACCESS_PREDICT, &m));
    }
    text[span.bytes - 10] ^= 1; /* another signature: another token */
    CHECK(!qn_token_cache_check(cache, credentials, span, 1500, &memory, &identity, &wrong));
    text[span.bytes - 10] ^= 1;
    qn_credentials_unref(credentials);

    static const char others[] = "{\"keys\":[{\"kty\":\"oct\",\"kid\":\"e\",\"k\":"
                                 "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}]}";
    CHECK_OK(qn_file_write_private(jwks_path, others, sizeof others - 1, &err));
    CHECK(qn_credential_store_reload(store, NULL, &changed) && changed);
    credentials = qn_credential_store_acquire(store);
    CHECK(!qn_token_cache_check(cache, credentials, span, 1500, &memory, &identity, &wrong));
    qn_credentials_unref(credentials);
    CHECK_OK(qn_file_write_private(jwks_path, maker.jwks, strlen(maker.jwks), &err));
    qn_free(text);
    qn_token_cache_free(cache);
    qn_arena_release(&memory);
    qn_credential_store_free(store);
}

static qn_status create_reload_and_free(void)
{
    qn_credential_store *store = NULL;
    const qn_credential_files files = {
        .keys = keys_path, .jwks = jwks_path, .issuer = "us", .audience = "quern"};
    const qn_status status = qn_credential_store_create(&files, &store, NULL);
    qn_credential_store_free(store);
    return status;
}

static void reading_survives_running_out_of_memory(void **state)
{
    (void)state;
    char text[QN_KEY_TEXT_BYTES];
    unlink(keys_path);
    add_key(text);
    CHECK_SURVIVES_NO_MEMORY(create_reload_and_free());
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(options_go_together),
                                       TEST(files_are_read_anew_when_they_changed),
                                       TEST(secrets_in_a_file_for_all_are_refused),
                                       TEST(cached_tokens_do_not_outlive_their_reasons),
                                       TEST(reading_survives_running_out_of_memory)};
    return cmocka_run_group_tests(tests, make_files, remove_files);
}
