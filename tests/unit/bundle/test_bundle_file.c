/* SPDX-License-Identifier: Apache-2.0 */
/* Headers that carry the right checksum and make no sense all the same, as a hostile file may. The
 * layout is written down here a second time, from docs/bundle-format.md. */
#include "bundle/bundle.h"
#include "bundle/bundle_file.h"

#include "base/hash.h"
#include "check.h"

#include <stdlib.h>
#include <unistd.h>

enum { HEADER_BYTES = 32 + 16 * 40, FIRST_SECTION = 704 };

static char path[] = "/tmp/quern-bundle-file-XXXXXX";

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

struct image {
    uint8_t *data;
    size_t bytes;
};

static struct image read_image(void)
{
    struct image image = {0};
    FILE *file = fopen(path, "rb");
    CHECK(file != NULL);
    fseek(file, 0, SEEK_END);
    image.bytes = (size_t)ftell(file);
    rewind(file);
    image.data = malloc(image.bytes);
    CHECK_INT(fread(image.data, 1, image.bytes, file), image.bytes);
    fclose(file);
    return image;
}

static void write_image(const struct image *image)
{
    FILE *file = fopen(path, "wb");
    CHECK(file && fwrite(image->data, 1, image->bytes, file) == image->bytes);
    fclose(file);
}

/* Two sections of 5 and 70 bytes: the second begins at a multiple of 64 behind a gap. */
static struct image make_image(void)
{
    qn_error err = {0};
    uint8_t first[5] = "hello", second[70];
    memset(second, 'x', sizeof second);
    const qn_section sections[] = {{"first", first, sizeof first},
                                   {"second", second, sizeof second}};
    CHECK_OK(qn_bundle_file_write(path, sections, 2, &err));
    return read_image();
}

static void seal(struct image *image)
{
    memset(image->data + 24, 0, 8);
    const uint64_t checksum = qn_hash64(image->data, HEADER_BYTES);
    memcpy(image->data + 24, &checksum, 8);
}

static void put32(struct image *image, size_t at, uint32_t value)
{
    memcpy(image->data + at, &value, sizeof value);
}

static void put64(struct image *image, size_t at, uint64_t value)
{
    memcpy(image->data + at, &value, sizeof value);
}

static void check_refused(struct image *image, bool sealed, const char *says)
{
    qn_error err = {0};
    qn_bundle_file file;
    if (sealed) seal(image);
    write_image(image);
    CHECK_FAILS(QN_ERR_DATA, qn_bundle_file_open(path, false, &file, &err));
    CHECK_CONTAINS(err.message, path);
    CHECK_CONTAINS(err.message, says);
    CHECK(file.map.data == NULL && file.n_sections == 0);
    free(image->data);
}

static void sections_read_back(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_bundle_file file;
    struct image image = make_image();
    CHECK_OK(qn_bundle_file_open(path, false, &file, &err));
    CHECK_INT(file.n_sections, 2);
    const qn_section *second = qn_bundle_file_section(&file, "second");
    CHECK(second && second->bytes == 70 && second->data[69] == 'x');
    CHECK_INT((second->data - file.map.data) % 64, 0);
    CHECK(qn_bundle_file_section(&file, "third") == NULL);
    qn_bundle_file_close(&file);
    free(image.data);
}

static void no_sections_and_empty_ones_are_sections(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_bundle_file file;
    const qn_section empty[] = {{"sixteen_letters_", NULL, 0}, {"b", NULL, 0}};
    for (int32_t n = 0; n < 3; n++) {
        CHECK_OK(qn_bundle_file_write(path, empty, n, &err));
        CHECK_OK(qn_bundle_file_open(path, false, &file, &err));
        CHECK_INT(file.n_sections, n);
        CHECK((qn_bundle_file_section(&file, "sixteen_letters_") != NULL) == (n > 0));
        qn_bundle_file_close(&file);
    }
}

static void headers_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    struct image image = make_image();
    put32(&image, 8, 0);
    check_refused(&image, true, "makes no sense");
    image = make_image();
    put32(&image, 12, 17);
    check_refused(&image, true, "makes no sense");
    image = make_image();
    put32(&image, 8, 2);
    check_refused(&image, true, "format 2 is newer than this program's 1");
    image = make_image();
    put32(&image, 8, 2);
    check_refused(&image, false, "its header's checksum is wrong");
    image = make_image();
    put32(&image, 12, 1);
    check_refused(&image, false, "its header's checksum is wrong");
    image = make_image();
    put64(&image, 16, image.bytes + 1);
    check_refused(&image, true, "it is cut off");
    image = make_image();
    put64(&image, 16, image.bytes - 1);
    check_refused(&image, true, "bytes follow its end");
    image = make_image();
    put32(&image, 12, 1); /* the second section is then in no table */
    check_refused(&image, true, "bytes follow its sections");
}

static void tables_of_sections_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    const size_t first = 32, second = 72, offset = 16, bytes = 24, checksum = 32;
    static const char nonsense[] = "its table of sections makes no sense";
    const struct {
        size_t at;
        uint64_t value;
        const char *says;
    } cases[] = {{first + offset, 0, nonsense},
                 {first + offset, HEADER_BYTES + 1, nonsense},
                 {first + offset, UINT64_MAX - 63, nonsense},
                 {first + bytes, UINT64_MAX, nonsense},
                 {first + bytes, UINT64_C(1) << 40, nonsense},
                 {second + offset, FIRST_SECTION, nonsense},
                 {second + bytes, 71, nonsense},
                 {second + bytes, 69, "section 'second' is damaged (checksum)"},
                 {first + checksum, 1, "section 'first' is damaged (checksum)"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct image image = make_image();
        put64(&image, cases[i].at, cases[i].value);
        check_refused(&image, true, cases[i].says);
    }
    struct image image = make_image();
    image.data[FIRST_SECTION + 10] = 1; /* between the two */
    check_refused(&image, true, "bytes between its sections");
    image = make_image();
    image.data[FIRST_SECTION] ^= 1;
    check_refused(&image, true, "section 'first' is damaged");
}

static void models_without_their_sections_are_refused(void **state)
{
    (void)state;
    static const char schema[] =
        "{\"task\":\"regression\",\"target\":1,\"columns\":["
        "{\"name\":\"x\",\"type\":\"float64\",\"kind\":\"numeric\",\"role\":\"feature\"},"
        "{\"name\":\"y\",\"type\":\"float64\",\"kind\":\"numeric\",\"role\":\"target\"}]}";
    static const struct {
        const char *names[3], *contents[3];
        const char *says;
    } cases[] = {{{"none"}, {""}, "has no section 'schema'"},
                 {{"schema"}, {schema}, "has no section 'record'"},
                 {{"schema", "record"}, {schema, "{}"}, "has no section 'predictor'"},
                 {{"schema"}, {"{"}, ":1:"},
                 {{"schema"}, {"[]"}, "schema"},
                 {{"schema", "record"}, {schema, "{"}, ":1:"},
                 {{"schema", "record"}, {schema, "{\"test\":5}"}, ""},
                 {{"schema", "record"}, {schema, "{\"test_baseline\":5}"}, ""},
                 {{"schema", "record"}, {schema, "{\"cv\":5}"}, ""},
                 {{"schema", "record"}, {schema, "{\"profile\":5}"}, ""},
                 {{"schema", "record", "predictor"}, {schema, "{}", "rubbish"}, path}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        qn_section sections[3] = {0};
        int32_t n = 0;
        for (; n < 3 && cases[i].names[n]; n++) {
            strcpy(sections[n].name, cases[i].names[n]);
            sections[n].data = (const uint8_t *)cases[i].contents[n];
            sections[n].bytes = strlen(cases[i].contents[n]);
        }
        qn_error err = {0};
        qn_model *model = NULL;
        CHECK_OK(qn_bundle_file_write(path, sections, n, &err));
        CHECK_FAILS(QN_ERR_DATA, qn_model_open(path, &model, &err));
        CHECK_CONTAINS(err.message, cases[i].says);
        CHECK(err.message[0] != '\0');
        CHECK(model == NULL);
    }
}

static void writing_survives_running_out_of_memory(void **state)
{
    (void)state;
    const qn_section section = {"a", (const uint8_t *)"abc", 3};
    CHECK_SURVIVES_NO_MEMORY(qn_bundle_file_write(path, &section, 1, NULL));
    qn_error err = {0};
    qn_bundle_file file;
    CHECK_OK(qn_bundle_file_open(path, false, &file, &err));
    qn_bundle_file_close(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(sections_read_back),
                                       TEST(no_sections_and_empty_ones_are_sections),
                                       TEST(headers_that_make_no_sense_are_refused),
                                       TEST(tables_of_sections_that_make_no_sense_are_refused),
                                       TEST(models_without_their_sections_are_refused),
                                       TEST(writing_survives_running_out_of_memory)};
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
