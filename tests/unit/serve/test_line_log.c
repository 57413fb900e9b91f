/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/telemetry/line_log.h"

#include "check.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static char path[] = "/tmp/quern-line-log-XXXXXX";

static int make_file(void **state)
{
    (void)state;
    const int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state)
{
    (void)state;
    return unlink(path);
}

static qn_line_log *open_log(const char *at)
{
    qn_error err = {0};
    qn_line_log *log = NULL;
    CHECK_OK(qn_line_log_open("--access-log", at, &log, &err));
    CHECK_OK(qn_line_log_start(log, &err));
    return log;
}

/* The whole file, to free(). */
static char *read_file(const char *at)
{
    FILE *file = fopen(at, "r");
    CHECK(file != NULL);
    char *text = calloc(1, 1 << 20);
    CHECK(text != NULL);
    CHECK(fread(text, 1, (1 << 20) - 1, file) < (1 << 20) - 1);
    fclose(file);
    return text;
}

enum { WRITERS = 4, LINES = 2000 };

static void *write_lines(void *log)
{
    for (int i = 0; i < LINES; i++) {
        qn_line_log_append(log, "{\"n\":1}\n", 8, 1);
    }
    return NULL;
}

static void lines_of_many_threads_stay_whole(void **state)
{
    (void)state;
    pthread_t threads[WRITERS];
    CHECK_INT(truncate(path, 0), 0);
    qn_line_log *log = open_log(path);
    for (int i = 0; i < WRITERS; i++) {
        CHECK_INT(pthread_create(&threads[i], NULL, write_lines, log), 0);
    }
    for (int i = 0; i < WRITERS; i++) {
        pthread_join(threads[i], NULL);
    }
    const qn_line_log_counts counts = qn_line_log_count(log);
    CHECK_INT(counts.taken, WRITERS * LINES);
    CHECK_INT(counts.dropped, 0);
    qn_line_log_close(log);
    char *text = read_file(path);
    int n = 0;
    for (const char *line = text; *line; line += 8) {
        CHECK(strncmp(line, "{\"n\":1}\n", 8) == 0);
        n++;
    }
    CHECK_INT(n, WRITERS * LINES);
    free(text);
}

static void after_a_rotation_lines_go_to_the_new_file(void **state)
{
    (void)state;
    qn_error err = {0};
    char old[sizeof path + 4];
    CHECK_INT(truncate(path, 0), 0);
    snprintf(old, sizeof old, "%s.1", path);
    qn_line_log *log = open_log(path);
    CHECK_INT(rename(path, old), 0);
    CHECK_OK(qn_line_log_reopen(log, &err));
    qn_line_log_append(log, "new\n", 4, 1);
    qn_line_log_close(log);
    char *text = read_file(path), *before = read_file(old);
    CHECK_TEXT(text, "new\n");
    CHECK_TEXT(before, "");
    free(text);
    free(before);
    unlink(old);
}

static void a_full_disk_is_counted_and_leaves_whole_lines(void **state)
{
    (void)state;
    struct rlimit before, small;
    CHECK_INT(truncate(path, 0), 0);
    CHECK_INT(getrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, SIG_IGN);
    small = before;
    small.rlim_cur = 20;
    qn_line_log *log = open_log(path);
    CHECK_INT(setrlimit(RLIMIT_FSIZE, &small), 0);
    qn_line_log_append(log, "line 1\nline 2\nline 3\nline 4\n", 28, 4);
    while (qn_line_log_count(log).dropped == 0) {
        usleep(1000);
    }
    CHECK_INT(setrlimit(RLIMIT_FSIZE, &before), 0);
    CHECK_INT(qn_line_log_count(log).dropped, 2);
    qn_line_log_append(log, "line 5\n", 7, 1); /* there is room again */
    qn_line_log_close(log);
    char *text = read_file(path);
    CHECK_TEXT(text, "line 1\nline 2\nline 5\n");
    free(text);
}

static void a_device_that_takes_nothing_loses_all_lines(void **state)
{
    (void)state;
    qn_line_log *log = open_log("/dev/full");
    qn_line_log_append(log, "a\nb\n", 4, 2);
    while (qn_line_log_count(log).dropped < 2) {
        usleep(1000);
    }
    qn_line_log_close(log);
}

/* Nothing writes before qn_line_log_start(), so all has to wait. */
static void what_the_buffer_cannot_take_is_dropped(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_line_log *log = NULL;
    char *line = malloc(1 << 20);
    CHECK(line != NULL);
    memset(line, 'x', 1 << 20);
    line[(1 << 20) - 1] = '\n';
    CHECK_OK(qn_line_log_open("--access-log", "/dev/null", &log, &err));
    for (int i = 0; i < (QN_LINE_LOG_BYTES_MAX >> 20) + 3; i++) {
        qn_line_log_append(log, line, 1 << 20, 1);
    }
    CHECK_INT(qn_line_log_count(log).dropped, 3);
    qn_line_log_drop(log, 5);
    CHECK_INT(qn_line_log_count(log).dropped, 8);
    qn_line_log_close(log);
    free(line);
}

static void a_path_that_cannot_be_is_told(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_line_log *log = NULL;
    CHECK_FAILS(QN_ERR_IO, qn_line_log_open("--access-log", "/nowhere/log", &log, &err));
    CHECK(log == NULL);
    CHECK_TEXT(err.message, "--access-log /nowhere/log: No such file or directory");
}

static void opening_survives_running_out_of_memory(void **state)
{
    (void)state;
    qn_line_log *log = NULL;
    CHECK_SURVIVES_NO_MEMORY(qn_line_log_open("--access-log", path, &log, NULL));
    qn_alloc_fail_at(1, false);
    qn_line_log_append(log, "lost\n", 5, 1);
    qn_alloc_fail_at(0, false);
    CHECK_INT(qn_line_log_count(log).dropped, 1);
    qn_line_log_close(log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_of_many_threads_stay_whole),
        cmocka_unit_test(after_a_rotation_lines_go_to_the_new_file),
        cmocka_unit_test(a_full_disk_is_counted_and_leaves_whole_lines),
        cmocka_unit_test(a_device_that_takes_nothing_loses_all_lines),
        cmocka_unit_test(what_the_buffer_cannot_take_is_dropped),
        cmocka_unit_test(a_path_that_cannot_be_is_told),
        cmocka_unit_test(opening_survives_running_out_of_memory)};
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
