/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens, and what attackers have made of them: RFC 8725 and the CVEs behind it. */
#include "serve/security/token.h"

#include "tokens.h"

static token_maker maker;
static qn_token_keys *keys;
static const int64_t now_s = 1800000000;

#define CLAIMS(rest) \
    "{\"iss\":\"us\",\"aud\":\"quern\",\"exp\":1800000100,\"sub\":\"alice\"" rest "}"
static const char good_claims[] = CLAIMS(",\"scope\":\"openid predict read:credit admin:\"");

static int make_keys(void **state)
{
    (void)state;
    bool secret;
    token_maker_init(&maker);
    return qn_token_keys_parse(maker.jwks, strlen(maker.jwks), "jwks", "us", "quern", &keys,
                               &secret, NULL) == QN_OK &&
                   secret
               ? 0
               : -1;
}

static int free_keys(void **state)
{
    (void)state;
    qn_token_keys_free(keys);
    token_maker_release(&maker);
    return 0;
}

/* NULL when it is good; else why not. */
static const char *check(const char *text, int64_t at_s, qn_arena *memory, qn_token *token)
{
    const char *wrong;
    const qn_span span = {text, strlen(text)};
    const bool good = qn_token_check(keys, span, at_s, memory, token, &wrong);
    CHECK(good == (wrong == NULL));
    return wrong;
}

static void check_refused(const char *header, const char *payload, const char *how,
                          const char *expected)
{
    qn_arena memory = {0};
    qn_token token;
    char *text = token_make(&maker, header, payload, how);
    const char *wrong = check(text, now_s, &memory, &token);
    if (!wrong || !strstr(wrong, expected)) {
        fail_msg("%s %s by %s: '%s', not '%s'", header, payload, how, wrong ? wrong : "good",
                 expected);
    }
    qn_free(text);
    qn_arena_release(&memory);
}

static void each_algorithm_is_taken(void **state)
{
    (void)state;
    static const char *const headers[][2] = {{"{\"alg\":\"HS256\",\"kid\":\"h\"}", "HS256"},
                                             {"{\"kid\":\"e\",\"alg\":\"EdDSA\"}", "EdDSA"},
                                             {"{\"alg\":\"RS256\",\"kid\":\"r\"}", "RS256"}};
    for (int i = 0; i < 3; i++) {
        qn_arena memory = {0};
        qn_token token;
        char *text = token_make(&maker, headers[i][0], good_claims, headers[i][1]);
        const char *wrong = check(text, now_s, &memory, &token);
        if (wrong) fail_msg("%s: %s", headers[i][1], wrong);
        const qn_span credit = {"credit", 6}, other = {"other", 5};
        CHECK_TEXT(token.identity.name, "token:alice");
        CHECK(qn_identity_may(&token.identity, QN_ACCESS_PREDICT, NULL));
        CHECK(qn_identity_may(&token.identity, QN_ACCESS_PREDICT, &other));
        CHECK(qn_identity_may(&token.identity, QN_ACCESS_READ, &credit));
        CHECK(!qn_identity_may(&token.identity, QN_ACCESS_READ, &other));
        CHECK(!qn_identity_may(&token.identity, QN_ACCESS_READ, NULL));
        CHECK(qn_identity_may_some(&token.identity, QN_ACCESS_READ));
        CHECK(!qn_identity_may_some(&token.identity, QN_ACCESS_ADMIN)); /* "admin:" names none */
        qn_free(text);
        qn_arena_release(&memory);
    }
}

static void what_a_token_says_of_itself_changes_nothing(void **state)
{
    (void)state;
    static const struct {
        const char *header, *how, *expected;
    } cases[] = {
        {"{\"alg\":\"none\",\"kid\":\"h\"}", "empty", "algorithm"},
        {"{\"alg\":\"None\",\"kid\":\"e\"}", "empty", "algorithm"},
        {"{\"alg\":\"none\"}", "empty", "key is not known"},
        {"{\"alg\":\"\",\"kid\":\"h\"}", "HS256", "algorithm"},
        {"{\"kid\":\"h\"}", "HS256", "algorithm"},
        {"{\"alg\":\"hs256\",\"kid\":\"h\"}", "HS256", "algorithm"},
        {"{\"alg\":[\"HS256\"],\"kid\":\"h\"}", "HS256", "algorithm"},
        {"{\"alg\":\"HS256\",\"kid\":\"h\"}", "empty", "signature"},
        {"{\"alg\":\"EdDSA\",\"kid\":\"e\"}", "empty", "signature"},
        {"{\"alg\":\"RS256\",\"kid\":\"r\"}", "empty", "signature"},
        {"{\"alg\":\"HS256\",\"kid\":\"r\"}", "modulus as secret", "algorithm"},
        {"{\"alg\":\"HS256\",\"kid\":\"e\"}", "point as secret", "algorithm"},
        {"{\"alg\":\"RS256\",\"kid\":\"r\"}", "modulus as secret", "signature"},
        {"{\"alg\":\"HS384\",\"kid\":\"h\"}", "HS256", "algorithm"},
        {"{\"alg\":\"RS256\",\"kid\":\"h\"}", "RS256", "algorithm"},
        {"{\"alg\":\"HS256\",\"kid\":\"h\"}", "EdDSA", "signature"},
        {"{\"alg\":\"HS256\"}", "HS256", "key is not known"}, /* of three, which? */
        {"{\"alg\":\"HS256\",\"kid\":\"../../dev/null\"}", "HS256", "key is not known"},
        {"{\"alg\":\"HS256\",\"kid\":\"' OR 1=1 --\"}", "HS256", "key is not known"},
        {"{\"alg\":\"HS256\",\"kid\":\"\"}", "HS256", "key is not known"},
        {"{\"alg\":\"HS256\",\"kid\":null}", "HS256", "key is not known"},
        {"{\"alg\":\"HS256\",\"kid\":[\"h\"]}", "HS256", "key is not known"},
        {"{\"alg\":\"HS256\",\"kid\":\"h\\u0000\"}", "HS256", "no key and no token"},
        {"{\"alg\":\"none\",\"alg\":\"HS256\",\"kid\":\"h\"}", "HS256", "no key and no token"},
        {"{\"alg\":\"HS256\",\"kid\":\"h\",\"crit\":[\"b64\"],\"b64\":false}", "HS256",
         "extension"},
        {"{\"alg\":\"HS256\",\"kid\":\"x\",\"jwk\":{\"kty\":\"oct\",\"k\":\"AAAA\"}}", "HS256",
         "key is not known"},
        {"{\"alg\":\"RS256\",\"kid\":\"x\",\"jku\":\"https://evil.example/jwks\"}", "RS256",
         "key is not known"},
        {"[]", "HS256", "no key and no token"},
        {"", "HS256", "no key and no token"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        check_refused(cases[i].header, good_claims, cases[i].how, cases[i].expected);
    }
}

static void claims_must_be_this_servers_and_now(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"{\"iss\":\"us\",\"aud\":\"quern\"}", "times"},
        {"{\"iss\":\"us\",\"aud\":\"quern\",\"exp\":\"1800000100\"}", "times"},
        {"{\"iss\":\"us\",\"aud\":\"quern\",\"exp\":1e300}", "times"},
        {"{\"iss\":\"us\",\"aud\":\"quern\",\"exp\":-1e300}", "times"},
        {"{\"iss\":\"us\",\"aud\":\"quern\",\"exp\":null}", "times"},
        {"{\"iss\":\"us\",\"aud\":\"quern\",\"exp\":1799999970}", "expired"},
        {"{\"iss\":\"us\",\"aud\":\"quern\",\"exp\":0}", "expired"},
        {CLAIMS(",\"nbf\":1800000031"), "not good yet"},
        {CLAIMS(",\"iat\":1800000031"), "not good yet"},
        {CLAIMS(",\"nbf\":\"soon\""), "times"},
        {"{\"iss\":\"them\",\"aud\":\"quern\",\"exp\":1800000100}", "issuer"},
        {"{\"iss\":[\"us\"],\"aud\":\"quern\",\"exp\":1800000100}", "issuer"},
        {"{\"aud\":\"quern\",\"exp\":1800000100}", "issuer"},
        {"{\"iss\":\"us\",\"aud\":\"other\",\"exp\":1800000100}", "audience"},
        {"{\"iss\":\"us\",\"aud\":[\"other\",\"quern2\"],\"exp\":1800000100}", "audience"},
        {"{\"iss\":\"us\",\"aud\":[],\"exp\":1800000100}", "audience"},
        {"{\"iss\":\"us\",\"exp\":1800000100}", "audience"},
        {"{\"exp\":1,\"exp\":1800000100,\"iss\":\"us\",\"aud\":\"quern\"}", "JSON"},
        {"\"text\"", "JSON"},
        {"{\"iss\":\"us\"", "JSON"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        check_refused("{\"alg\":\"HS256\",\"kid\":\"h\"}", cases[i][0], "HS256", cases[i][1]);
    }
    static const char *const fine[] = {
        CLAIMS(""), "{\"iss\":\"us\",\"aud\":[\"a\",\"quern\"],\"exp\":1799999971}",
        CLAIMS(",\"nbf\":1800000030,\"iat\":1.79e9"), CLAIMS(",\"scope\":7")};
    for (size_t i = 0; i < sizeof fine / sizeof *fine; i++) {
        qn_arena memory = {0};
        qn_token token;
        char *text = token_make(&maker, "{\"alg\":\"HS256\",\"kid\":\"h\"}", fine[i], "HS256");
        const char *wrong = check(text, now_s, &memory, &token);
        if (wrong) fail_msg("%s: %s", fine[i], wrong);
        CHECK_INT(token.identity.n_grants, 0); /* good, and allowed nothing */
        qn_free(text);
        qn_arena_release(&memory);
    }
}

/* Every character of a good token changed, and every length of it. */
static void no_bit_of_a_token_may_change(void **state)
{
    (void)state;
    qn_arena memory = {0};
    qn_token token;
    char *text = token_make(&maker, "{\"alg\":\"EdDSA\",\"kid\":\"e\"}", good_claims, "EdDSA");
    const size_t bytes = strlen(text);
    CHECK(check(text, now_s, &memory, &token) == NULL);
    for (size_t i = 0; i < bytes; i++) {
        const char before = text[i];
        text[i] = before == 'A' ? 'B' : 'A';
        CHECK(check(text, now_s, &memory, &token) != NULL);
        text[i] = '\0';
        CHECK(check(text, now_s, &memory, &token) != NULL);
        text[i] = before;
        qn_arena_reset(&memory);
    }
    static const char *const shapes[] = {"", ".", "..", "...", "a.b.c", "a.b.c.d", "a.b.c.d.e"};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        CHECK(check(shapes[i], now_s, &memory, &token) != NULL);
    }
    char *large = calloc(1, QN_TOKEN_BYTES_MAX + 2);
    memset(large, 'A', QN_TOKEN_BYTES_MAX + 1);
    large[10] = large[20] = '.';
    CHECK(check(large, now_s, &memory, &token) != NULL);
    free(large);
    qn_free(text);
    qn_arena_release(&memory);
}

static void key_sets_that_cannot_be_are_named(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"", "jwks:"},
        {"[]", "no JSON Web Key Set"},
        {"{\"keys\":[]}", "no JSON Web Key Set"},
        {"{\"keys\":{}}", "no JSON Web Key Set"},
        {"{\"keys\":[{}]}", "key 1: its 'kty'"},
        {"{\"keys\":[{\"kty\":\"EC\"}]}", "key 1: its 'kty'"},
        {"{\"keys\":[{\"kty\":\"oct\"}]}", "'k' is no base64url"},
        {"{\"keys\":[{\"kty\":\"oct\",\"k\":\"AA==\"}]}", "'k' is no base64url"},
        {"{\"keys\":[{\"kty\":\"oct\",\"k\":\"AAAA\"}]}", "32 to 1024 bytes, not 3"},
        {"{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"X25519\",\"x\":\"AAAA\"}]}", "Ed25519"},
        {"{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AAAA\"}]}", "32 bytes, not 3"},
        {"{\"keys\":[{\"kty\":\"RSA\",\"n\":\"AAAA\",\"e\":\"AQAB\"}]}", "2048 to 8192 bits"},
        {"{\"keys\":[{\"kty\":\"oct\",\"use\":\"enc\",\"k\":\"AAAA\"}]}", "not for signatures"},
        {"{\"keys\":[{\"kty\":\"oct\",\"alg\":\"none\",\"k\":"
         "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}]}",
         "its 'alg' is not HS256"},
        {"{\"keys\":[{\"kty\":\"oct\",\"kid\":\"a\",\"k\":"
         "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"},{\"kid\":\"a\"}]}",
         "key 2: its 'kid' is given twice"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        qn_error err = {0};
        qn_token_keys *none;
        bool secret;
        CHECK_FAILS(QN_ERR_DATA, qn_token_keys_parse(cases[i][0], strlen(cases[i][0]), "jwks", "us",
                                                     "quern", &none, &secret, &err));
        CHECK_CONTAINS(err.message, cases[i][1]);
        CHECK(none == NULL);
    }
}

static qn_status parse_and_free(void)
{
    qn_token_keys *parsed = NULL;
    bool secret;
    const qn_status status = qn_token_keys_parse(maker.jwks, strlen(maker.jwks), "jwks", "us",
                                                 "quern", &parsed, &secret, NULL);
    qn_token_keys_free(parsed);
    return status;
}

static void reading_keys_survives_running_out_of_memory(void **state)
{
    (void)state;
    CHECK_SURVIVES_NO_MEMORY(parse_and_free());
}

/* Without memory a token is not good. */
static void checking_survives_running_out_of_memory(void **state)
{
    (void)state;
    char *text = token_make(&maker, "{\"alg\":\"HS256\",\"kid\":\"h\"}", good_claims, "HS256");
    bool made_it = false;
    for (int64_t nth = 1; nth < 100 && !made_it; nth++) {
        qn_arena memory = {0};
        qn_token token;
        qn_alloc_fail_at(nth, false);
        const char *wrong = check(text, now_s, &memory, &token);
        made_it = qn_alloc_fail_at(0, false) < nth;
        CHECK(made_it == (wrong == NULL));
        qn_arena_release(&memory);
    }
    CHECK(made_it);
    qn_free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(each_algorithm_is_taken),
                                       TEST(what_a_token_says_of_itself_changes_nothing),
                                       TEST(claims_must_be_this_servers_and_now),
                                       TEST(no_bit_of_a_token_may_change),
                                       TEST(key_sets_that_cannot_be_are_named),
                                       TEST(reading_keys_survives_running_out_of_memory),
                                       TEST(checking_survives_running_out_of_memory)};
    return cmocka_run_group_tests(tests, make_keys, free_keys);
}
