/* archive.h - the reader object behind the public struct savepoint_archive */
#ifndef SVP_ARCHIVE_H
#define SVP_ARCHIVE_H

#include "archive/catalog.h"
#include "archive/log.h"
#include "archive/reader.h"

struct savepoint_archive {
    struct svp_source source;
    struct svp_log log;
    struct svp_catalog catalog;
    struct svp_reader reader;
    uint64_t regions_offset; /* of the table below; 0: there is none yet */
    struct svp_region_table regions;
    bool writer_active;
    struct savepoint_archive_sought { /* the region whose pages were read last */
        uint64_t commit;              /* of which snapshot; 0: none was yet */
        uint32_t region_id;
        uint64_t work_before; /* of the reader */
        bool mapped, whole;   /* `map` is open; and complete */
        struct svp_page_map map;
    } sought;
};

#endif
