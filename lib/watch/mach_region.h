/* mach_region.h - what the Mach kernel says about entries of this task's map, and about single pages */
#ifndef SVP_MACH_REGION_H
#define SVP_MACH_REGION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* An entry of the map: neighbouring pages of one object, with one protection. */
struct svp_mach_region {
    uintptr_t start, end;
    bool readable, writable, executable;
    bool inherited_shared; /* children share it: so do other mappings of it */
    bool submap;           /* a map inside the map: the system's shared libraries */
    bool external;         /* a file is behind the object, or behind one it shadows */
    bool wired;            /* locked by the program */
    unsigned share_mode;   /* SM_... */
    unsigned references;   /* to the object; 0: no object yet */
    unsigned depth;        /* objects that the object shadows, one below the other */
    uint64_t object;       /* names the object, as long as it lives */
    uint64_t offset;       /* of `start` in the object */
};

/* The entry that holds `address`, or the next one above; false when there is none. */
bool svp_mach_region_find(struct svp_mach_region *region, uintptr_t address);

/* Where a page really lies: the object of the chain that holds it, or the last one where none does. */
struct svp_mach_page {
    uint64_t object, offset;
    unsigned depth; /* 0: in the entry's own object */
};
bool svp_mach_page_find(struct svp_mach_page *page, uintptr_t address);

#endif
