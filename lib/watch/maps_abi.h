/* maps_abi.h - the Linux kernel interface that mapping.c speaks: one mapping of /proc/self/maps, since Linux 6.11
 *
 * Own definitions, as in uffd_abi.h and for the same reason. */
#ifndef SVP_MAPS_ABI_H
#define SVP_MAPS_ABI_H

#include <stdint.h>
#include <sys/ioctl.h>

#define MAPS_ABI_READABLE UINT64_C(1)
#define MAPS_ABI_WRITABLE UINT64_C(2)
#define MAPS_ABI_EXECUTABLE UINT64_C(4)
#define MAPS_ABI_SHARED UINT64_C(8)
#define MAPS_ABI_COVERING_OR_NEXT UINT64_C(16) /* the mapping of the address, else the next one above it */

struct maps_abi_query {
    uint64_t size, flags, address;
    uint64_t start, end, access, page_bytes, offset, inode;
    uint32_t device_major, device_minor;
    uint32_t name_bytes, build_id_bytes; /* 0: not asked for */
    uint64_t name, build_id;
};

_Static_assert(sizeof(struct maps_abi_query) == 104, "kernel layout");

#define MAPS_ABI_QUERY _IOWR('f', 17, struct maps_abi_query)

#endif
