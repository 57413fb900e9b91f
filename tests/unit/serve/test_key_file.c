/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/security/key_file.h"

#include "check.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[] = "/tmp/quern-keys-XXXXXX";
static char path[64];

static int make_folder(void **state)
{
    (void)state;
    if (!mkdtemp(folder)) return -1;
    snprintf(path, sizeof path, "%s/keys.json", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder);
}

static qn_key_request request_of(const char *name)
{
    return (qn_key_request){.path = path,
                            .name = name,
                            .roles = QN_ACCESS_PREDICT,
                            .created_us = 1000000,
                            .expires_us = INT64_MAX};
}

static const char *find(const char *text, int64_t now_us, const qn_key **key)
{
    const char *wrong = NULL;
    qn_error err = {0};
    qn_key_file *file;
    static char name[QN_IDENTITY_NAME_BYTES];
    CHECK_OK(qn_key_file_open(path, &file, &err));
    const qn_key *found = qn_key_file_find(file, (qn_span){text, strlen(text)}, now_us, &wrong);
    CHECK((found == NULL) == (wrong != NULL));
    if (found) snprintf(name, sizeof name, "%s", found->identity.name);
    if (key) *key = found;
    qn_key_file_free(file);
    return wrong ? wrong : name;
}

static void keys_are_made_found_and_revoked(void **state)
{
    (void)state;
    qn_error err = {0};
    char first[QN_KEY_TEXT_BYTES], second[QN_KEY_TEXT_BYTES], id[QN_KEY_ID_BYTES + 1];
    struct stat info;
    unlink(path);
    umask(0);
    qn_key_request request = request_of("one");
    CHECK_OK(qn_key_create(&request, first, &err));
    request.name = "two";
    request.roles = QN_ACCESS_READ | QN_ACCESS_ADMIN;
    request.models = (const char *const[]){"credit", "iris", NULL};
    request.expires_us = INT64_C(1800000000) * 1000000;
    CHECK_OK(qn_key_create(&request, second, &err));
    CHECK_INT(stat(path, &info), 0);
    CHECK_INT(info.st_mode & 0777, 0600);
    CHECK_INT(strlen(first), QN_KEY_TEXT_BYTES - 1);
    CHECK(strcmp(first, second) != 0);
    CHECK(qn_key_is_key((qn_span){first, strlen(first)}));

    CHECK_CONTAINS(find(first, 0, NULL), " one");
    CHECK_CONTAINS(find(first, INT64_MAX - 1, NULL), " one");
    CHECK_CONTAINS(find(second, request.expires_us - 1, NULL), " two");
    CHECK_TEXT(find(second, request.expires_us, NULL), "the key has expired");

    qn_key_file *file;
    CHECK_OK(qn_key_file_open(path, &file, &err));
    const qn_identity *identity = &qn_key_file_at(file, 1)->identity;
    const qn_span iris = {"iris", 4}, other = {"iri", 3};
    CHECK(qn_identity_may(identity, QN_ACCESS_ADMIN, &iris));
    CHECK(!qn_identity_may(identity, QN_ACCESS_ADMIN, &other));
    CHECK(!qn_identity_may(identity, QN_ACCESS_ADMIN, NULL));
    CHECK(!qn_identity_may(identity, QN_ACCESS_PREDICT, &iris));
    qn_key_file_free(file);

    memcpy(id, first + 6, QN_KEY_ID_BYTES);
    id[QN_KEY_ID_BYTES] = '\0';
    CHECK_OK(qn_key_revoke(path, id, &err));
    CHECK_TEXT(find(first, 0, NULL), "the key is not known");
    CHECK_CONTAINS(find(second, 0, NULL), " two");
    CHECK_FAILS(QN_ERR_ARG, qn_key_revoke(path, id, &err));
    CHECK_CONTAINS(err.message, "there is no key");
}

/* The file does not have what a client must send. */
static void the_file_has_no_secrets(void **state)
{
    (void)state;
    qn_error err = {0};
    char text[QN_KEY_TEXT_BYTES], content[4096] = "";
    unlink(path);
    const qn_key_request request = request_of("one");
    CHECK_OK(qn_key_create(&request, text, &err));
    FILE *file = fopen(path, "r");
    CHECK(fread(content, 1, sizeof content - 1, file) > 0);
    fclose(file);
    CHECK(!strstr(content, text + 6 + QN_KEY_ID_BYTES + 1));
    CHECK_CONTAINS(content, "\"created\": \"1970-01-01T00:00:01Z\"");
}

static void no_character_of_a_key_may_change(void **state)
{
    (void)state;
    qn_error err = {0};
    char text[QN_KEY_TEXT_BYTES + 1];
    unlink(path);
    const qn_key_request request = request_of("one");
    CHECK_OK(qn_key_create(&request, text, &err));
    for (int i = 0; text[i]; i++) {
        const char before = text[i];
        text[i] = before == 'a' ? 'b' : 'a';
        CHECK_TEXT(find(text, 0, NULL), "the key is not known");
        text[i] = '\0';
        CHECK_TEXT(find(text, 0, NULL), "the key is not known");
        text[i] = before;
    }
    text[QN_KEY_TEXT_BYTES - 1] = 'A';
    text[QN_KEY_TEXT_BYTES] = '\0';
    CHECK_TEXT(find(text, 0, NULL), "the key is not known");
}

/* Several at once: no key is lost. */
static void editing_at_once_loses_nothing(void **state)
{
    (void)state;
    enum { WRITERS = 4, EACH = 10 };
    qn_error err = {0};
    pid_t children[WRITERS];
    unlink(path);
    for (int i = 0; i < WRITERS; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            char text[QN_KEY_TEXT_BYTES];
            const qn_key_request request = request_of("one");
            int n = 0;
            while (n < EACH && qn_key_create(&request, text, NULL) == QN_OK) {
                n++;
            }
            _exit(n == EACH ? 0 : 1);
        }
    }
    for (int i = 0; i < WRITERS; i++) {
        int code = -1;
        CHECK(waitpid(children[i], &code, 0) == children[i] && code == 0);
    }
    qn_key_file *file;
    CHECK_OK(qn_key_file_open(path, &file, &err));
    CHECK_INT(qn_key_file_n(file), WRITERS * EACH);
    qn_key_file_free(file);
}

static void requests_and_files_that_cannot_be_are_told_why(void **state)
{
    (void)state;
    qn_error err = {0};
    char text[QN_KEY_TEXT_BYTES];
    qn_key_request request = request_of("a b");
    CHECK_FAILS(QN_ERR_ARG, qn_key_create(&request, text, &err));
    request = request_of("one");
    request.roles = 0;
    CHECK_FAILS(QN_ERR_ARG, qn_key_create(&request, text, &err));
    request = request_of("one");
    request.models = (const char *const[]){"../x", NULL};
    CHECK_FAILS(QN_ERR_ARG, qn_key_create(&request, text, &err));
    request = request_of("one");
    request.path = "/nowhere/keys.json";
    CHECK_FAILS(QN_ERR_IO, qn_key_create(&request, text, &err));
    CHECK_FAILS(QN_ERR_IO, qn_key_revoke("/nowhere/keys.json", "00", &err));
#define KEY(rest) "{\"format\":1,\"keys\":[{\"id\":\"00112233445566aa\"" rest "}]}"
#define DIGEST                                       \
    ",\"digest\":\"00000000000000000000000000000000" \
    "00000000000000000000000000000000\""
    static const char *const cases[][2] = {
        {"", "file:"},
        {"{}", "no file of keys of format 1"},
        {"{\"format\":2,\"keys\":[]}", "no file of keys of format 1"},
        {"{\"format\":1,\"keys\":{}}", "no file of keys of format 1"},
        {"{\"format\":1,\"keys\":[{}]}", "an 'id' is 16 hexadecimal digits"},
        {KEY(""), "key '00112233445566aa': its 'name'"},
        {KEY(",\"name\":\"a b\""), "its 'name'"},
        {KEY(",\"name\":\"a\""), "its 'digest'"},
        {KEY(",\"name\":\"a\",\"digest\":\"00\""), "its 'digest'"},
        {KEY(",\"name\":\"a\"" DIGEST), "no list of roles"},
        {KEY(",\"name\":\"a\"" DIGEST ",\"roles\":\"read\""), "no list of roles"},
        {KEY(",\"name\":\"a\"" DIGEST ",\"roles\":[]"), "no list of roles"},
        {KEY(",\"name\":\"a\"" DIGEST ",\"roles\":[\"root\"]"), "a role is"},
        {KEY(",\"name\":\"a\"" DIGEST ",\"roles\":[\"read\"],\"models\":[]"), "leave it out"},
        {KEY(",\"name\":\"a\"" DIGEST ",\"roles\":[\"read\"],\"models\":\"m\""), "leave it out"},
        {KEY(",\"name\":\"a\"" DIGEST ",\"roles\":[\"read\"],\"models\":[7]"),
         "no name of a model"},
        {KEY(",\"name\":\"a\"" DIGEST ",\"roles\":[\"read\"],\"expires\":\"soon\""), "a time is"},
        {KEY(",\"name\":\"a\"" DIGEST ",\"roles\":[\"read\"],\"expires\":null"), "a time is"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        qn_key_file *file;
        CHECK_FAILS(QN_ERR_DATA,
                    qn_key_file_parse(cases[i][0], strlen(cases[i][0]), "file", &file, &err));
        CHECK_CONTAINS(err.message, cases[i][1]);
        CHECK(file == NULL);
    }
    static const char one[] =
        "{\"id\":\"00112233445566aa\",\"name\":\"a\"" DIGEST ",\"roles\":[\"read\"]}";
    char twice[1024];
    qn_key_file *file;
    snprintf(twice, sizeof twice, "{\"format\":1,\"keys\":[%s,%s]}", one, one);
    CHECK_FAILS(QN_ERR_DATA, qn_key_file_parse(twice, strlen(twice), "file", &file, &err));
    CHECK_CONTAINS(err.message, "given twice");
}

static qn_status create_list_revoke(void)
{
    char text[QN_KEY_TEXT_BYTES];
    qn_key_request request = request_of("one");
    request.models = (const char *const[]){"credit", NULL};
    QN_TRY(qn_key_create(&request, text, NULL));
    char id[QN_KEY_ID_BYTES + 1] = "";
    memcpy(id, text + 6, QN_KEY_ID_BYTES);
    return qn_key_revoke(path, id, NULL);
}

static void editing_survives_running_out_of_memory(void **state)
{
    (void)state;
    qn_error err = {0};
    unlink(path);
    CHECK_SURVIVES_NO_MEMORY(create_list_revoke());
    qn_key_file *file;
    CHECK_OK(qn_key_file_open(path, &file, &err)); /* whole, whatever failed */
    qn_key_file_free(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(keys_are_made_found_and_revoked),
                                       TEST(the_file_has_no_secrets),
                                       TEST(no_character_of_a_key_may_change),
                                       TEST(editing_at_once_loses_nothing),
                                       TEST(requests_and_files_that_cannot_be_are_told_why),
                                       TEST(editing_survives_running_out_of_memory)};
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
