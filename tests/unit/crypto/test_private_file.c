/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/private_file.h"

#include "check.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/quern-private-XXXXXX";
static char path[64];

static void put(const char *text, mode_t mode)
{
    FILE *file = fopen(path, "w");
    CHECK(file != NULL);
    fputs(text, file);
    fclose(file);
    CHECK_INT(chmod(path, mode), 0);
}

static void files_that_others_can_reach_are_refused(void **state)
{
    (void)state;
    static const struct {
        mode_t mode;
        bool good;
    } modes[] = {{0600, true},  {0400, true},  {0640, true},  {0440, true},  {0644, false},
                 {0604, false}, {0660, false}, {0620, false}, {0602, false}, {0610, false}};
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        qn_error err = {0};
        char *text;
        size_t bytes;
        put("secret", modes[i].mode);
        const qn_status status = qn_private_file_read(path, 100, &text, &bytes, &err);
        CHECK_INT(status, modes[i].good ? QN_OK : QN_ERR_DATA);
        CHECK_INT(qn_private_file_check(path, NULL), status);
        if (modes[i].good) {
            CHECK_TEXT(text, "secret");
            CHECK_INT(bytes, 6);
        } else {
            CHECK_CONTAINS(err.message, "chmod 600");
            CHECK(!strstr(err.message, "secret\n") && text == NULL);
        }
        qn_private_text_free(text, bytes);
    }
}

static void what_is_no_small_file_is_refused(void **state)
{
    (void)state;
    qn_error err = {0};
    char *text;
    size_t bytes;
    put("secret", 0600);
    CHECK_FAILS(QN_ERR_DATA, qn_private_file_read(path, 5, &text, &bytes, &err));
    CHECK_CONTAINS(err.message, "larger than 5 bytes");
    CHECK_FAILS(QN_ERR_DATA, qn_private_file_read(folder, 5, &text, &bytes, &err));
    CHECK_FAILS(QN_ERR_DATA, qn_private_file_read("/dev/zero", 5, &text, &bytes, &err));
    CHECK_INT(unlink(path), 0);
    CHECK_FAILS(QN_ERR_IO, qn_private_file_read(path, 5, &text, &bytes, &err));
    CHECK_INT(mkfifo(path, 0600), 0); /* must not wait for a writer */
    CHECK_FAILS(QN_ERR_DATA, qn_private_file_read(path, 5, &text, &bytes, &err));
    CHECK_CONTAINS(err.message, "not a regular file");
    CHECK_INT(unlink(path), 0);
}

static void reading_survives_running_out_of_memory(void **state)
{
    (void)state;
    char *text = NULL;
    size_t bytes = 0;
    put("secret", 0600);
    CHECK_SURVIVES_NO_MEMORY(qn_private_file_read(path, 100, &text, &bytes, NULL));
    qn_private_text_free(text, bytes);
}

static int make_folder(void **state)
{
    (void)state;
    if (!mkdtemp(folder)) return -1;
    snprintf(path, sizeof path, "%s/file", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(files_that_others_can_reach_are_refused),
                                       TEST(what_is_no_small_file_is_refused),
                                       TEST(reading_survives_running_out_of_memory)};
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
