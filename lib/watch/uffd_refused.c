/* uffd_refused.c - why the write-watch of Linux does not work here, in words that say what to do */
#include "uffd_refused.h"

#include <errno.h>

#include "status.h"

static enum savepoint_status no_backend(struct savepoint_error *error, int os_code, const char *why)
{
    if (svp_status_os(error, os_code, "probe", "%s", why) == SAVEPOINT_NO_MEMORY) {
        return SAVEPOINT_NO_MEMORY;
    }
    if (error != NULL) {
        error->status = SAVEPOINT_NO_BACKEND;
    }
    return SAVEPOINT_NO_BACKEND;
}

enum savepoint_status svp_uffd_refused(struct savepoint_error *error, int os_code)
{
    const char *why = "userfaultfd cannot be opened";
    if (os_code == ENOSYS) {
        why = "this kernel or sandbox has no userfaultfd; Linux 6.7 or later with CONFIG_USERFAULTFD has it";
    } else if (os_code == EPERM) {
        why = "userfaultfd is forbidden here, most likely by a container's seccomp filter; allow the system call "
              "(docker run --security-opt seccomp=PROFILE)";
    } else if (os_code == EINVAL) {
        why = "this kernel is too old; Linux 6.7 or later is needed";
    } else if (os_code == EMFILE || os_code == ENFILE) {
        why = "userfaultfd cannot be opened: no descriptor is free; close some, or raise their limit (ulimit -n)";
    } else if (os_code == ENOMEM) {
        why = "userfaultfd cannot be opened: the kernel has no memory for it";
    }
    return no_backend(error, os_code, why);
}

enum savepoint_status svp_uffd_refused_pagemap(struct savepoint_error *error, int os_code)
{
    const char *why = "/proc/self/pagemap cannot be opened; mount /proc";
    if (os_code == EACCES) {
        why = "/proc/self/pagemap may not be read, most likely since this process has given up privileges by setuid: "
              "call prctl(PR_SET_DUMPABLE, 1) then, or watch before";
    } else if (os_code == EMFILE || os_code == ENFILE) {
        why =
            "/proc/self/pagemap cannot be opened: no descriptor is free; close some, or raise their limit (ulimit -n)";
    }
    return no_backend(error, os_code, why);
}

enum savepoint_status svp_uffd_refused_scan(struct savepoint_error *error, int os_code)
{
    if (os_code == ENOTTY) {
        return svp_status_fail(error, SAVEPOINT_NO_BACKEND, "collect",
                               "this kernel has no PAGEMAP_SCAN; Linux 6.7 or later is needed");
    }
    return svp_status_fail(error, SAVEPOINT_NO_BACKEND, "collect",
                           "PAGEMAP_SCAN is forbidden here, most likely by a seccomp filter: allow that ioctl");
}
