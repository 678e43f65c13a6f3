/* vm.h - address space: mapping at a fixed address, growing */
#ifndef SVP_VM_H
#define SVP_VM_H

#include <stddef.h>
#include <stdint.h>

size_t svp_vm_page_bytes(void); /* the host's page */

/* Reserves reserve_bytes of address space at exactly `address` and makes the first `bytes` of it zero-filled memory,
 * readable and writable. 0, or an OS error code: EEXIST when the place is taken (never another address). */
int svp_vm_map(uintptr_t address, size_t bytes, size_t reserve_bytes);
/* Makes [address + old_bytes, address + new_bytes) of a reserve memory. */
int svp_vm_extend(uintptr_t address, size_t old_bytes, size_t new_bytes);
void svp_vm_unmap(uintptr_t address, size_t bytes);

/* Makes memory that is about to be written resident in one step rather than fault by fault. Best effort: nothing
 * depends on it but speed, and contents stay as they are. */
void svp_vm_populate(uintptr_t address, size_t bytes);
/* Asks for large pages where they fit: fewer faults and look-ups, but slow to come by where the host of a virtual
 * machine has taken them back. Splits the mapping the range lies in: of those a process has a limited number. Best
 * effort too. */
void svp_vm_prefer_large_pages(uintptr_t address, size_t bytes);

/* The window mapped regions are placed in by default; the start can be set by the environment variable
 * SAVEPOINT_MAP_BASE. 0: that is set, and is no multiple of 64 KiB. */
uintptr_t svp_vm_map_base(void);
uintptr_t svp_vm_usual_base(void); /* where the environment says nothing: free in this system's processes */

#endif
