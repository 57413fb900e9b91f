/* SPDX-License-Identifier: Apache-2.0 */
/* Landlock. What the kernel offers is asked of it; headers of Debian 12 end at version 2 of its
 * interface, so the later numbers stand here (Linux, include/uapi/linux/landlock.h). */
#include "serve/security/sandbox_internal.h"

#include <fcntl.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FS_TRUNCATE (UINT64_C(1) << 14)           /* version 3 */
#define FS_IOCTL_DEV (UINT64_C(1) << 15)          /* version 5 */
#define NET_BIND_TCP (UINT64_C(1) << 0)           /* version 4 */
#define NET_CONNECT_TCP (UINT64_C(1) << 1)        /* version 4 */
#define SCOPE_ABSTRACT_SOCKETS (UINT64_C(1) << 0) /* version 6 */
#define SCOPE_SIGNALS (UINT64_C(1) << 1)          /* version 6 */

/* struct landlock_ruleset_attr as of version 6; older kernels take the beginning of it. */
struct ruleset {
    uint64_t files, network, scopes;
};

static const uint64_t reading = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
static const uint64_t appending =
    LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG | FS_TRUNCATE;

static const uint64_t replacing = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE |
                                  LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REMOVE_FILE |
                                  FS_TRUNCATE;

/* struct landlock_net_port_attr, of version 4. */
struct port_rule {
    uint64_t access, port;
};
enum { RULE_NET_PORT = 2 };

/* Everything that this version can forbid. */
static struct ruleset everything(int version, size_t *bytes)
{
    struct ruleset all = {.files = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1};
    *bytes = sizeof all.files;
    if (version >= 2) all.files |= LANDLOCK_ACCESS_FS_REFER;
    if (version >= 3) all.files |= FS_TRUNCATE;
    if (version >= 4) {
        all.network = NET_BIND_TCP | NET_CONNECT_TCP;
        *bytes += sizeof all.network;
    }
    if (version >= 5) all.files |= FS_IOCTL_DEV;
    if (version >= 6) {
        all.scopes = SCOPE_ABSTRACT_SOCKETS | SCOPE_SIGNALS;
        *bytes += sizeof all.scopes;
    }
    return all;
}

/* What a name is resolved by. A folder's other files are nobody's business: a file that is put in
 * the place of one of these is found by a server that is started again. */
static const char *const resolver_files[] = {"/etc/hosts", "/etc/resolv.conf", "/etc/nsswitch.conf",
                                             "/etc/host.conf", "/etc/gai.conf"};

enum { RESOLVER_FILES = sizeof resolver_files / sizeof *resolver_files, PORT_DNS = 53 };

/* Below `folder`, or to a file, `access` stays allowed. What is not there has nothing to allow. */
static bool allow(int ruleset_fd, const char *path, int kind, uint64_t access)
{
    const int fd = open(path, O_PATH | kind | O_CLOEXEC);
    if (fd < 0) return true;
    const struct landlock_path_beneath_attr rule = {.allowed_access = access, .parent_fd = fd};
    const bool added =
        syscall(SYS_landlock_add_rule, ruleset_fd, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0;
    close(fd);
    return added;
}

static bool allow_port(int ruleset_fd, int port)
{
    const struct port_rule rule = {.access = NET_CONNECT_TCP, .port = (uint64_t)port};
    return syscall(SYS_landlock_add_rule, ruleset_fd, RULE_NET_PORT, &rule, 0) == 0;
}

const char *qn_sandbox_restrict_files(const qn_sandbox_request *request)
{
    const long version =
        syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (version < 1) return "landlock is not offered";
    size_t bytes;
    const struct ruleset all = everything((int)version, &bytes);
    const int fd = (int)syscall(SYS_landlock_create_ruleset, &all, bytes, 0);
    if (fd < 0) return "landlock takes no rules";
    bool whole = true;
    for (int i = 0; request->read_folders && request->read_folders[i]; i++) {
        whole = whole && allow(fd, request->read_folders[i], O_DIRECTORY, reading);
    }
    for (int i = 0; request->write_folders && request->write_folders[i]; i++) {
        whole = whole && allow(fd, request->write_folders[i], O_DIRECTORY, appending & all.files);
    }
    for (int i = 0; request->replace_folders && request->replace_folders[i]; i++) {
        whole = whole && allow(fd, request->replace_folders[i], O_DIRECTORY, replacing & all.files);
    }
    for (int i = 0; all.network && i < request->n_connect_ports; i++) {
        whole = whole && allow_port(fd, request->connect_ports[i]);
    }
    for (int i = 0; request->resolves && i < RESOLVER_FILES; i++) {
        whole = whole && allow(fd, resolver_files[i], 0, LANDLOCK_ACCESS_FS_READ_FILE);
    }
    if (all.network && request->resolves) whole = whole && allow_port(fd, PORT_DNS);
    whole = whole && syscall(SYS_landlock_restrict_self, fd, 0) == 0;
    close(fd);
    return whole ? NULL : "landlock takes no rules";
}
