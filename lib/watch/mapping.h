/* mapping.h - what the system says about a range of this process's address space */
#ifndef SVP_MAPPING_H
#define SVP_MAPPING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "savepoint.h"

/* OK when every page of the range is mapped readable and writable, and, where `executable` is not NULL, either all
 * or none of it executable, which that then says; else BAD_MEMORY, naming the first address that is not. Where the
 * system does not tell protections (no /proc), only unmapped pages are found. */
enum savepoint_status svp_mapping_check(uintptr_t start, size_t bytes, bool *executable, struct savepoint_error *error);

/* BAD_MEMORY when shared memory in the range is at present mapped writable at a second address of this
 * process: writes through that mapping are seen by no protection of this one. */
enum savepoint_status svp_mapping_check_alias(uintptr_t start, size_t bytes, struct savepoint_error *error);

#endif
