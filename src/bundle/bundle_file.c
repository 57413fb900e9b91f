/* SPDX-License-Identifier: Apache-2.0 */
#include "bundle/bundle_file.h"

#include "base/alloc.h"
#include "base/hash.h"

#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the file is little-endian");

static const char magic[8] = {'Q', 'U', 'E', 'R', 'N', '\0', '\r', '\n'};

struct entry {
    char name[QN_SECTION_NAME_BYTES];
    uint64_t offset, bytes, checksum;
};

struct header {
    char magic[8];
    uint32_t version, n_sections;
    uint64_t file_bytes;
    uint64_t checksum; /* of the header with this field 0, and of the table of sections */
    struct entry entries[QN_SECTIONS_MAX];
};

static uint64_t header_checksum(struct header header)
{
    header.checksum = 0;
    return qn_hash64(&header, sizeof header);
}

static qn_status damaged(const char *path, qn_error *err, const char *what)
{
    return qn_fail(err, QN_ERR_DATA,
                   "%s: the model file is damaged (%s); take it from a backup or fit again", path,
                   what);
}

static qn_status check_header(const char *path, const qn_file_map *map, struct header *out,
                              qn_error *err)
{
    if (map->bytes < sizeof magic || memcmp(map->data, magic, sizeof magic) != 0) {
        return qn_fail(err, QN_ERR_DATA, "%s: not a Quern model file", path);
    }
    if (map->bytes < sizeof *out) return damaged(path, err, "cut off within its header");
    memcpy(out, map->data, sizeof *out);
    if (out->version > QN_BUNDLE_VERSION) {
        if (header_checksum(*out) == out->checksum) {
            return qn_fail(err, QN_ERR_DATA,
                           "%s: format %u is newer than this program's %d: use a newer quern", path,
                           out->version, QN_BUNDLE_VERSION);
        }
        return damaged(path, err, "its header's checksum is wrong");
    }
    if (header_checksum(*out) != out->checksum) {
        return damaged(path, err, "its header's checksum is wrong");
    }
    if (out->file_bytes != map->bytes) {
        return damaged(path, err,
                       out->file_bytes > map->bytes ? "it is cut off" : "bytes follow its end");
    }
    if (out->version == 0 || out->n_sections > QN_SECTIONS_MAX) {
        return damaged(path, err, "its header makes no sense");
    }
    return QN_OK;
}

static qn_status check_sections(const char *path, const struct header *header, qn_bundle_file *file,
                                qn_error *err)
{
    uint64_t next = sizeof *header;
    for (uint32_t i = 0; i < header->n_sections; i++) {
        const struct entry *entry = &header->entries[i];
        qn_section *section = &file->sections[i];
        memcpy(section->name, entry->name, QN_SECTION_NAME_BYTES);
        if (entry->offset % 64 != 0 || entry->offset < next || entry->bytes > file->map.bytes ||
            entry->offset > file->map.bytes - entry->bytes) {
            return damaged(path, err, "its table of sections makes no sense");
        }
        /* Gaps are zeros, so that no byte of the file escapes a check. */
        for (; next < entry->offset; next++) {
            if (file->map.data[next] != 0) return damaged(path, err, "bytes between its sections");
        }
        next = entry->offset + entry->bytes;
        section->data = file->map.data + entry->offset;
        section->bytes = entry->bytes;
        if (qn_hash64(section->data, section->bytes) != entry->checksum) {
            qn_fail(err, QN_ERR_DATA,
                    "%s: section '%s' is damaged (checksum); take the model from a backup or fit "
                    "again",
                    path, section->name);
            return QN_ERR_DATA;
        }
        file->n_sections++;
    }
    return next == file->map.bytes ? QN_OK : damaged(path, err, "bytes follow its sections");
}

qn_status qn_bundle_file_open(const char *path, bool copy, qn_bundle_file *out, qn_error *err)
{
    *out = (qn_bundle_file){0};
    struct header header;
    QN_TRY(copy ? qn_file_map_copy(path, &out->map, err) : qn_file_map_open(path, &out->map, err));
    qn_status status = check_header(path, &out->map, &header, err);
    if (status == QN_OK) status = check_sections(path, &header, out, err);
    if (status != QN_OK) qn_bundle_file_close(out);
    return status;
}

void qn_bundle_file_close(qn_bundle_file *file)
{
    qn_file_unmap(&file->map);
    *file = (qn_bundle_file){0};
}

const qn_section *qn_bundle_file_section(const qn_bundle_file *file, const char *name)
{
    for (int32_t i = 0; i < file->n_sections; i++) {
        if (strcmp(file->sections[i].name, name) == 0) return &file->sections[i];
    }
    return NULL;
}

qn_status qn_bundle_file_write(const char *path, const qn_section *sections, int32_t n_sections,
                               qn_error *err)
{
    struct header header = {.version = QN_BUNDLE_VERSION, .n_sections = (uint32_t)n_sections};
    memcpy(header.magic, magic, sizeof magic);
    uint64_t bytes = sizeof header;
    for (int32_t i = 0; i < n_sections; i++) {
        bytes = (bytes + 63) / 64 * 64;
        struct entry *entry = &header.entries[i];
        memcpy(entry->name, sections[i].name, strnlen(sections[i].name, QN_SECTION_NAME_BYTES));
        entry->offset = bytes;
        entry->bytes = sections[i].bytes;
        entry->checksum = qn_hash64(sections[i].data, sections[i].bytes);
        bytes += sections[i].bytes;
    }
    header.file_bytes = bytes;
    header.checksum = header_checksum(header);
    uint8_t *data = qn_alloc_array((int64_t)bytes, 1);
    if (!data) return qn_fail(err, QN_ERR_NOMEM, "%s: no memory to write it", path);
    memcpy(data, &header, sizeof header);
    for (int32_t i = 0; i < n_sections; i++) {
        if (sections[i].bytes > 0) {
            memcpy(data + header.entries[i].offset, sections[i].data, sections[i].bytes);
        }
    }
    const qn_status status = qn_file_write(path, data, bytes, err);
    qn_free(data);
    return status;
}
