/* mapping.h - what the system says about a range of this process's address space */
#ifndef SVP_MAPPING_H
#define SVP_MAPPING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "savepoint.h"

enum svp_mapping_wish {
    /* No shared memory that is at present mapped writable at a second address of this process: writes through that
     * mapping are seen by no protection of this one. */
    SVP_MAPPING_ALONE = 1,
    /* All or none of it executable, and no part of the caller's stack below where it stands: its calls go there, and
     * the kernel cannot put a handler's frame on a stack that it may not write to. */
    SVP_MAPPING_PROTECTABLE = 2
};
#define SVP_MAPPING_RUNNING_STACK "is a running stack, which the signal write-watch cannot protect"

/* OK when every page of the range is mapped readable and writable, and as wished (enum svp_mapping_wish); `executable`
 * (may be NULL) then says of what kind it is. Else BAD_MEMORY, naming the first address that is not. IO and the like
 * when the system does not tell (no /proc, no descriptor), and no page of the range is unmapped. */
enum savepoint_status
svp_mapping_check(uintptr_t start, size_t bytes, unsigned wishes, bool *executable, struct savepoint_error *error);

#endif
