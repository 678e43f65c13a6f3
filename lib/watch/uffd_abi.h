/* uffd_abi.h - the Linux kernel interface that uffd.c speaks
 *
 * Own definitions, since the headers of Linux before 6.7 (Debian 12 ships those of 6.1) lack half of it.
 * Names differ from the kernel's, so that newer headers do not collide. Layouts are the kernel's promise. */
#ifndef SVP_UFFD_ABI_H
#define SVP_UFFD_ABI_H

#include <stdint.h>
#include <sys/ioctl.h>

#define UFFD_ABI_USER_MODE_ONLY 1 /* userfaultfd(2): no privilege needed; kernel writes are still tracked */
#define UFFD_ABI_VERSION UINT64_C(0xAA)

#define UFFD_ABI_WP_SHMEM (UINT64_C(1) << 12)       /* memfd and shared memory can be write-protected */
#define UFFD_ABI_WP_UNPOPULATED (UINT64_C(1) << 13) /* so can pages that nobody has touched yet */
#define UFFD_ABI_WP_ASYNC (UINT64_C(1) << 15)       /* the kernel resolves the faults by itself */

#define UFFD_ABI_REGISTER_WP (UINT64_C(1) << 1)
#define UFFD_ABI_PROTECT (UINT64_C(1) << 0)

#define UFFD_ABI_PAGE_WRITTEN (UINT64_C(1) << 1)
#define UFFD_ABI_SCAN_REARM (UINT64_C(1) << 0)         /* protect what is reported, atomically per page */
#define UFFD_ABI_SCAN_MUST_BE_ARMED (UINT64_C(1) << 1) /* fail on memory that is not registered, do not skip it */

struct uffd_abi_handshake {
    uint64_t version, features, ioctls;
};

struct uffd_abi_range {
    uint64_t start, bytes;
};

struct uffd_abi_register {
    struct uffd_abi_range range;
    uint64_t mode, ioctls;
};

struct uffd_abi_protect {
    struct uffd_abi_range range;
    uint64_t mode;
};

struct uffd_abi_found {
    uint64_t start, end, categories;
};

struct uffd_abi_scan {
    uint64_t size, flags, start, end, walk_end;
    uint64_t found, found_capacity; /* address and length of an array of uffd_abi_found */
    uint64_t max_pages;
    uint64_t inverted, all_of, any_of, reported; /* category masks */
};

_Static_assert(sizeof(struct uffd_abi_handshake) == 24, "kernel layout");
_Static_assert(sizeof(struct uffd_abi_register) == 32, "kernel layout");
_Static_assert(sizeof(struct uffd_abi_protect) == 24, "kernel layout");
_Static_assert(sizeof(struct uffd_abi_found) == 24, "kernel layout");
_Static_assert(sizeof(struct uffd_abi_scan) == 96, "kernel layout");

#define UFFD_ABI_HANDSHAKE _IOWR(0xAA, 0x3F, struct uffd_abi_handshake)
#define UFFD_ABI_REGISTER _IOWR(0xAA, 0x00, struct uffd_abi_register)
#define UFFD_ABI_UNREGISTER _IOR(0xAA, 0x01, struct uffd_abi_range)
#define UFFD_ABI_WRITEPROTECT _IOWR(0xAA, 0x06, struct uffd_abi_protect)
#define UFFD_ABI_PAGEMAP_SCAN _IOWR('f', 16, struct uffd_abi_scan)

#endif
