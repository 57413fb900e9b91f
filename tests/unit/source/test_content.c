/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes from files, pipes and standard input, plain and packed, whole and damaged. */
#include "source/content.h"

#include "check.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

static char folder[] = "/tmp/quern-content-XXXXXX";
static char path[64];

struct bytes {
    uint8_t *data;
    size_t n;
};

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

static void write_file(struct bytes content)
{
    FILE *file = fopen(path, "wb");
    CHECK(file && fwrite(content.data, 1, content.n, file) == content.n);
    fclose(file);
}

static struct bytes join(struct bytes a, struct bytes b)
{
    struct bytes all = {malloc(a.n + b.n + 1), a.n + b.n};
    if (a.n > 0) memcpy(all.data, a.data, a.n);
    if (b.n > 0) memcpy(all.data + a.n, b.data, b.n);
    return all;
}

static struct bytes gzip(const void *data, size_t n)
{
    z_stream stream = {0};
    struct bytes packed = {malloc(n + n / 100 + 1000), n + n / 100 + 1000};
    CHECK_INT(deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    stream.next_in = (Bytef *)(uintptr_t)data;
    stream.avail_in = (uInt)n;
    stream.next_out = packed.data;
    stream.avail_out = (uInt)packed.n;
    CHECK_INT(deflate(&stream, Z_FINISH), Z_STREAM_END);
    packed.n = stream.total_out;
    deflateEnd(&stream);
    return packed;
}

static struct bytes zstd(const void *data, size_t n)
{
    struct bytes packed = {malloc(ZSTD_compressBound(n)), 0};
    packed.n = ZSTD_compress(packed.data, ZSTD_compressBound(n), data, n, 3);
    CHECK(!ZSTD_isError(packed.n));
    return packed;
}

/* Text that packs badly, so that packed streams are long too. */
static struct bytes text_of(size_t n)
{
    struct bytes text = {malloc(n + 1), n};
    uint64_t draw = 1;
    for (size_t i = 0; i < n; i++) {
        draw = draw * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        text.data[i] = (uint8_t)("0123456789abcdef,\n"[(draw >> 33) % 18]);
    }
    return text;
}

static void check_opens(struct bytes packed, struct bytes expected)
{
    qn_error err = {0};
    qn_content content;
    write_file(packed);
    CHECK_OK(qn_content_open(path, NULL, &content, &err));
    CHECK_INT(content.bytes, expected.n);
    CHECK(expected.n == 0 || memcmp(content.data, expected.data, expected.n) == 0);
    qn_content_close(&content);
}

static void check_refused(struct bytes packed, const char *says)
{
    qn_error err = {0};
    qn_content content;
    write_file(packed);
    CHECK_FAILS(QN_ERR_DATA, qn_content_open(path, NULL, &content, &err));
    CHECK_CONTAINS(err.message, path);
    CHECK_CONTAINS(err.message, says);
    CHECK(content.data == NULL && content.owned == NULL);
}

static void packed_bytes_come_out_as_they_went_in(void **state)
{
    (void)state;
    /* Around the sizes of the buffers: 256 KB read, 1 MB written. */
    static const size_t sizes[] = {0, 1, 1000, 262144, 1048575, 1048576, 1048577, 5000000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct bytes text = text_of(sizes[i]), gz = gzip(text.data, text.n),
                     zst = zstd(text.data, text.n);
        check_opens(text, text);
        check_opens(gz, text);
        check_opens(zst, text);
        free(text.data);
        free(gz.data);
        free(zst.data);
    }
    /* Highly packed: one piece of input fills many buffers of output. */
    struct bytes zeros = {calloc(1, 20000000), 20000000};
    struct bytes gz = gzip(zeros.data, zeros.n), zst = zstd(zeros.data, zeros.n);
    check_opens(gz, zeros);
    check_opens(zst, zeros);
    free(zeros.data);
    free(gz.data);
    free(zst.data);
}

static void members_and_frames_follow_one_another(void **state)
{
    (void)state;
    struct bytes a = text_of(300000), b = text_of(70), both = join(a, b);
    struct bytes gz_a = gzip(a.data, a.n), gz_b = gzip(b.data, b.n), gz_empty = gzip("", 0);
    struct bytes gz = join(gz_a, gz_b), gz_three = join(gz, gz_empty);
    struct bytes zst_a = zstd(a.data, a.n), zst_b = zstd(b.data, b.n), zst = join(zst_a, zst_b);
    const struct bytes padding = {(uint8_t[8]){0}, 8};
    struct bytes gz_padded = join(gz, padding), gz_zero = join(gz, (struct bytes){padding.data, 1});
    check_opens(gz, both);
    check_opens(gz_three, both);
    check_opens(gz_padded, both);
    check_opens(gz_zero, both);
    check_opens(zst, both);
    struct bytes *all[] = {&a,        &b,     &both,  &gz_a, &gz_b,      &gz_empty, &gz,
                           &gz_three, &zst_a, &zst_b, &zst,  &gz_padded, &gz_zero};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        free(all[i]->data);
    }
}

static void what_follows_packed_bytes_is_not_passed_over(void **state)
{
    (void)state;
    struct bytes gz = gzip("a,b\n1,2\n", 8), zst = zstd("a,b\n1,2\n", 8);
    for (size_t n = 1; n < 5; n++) {
        const struct bytes garbage = {(uint8_t *)(char[]){"\x1fxyz"}, n};
        struct bytes gz_long = join(gz, garbage), zst_long = join(zst, garbage);
        check_refused(gz_long, "no gzip");
        check_refused(zst_long, "zstd data is");
        free(gz_long.data);
        free(zst_long.data);
    }
    free(gz.data);
    free(zst.data);
}

static void packed_bytes_cut_anywhere_are_refused(void **state)
{
    (void)state;
    struct bytes text = text_of(3000), gz = gzip(text.data, text.n), zst = zstd(text.data, text.n);
    for (size_t n = 2; n < gz.n; n += n < 40 || gz.n - n < 40 ? 1 : 37) {
        check_refused((struct bytes){gz.data, n}, "the gzip data is cut off");
    }
    for (size_t n = 4; n < zst.n; n += n < 40 || zst.n - n < 40 ? 1 : 37) {
        check_refused((struct bytes){zst.data, n}, "the zstd data is cut off");
    }
    /* Within the second of two. */
    struct bytes twice = join(gz, gz), zst_twice = join(zst, zst);
    check_refused((struct bytes){twice.data, twice.n - 1}, "cut off");
    check_refused((struct bytes){twice.data, gz.n + 2}, "cut off");
    check_refused((struct bytes){zst_twice.data, zst.n + 4}, "cut off");
    free(text.data);
    free(gz.data);
    free(zst.data);
    free(twice.data);
    free(zst_twice.data);
}

static void a_flipped_bit_in_gzip_is_found(void **state)
{
    (void)state;
    struct bytes text = text_of(2000), gz = gzip(text.data, text.n);
    qn_error err = {0};
    /* Behind the ten bytes of the header, of which several mean nothing. */
    for (size_t at = 10; at < gz.n; at += 3) {
        qn_content content;
        gz.data[at] ^= 4;
        write_file(gz);
        CHECK_FAILS(QN_ERR_DATA, qn_content_open(path, NULL, &content, &err));
        gz.data[at] ^= 4;
    }
    free(text.data);
    free(gz.data);
}

struct feeding {
    const char *to;
    int fd;
    struct bytes bytes;
};

static void *feed(void *context)
{
    const struct feeding *feeding = context;
    const int fd = feeding->to ? open(feeding->to, O_WRONLY) : feeding->fd;
    for (size_t at = 0; at < feeding->bytes.n;) {
        const size_t left = feeding->bytes.n - at;
        const ssize_t n = write(fd, feeding->bytes.data + at, left < 5000 ? left : 5000);
        if (n <= 0) break;
        at += (size_t)n;
    }
    close(fd);
    return NULL;
}

/* A named pipe, and standard input as a pipe, plain and packed. */
static void pipes_are_read_to_their_end(void **state)
{
    (void)state;
    struct bytes text = text_of(700000), gz = gzip(text.data, text.n);
    for (int i = 0; i < 4; i++) {
        qn_error err = {0};
        qn_content content;
        pthread_t thread;
        int ends[2] = {-1, -1}, saved = -1;
        struct feeding feeding = {.bytes = i % 2 ? gz : text};
        unlink(path);
        if (i < 2) {
            CHECK_INT(mkfifo(path, 0600), 0);
            feeding.to = path;
        } else {
            CHECK_INT(pipe(ends), 0);
            saved = dup(STDIN_FILENO);
            dup2(ends[0], STDIN_FILENO);
            close(ends[0]);
            feeding.fd = ends[1];
        }
        pthread_create(&thread, NULL, feed, &feeding);
        CHECK_OK(qn_content_open(i < 2 ? path : "-", NULL, &content, &err));
        pthread_join(thread, NULL);
        if (i >= 2) {
            dup2(saved, STDIN_FILENO);
            close(saved);
        }
        CHECK(content.bytes == text.n && memcmp(content.data, text.data, text.n) == 0);
        qn_content_drop(&content, content.data, content.data + content.bytes);
        CHECK_INT(content.data[0], text.data[0]);
        qn_content_close(&content);
    }
    unlink(path);
    free(text.data);
    free(gz.data);
}

static void standard_input_that_cannot_be_read_is_named(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_content content;
    const int saved = dup(STDIN_FILENO), folder_fd = open(folder, O_RDONLY);
    dup2(folder_fd, STDIN_FILENO);
    const qn_status status = qn_content_open("-", NULL, &content, &err);
    dup2(saved, STDIN_FILENO);
    close(saved);
    close(folder_fd);
    CHECK_INT(status, QN_ERR_IO);
    CHECK_CONTAINS(err.message, "standard input: ");
    CHECK(content.data == NULL);
}

static void what_is_no_file_is_named(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_content content;
    CHECK_FAILS(QN_ERR_IO, qn_content_open(folder, NULL, &content, &err));
    CHECK_CONTAINS(err.message, folder);
    CHECK_CONTAINS(err.message, "not a regular file");
    CHECK_FAILS(QN_ERR_IO, qn_content_open("/nowhere/at/all", NULL, &content, &err));
    CHECK_CONTAINS(err.message, "/nowhere/at/all");
    CHECK_OK(qn_content_open("/dev/null", NULL, &content, &err));
    CHECK_INT(content.bytes, 0);
    qn_content_close(&content);
}

static void reading_stops_when_asked(void **state)
{
    (void)state;
    struct bytes text = text_of(100), gz = gzip(text.data, text.n), zst = zstd(text.data, text.n);
    const volatile sig_atomic_t flag = 1;
    const qn_stop stop = {.interrupted = &flag};
    qn_error err = {0};
    qn_content content;
    write_file(gz);
    CHECK_FAILS(QN_ERR_INTERRUPTED, qn_content_open(path, &stop, &content, &err));
    write_file(zst);
    CHECK_FAILS(QN_ERR_INTERRUPTED, qn_content_open(path, &stop, &content, &err));
    CHECK_FAILS(QN_ERR_INTERRUPTED, qn_content_open("/dev/zero", &stop, &content, &err));
    CHECK_CONTAINS(err.message, "/dev/zero");
    CHECK(content.data == NULL);
    free(text.data);
    free(gz.data);
    free(zst.data);
}

static void opening_survives_running_out_of_memory(void **state)
{
    (void)state;
    struct bytes text = text_of(3000000), gz = gzip(text.data, text.n),
                 zst = zstd(text.data, text.n);
    qn_content content;
    write_file(gz);
    CHECK_SURVIVES_NO_MEMORY(qn_content_open(path, NULL, &content, NULL));
    qn_content_close(&content);
    write_file(zst);
    CHECK_SURVIVES_NO_MEMORY(qn_content_open(path, NULL, &content, NULL));
    qn_content_close(&content);
    CHECK_SURVIVES_NO_MEMORY(qn_content_open("/dev/null", NULL, &content, NULL));
    qn_content_close(&content);
    free(text.data);
    free(gz.data);
    free(zst.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(packed_bytes_come_out_as_they_went_in),
                                       TEST(members_and_frames_follow_one_another),
                                       TEST(what_follows_packed_bytes_is_not_passed_over),
                                       TEST(packed_bytes_cut_anywhere_are_refused),
                                       TEST(a_flipped_bit_in_gzip_is_found),
                                       TEST(pipes_are_read_to_their_end),
                                       TEST(standard_input_that_cannot_be_read_is_named),
                                       TEST(what_is_no_file_is_named),
                                       TEST(reading_stops_when_asked),
                                       TEST(opening_survives_running_out_of_memory)};
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
