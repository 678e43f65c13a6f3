/* query.h - what the query calls ask of the model */
#ifndef MACH_EMULATION_QUERY_H
#define MACH_EMULATION_QUERY_H

#include "model.h"

struct em_region {
    uint64_t start, end;
    const struct entry *entry; /* NULL: memory of the program that is not in the model */
    struct em_mapping mapping;
};

struct em_walk {
    unsigned resident, private_now, dirtied, depth, references;
    unsigned char share_mode;
    bool external;
};

struct em_page_look {
    int disposition;
    unsigned references;
    uint64_t object_id, offset;
    int depth;
};

bool em_region_at(uint64_t address, struct em_region *region); /* the one with the address, else the next above */
void em_region_walk(const struct em_region *region, bool pages, struct em_walk *walk);
void em_page_look(uint64_t address, struct em_page_look *look);

#endif
