/* peers_mapped.c - peers whose state is a shared mapping of a file: msync in place, and clones of the file */
#define _GNU_SOURCE
#include "peer_host.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CACHESTAT = 451 /* the same on all machines; in headers since Linux 6.5 */, MIB = 1 << 20 };

struct mapped {
    int file;
    unsigned clones;               /* made */
    char folder[BENCH_PATH_BYTES]; /* of file and clones */
};

/* ---- the mapping */

static bool map_state(struct peer_host *host, const char *name, int advice)
{
    struct mapped *own = host->own;
    const struct workload_shape *shape = &host->workload.shape;
    char path[BENCH_PATH_BYTES + 64];
    snprintf(path, sizeof path, "%s/%s", own->folder, name);
    own->file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (own->file < 0 || ftruncate(own->file, (off_t)host->bytes) != 0) {
        return false;
    }
    host->state = mmap(NULL, host->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, own->file, 0);
    if (host->state == MAP_FAILED) {
        return false;
    }
    (void)madvise(host->state, host->bytes, advice); /* before there is a page: it decides the size of folios */
    workload_fill(host->state, shape, 0, shape->pages);
    return msync(host->state, host->bytes, MS_SYNC) == 0;
}

static struct mapped *new_mapped(struct peer_host *host)
{
    struct mapped *own = calloc(1, sizeof *own);
    if (own == NULL) {
        bench_fail("no memory for a peer");
    }
    host->own = own;
    return own;
}

/* Bytes of the pages in the page cache that the next sync has to write. */
static double dirty_bytes(const struct peer_host *host)
{
    const struct mapped *own = host->own;
    const uint64_t range[2] = { 0, host->bytes };
    uint64_t counts[5] = { 0 }; /* cached, dirty, under writeback, evicted, evicted recently */
    return syscall(CACHESTAT, own->file, range, counts, 0) == 0 ? (double)(counts[1] * WORKLOAD_PAGE_BYTES) : -1;
}

/* ---- msync */

static bool open_msync(struct peer_host *host, const char **why)
{
    struct mapped *own = new_mapped(host);
    snprintf(own->folder, sizeof own->folder, "%s", host->folder);
    /* Where folios are large, one byte written makes all of one dirty. */
    *why = "cannot map a file";
    return map_state(host, "peer-msync", MADV_RANDOM);
}

static void save_msync(struct peer_host *host, enum peer peer, struct peer_result *result)
{
    (void)peer;
    peer_change(host);
    result->bytes = dirty_bytes(host);
    double wall = bench_wall_ms(), cpu = bench_cpu_ms();
    if (msync(host->state, host->bytes, MS_SYNC) != 0) { /* fdatasync of the range */
        bench_fail("msync: %s", strerror(errno));
    }
    result->wall_ms = result->pause_ms = bench_wall_ms() - wall;
    result->cpu_ms = bench_cpu_ms() - cpu;
}

static void load_msync(struct peer_host *host, enum peer peer, uint8_t *memory)
{
    const struct mapped *own = host->own;
    (void)peer;
    if (lseek(own->file, 0, SEEK_SET) != 0) {
        bench_fail("lseek: %s", strerror(errno));
    }
    peer_read_all(own->file, memory, host->bytes);
}

/* ---- a file system that clones */

static bool clones_here(const char *folder)
{
    char from[BENCH_PATH_BYTES + 16], to[BENCH_PATH_BYTES + 16];
    snprintf(from, sizeof from, "%s/peer-from", folder);
    snprintf(to, sizeof to, "%s/peer-to", folder);
    int source = open(from, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    int target = open(to, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    const bool cloned = ioctl(target, FICLONE, source) == 0;
    close(source);
    close(target);
    unlink(from);
    unlink(to);
    return cloned;
}

static bool run(const char *const *command)
{
    int status;
    pid_t child = fork();
    if (child == 0) {
        int null = open("/dev/null", O_RDWR);
        dup2(null, STDOUT_FILENO);
        dup2(null, STDERR_FILENO);
        execvp(command[0], (char *const *)(uintptr_t)command);
        _exit(127);
    }
    return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

/* XFS in a file, mounted in a mount namespace of this process: it goes when the process ends, in whatever way. */
static bool mount_xfs(const struct peer_host *host, char folder[BENCH_PATH_BYTES], const char **why)
{
    char image[BENCH_PATH_BYTES];
    peer_path(host, image, "image");
    peer_path(host, folder, "mounted");
    const char *const make[] = { "mkfs.xfs", "-q", "-f", image, NULL };
    const char *const attach[] = { "mount", "-o", "loop", image, folder, NULL };
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) {
        *why = "the file system cannot clone, only root mounts one that can";
        return false;
    }
    int file = open(image, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    const bool made = file >= 0 && ftruncate(file, (off_t)(4 * host->bytes) + 1024 * (off_t)MIB) == 0 && run(make);
    close(file);
    *why = made ? "no loop mount of XFS here" : "mkfs.xfs is not installed";
    const bool mounted = made && (mkdir(folder, 0700) == 0 || errno == EEXIST) && run(attach);
    (void)unlink(image); /* the loop device holds it */
    return mounted;
}

/* ---- reflink */

static bool open_reflink(struct peer_host *host, const char **why)
{
    struct mapped *own = new_mapped(host);
    snprintf(own->folder, sizeof own->folder, "%s", host->folder);
    if (!clones_here(own->folder) && !mount_xfs(host, own->folder, why)) {
        return false;
    }
    *why = "cannot map a file";
    return map_state(host, "peer-reflink", MADV_NORMAL);
}

static void clone_path(const struct mapped *own, char path[BENCH_PATH_BYTES + 32], unsigned number)
{
    snprintf(path, BENCH_PATH_BYTES + 32, "%s/peer-clone%u", own->folder, number % 2);
}

/* The last two clones are kept. */
static void save_reflink(struct peer_host *host, enum peer peer, struct peer_result *result)
{
    struct mapped *own = host->own;
    char path[BENCH_PATH_BYTES + 32];
    (void)peer;
    clone_path(own, path, ++own->clones);
    (void)unlink(path);
    peer_change(host);
    result->bytes = dirty_bytes(host);
    double wall = bench_wall_ms(), cpu = bench_cpu_ms();
    int clone = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (clone < 0 || ioctl(clone, FICLONE, own->file) != 0) { /* which writes what is dirty first */
        bench_fail("FICLONE: %s", strerror(errno));
    }
    result->pause_ms = bench_wall_ms() - wall;
    if (fdatasync(clone) != 0) {
        bench_fail("a clone cannot be synced: %s", strerror(errno));
    }
    result->wall_ms = bench_wall_ms() - wall;
    result->cpu_ms = bench_cpu_ms() - cpu;
    close(clone);
}

static void load_reflink(struct peer_host *host, enum peer peer, uint8_t *memory)
{
    const struct mapped *own = host->own;
    char path[BENCH_PATH_BYTES + 32];
    (void)peer;
    clone_path(own, path, own->clones);
    int clone = open(path, O_RDONLY | O_CLOEXEC);
    peer_read_all(clone, memory, host->bytes);
    close(clone);
}

const struct peer_home_methods peer_home_msync = { open_msync, save_msync, load_msync };
const struct peer_home_methods peer_home_reflink = { open_reflink, save_reflink, load_reflink };
