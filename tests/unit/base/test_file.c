/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"

#include "check.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/quern-test-XXXXXX";
static char path[64];

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

static void a_written_file_maps_back(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_file_map map;
    CHECK_OK(qn_file_write(path, "hello", 5, &err));
    CHECK_OK(qn_file_map_open(path, &map, &err));
    CHECK_INT(map.bytes, 5);
    assert_memory_equal(map.data, "hello", 5);
    qn_file_unmap(&map);
    CHECK_OK(qn_file_write(path, "", 0, &err));
    CHECK_OK(qn_file_map_open(path, &map, &err));
    CHECK_INT(map.bytes, 0);
    qn_file_unmap(&map);
}

static void a_file_that_cannot_be_written_is_named_and_leaves_nothing(void **state)
{
    (void)state;
    qn_error err = {0};
    CHECK_FAILS(QN_ERR_IO, qn_file_write("/nowhere/at/all", "x", 1, &err));
    CHECK_CONTAINS(err.message, "/nowhere/at/all");
    CHECK_FAILS(QN_ERR_IO, qn_file_write("/dev/full", "x", 1, &err));
    CHECK_CONTAINS(err.message, "/dev/full");
    qn_file_map map;
    CHECK_FAILS(QN_ERR_IO, qn_file_map_open("/nowhere/at/all", &map, &err));
    CHECK_FAILS(QN_ERR_IO, qn_file_map_open("/tmp", &map, &err));
}

static void a_new_file_has_the_usual_permissions(void **state)
{
    (void)state;
    qn_error err = {0};
    const mode_t old = umask(022);
    unlink(path);
    CHECK_OK(qn_file_write(path, "x", 1, &err));
    umask(old);
    struct stat info;
    CHECK_INT(stat(path, &info), 0);
    CHECK_INT(info.st_mode & 0777, 0644);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_written_file_maps_back),
        TEST(a_file_that_cannot_be_written_is_named_and_leaves_nothing),
        TEST(a_new_file_has_the_usual_permissions)};
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
