/* model.h - objects, entries and page tables of the emulated kernel, and the floors they stand on
 *
 * Floors, lowest first: memory.c (page frames and the kernel's own memory), pmap.c (what the processor sees), object.c,
 * map.c, fault.c, extract.c, and the calls. One lock guards all. Nothing here may call malloc: it runs in the handler
 * of a fault that can strike inside malloc. */
#ifndef MACH_EMULATION_MODEL_H
#define MACH_EMULATION_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <mach/mach.h>

#include "emulation.h"

enum { HOST_PAGE = 4096 };
#define NO_FRAME UINT64_MAX
#define ANON_CHUNK_BYTES ((uint64_t)128 << 20)

struct entry;

struct object {
    uint64_t id;
    size_t pages;   /* of state.object_page bytes */
    uint64_t frame; /* of page 0, in host pages; the others follow it */
    unsigned refs;  /* entries, objects above, memory entries, copies under way */
    bool delay;     /* copy strategy: DELAY, else SYMMETRIC */
    bool true_share;
    bool shadowed;
    bool shared_for_good; /* has been shared on purpose (kernels with range locks) */
    struct object *shadow;
    size_t shadow_page;  /* page 0 lies over this page of the shadow */
    struct object *copy; /* newest copy object; not a reference */
    uint64_t *present;   /* bitmaps */
    uint64_t *modified;
    uint64_t *wired; /* NULL: none */
    size_t resident, wired_count;
    struct object *children, *next_sibling, **sibling_link; /* objects whose shadow this is */
    struct entry *entries;                                  /* entries whose object this is */
    struct object *next_object, **object_link;              /* all */
};

struct entry {
    uint64_t start, end;
    struct object *object; /* or NULL: nothing was ever touched */
    uint64_t offset;       /* bytes */
    vm_prot_t protection, max_protection;
    vm_inherit_t inheritance;
    unsigned tag;
    bool needs_copy, is_shared, permanent;
    bool adopted; /* the program's own mapping */
    unsigned wired;
    struct entry *next_of_object, **link_of_object;
    struct map *map;
};

/* An address space. Only `self` has a pmap; copies and children are lists of entries that hold references. */
struct map {
    struct entry **entries; /* ascending */
    size_t count, capacity;
    uint64_t timestamp; /* changes whenever the map is locked exclusively */
    unsigned id;        /* of a copy or child */
    int life;           /* descriptor that ends with the child process, or -1 */
    struct map *next;
};

struct named_entry { /* what a memory entry port stands for */
    mach_port_t port;
    unsigned refs;
    struct object *object;
    uint64_t offset, size;
    vm_prot_t protection;
    struct named_entry *next;
};

struct state {
    struct mach_emulation_options options;
    uint64_t map_page, object_page; /* bytes */
    struct map self;
    struct map *others;
    struct named_entry *named;
    struct object *objects;
    uint64_t next_object_id, random;
    unsigned next_map_id;
    mach_port_t next_port;
    struct mach_emulation_counters counters;
    struct {
        unsigned after, times;
        kern_return_t result;
    } injected[MACH_EMULATION_CALL_COUNT];
};
extern struct state state;

/* ---- memory.c */
void em_lock(void); /* signals are blocked while it is held */
void em_unlock(void);
_Noreturn void em_panic(const char *text);
void *em_alloc(size_t bytes); /* zeroed */
void em_free(void *block, size_t bytes);
uint64_t em_frames_alloc(size_t host_pages);
void em_frames_free(uint64_t frame, size_t host_pages);
void *em_frame_data(uint64_t frame);
int em_frame_descriptor(void);
void em_frames_move_to_child(void); /* after fork: copies all frames into a file of the child's own */
/* Never read(), mmap() or the like: those of the C library are the program's, and come back to us. */
long em_syscall(long number, long a, long b, long c, long d, long e, long f);
void *em_mmap(uint64_t address, size_t bytes, int protection, int flags, int descriptor, uint64_t offset);
void em_mprotect(uint64_t address, size_t bytes, int protection);

/* ---- pmap.c: addresses are aligned to host pages */
bool em_pmap_reserve(uint64_t *address, uint64_t bytes, uint64_t align, bool anywhere);
void em_pmap_back(uint64_t address, uint64_t bytes, uint64_t frame); /* no access, the frames below it */
void em_pmap_enter(uint64_t address, uint64_t bytes, uint64_t frame, vm_prot_t protection);
void em_pmap_write_protect(uint64_t address, uint64_t bytes);
void em_pmap_limit(uint64_t address, uint64_t bytes, vm_prot_t protection); /* takes away what is not in protection */
void em_pmap_invalidate(uint64_t address, uint64_t bytes, uint64_t frame, uint64_t frame_count);
void em_pmap_remove(uint64_t address, uint64_t bytes, bool unmap);
bool em_pmap_allows(uint64_t address, vm_prot_t access);
uint64_t em_pmap_frame(uint64_t address);
void em_pmap_rebuild(uint64_t address, uint64_t bytes); /* maps again what the tables say, from the new file */

/* ---- object.c */
static inline bool em_bit(const uint64_t *bits, size_t index)
{
    return bits != NULL && (bits[index / 64] >> (index % 64) & 1) != 0;
}
struct object *em_object_new(size_t pages);
void em_object_unref(struct object *object);
void em_object_set_shadow(struct object *object, struct object *shadow,
                          size_t shadow_page); /* takes over a reference */
uint64_t em_object_frame(const struct object *object, size_t page);
size_t em_object_host_pages(void);                                                   /* per object page */
struct object *em_object_find(struct object *object, size_t *page, unsigned *depth); /* NULL: in none of the chain */
void em_object_add_page(struct object *object, size_t page, const void *bytes);      /* bytes NULL: zeros */
void em_object_remove_page(struct object *object, size_t page);
void em_object_disconnect(struct object *object, size_t page, uint64_t frame);
void em_object_write_protect(struct object *object, size_t first, size_t end);
void em_object_push(struct object *object, size_t page);
void em_object_shadow(struct entry *entry);
struct object *em_object_copy_delayed(struct object *source, uint64_t offset, uint64_t size);
struct object *em_object_copy_slowly(struct object *source, uint64_t offset, uint64_t size);
void em_object_collapse(struct object *object, bool may_bypass);
void em_object_wire(struct object *object, size_t page, bool wire);
void em_object_mark_modified(struct object *object, size_t page);
bool em_object_wired_in(const struct object *object, size_t first, size_t end);
size_t em_object_chain(const struct object *object); /* objects below */

/* ---- map.c */
uint64_t em_trunc(uint64_t address);
uint64_t em_round(uint64_t address);
struct entry *em_entry_new(const struct entry *like);
void em_entry_free(struct entry *entry);
/* Takes over a reference to `object`; the one to the old object, which is returned, is the caller's. */
struct object *em_entry_set_object(struct entry *entry, struct object *object, uint64_t offset);
void em_entry_allocate(struct entry *entry); /* an object for an entry that has none */
void em_entry_back(struct entry *entry);     /* the entry's range shows its object, nothing accessible yet */
/* What the entry shows at the address, and how many bytes up to the end of the object's page. */
const unsigned char *em_entry_bytes(const struct entry *entry, uint64_t address, uint64_t *count);
size_t em_entry_page(const struct entry *entry, uint64_t address);
size_t em_map_above(const struct map *map, uint64_t address); /* index of the first entry that ends above */
struct entry *em_map_lookup(const struct map *map, uint64_t address);
void em_map_insert(struct map *map, struct entry *entry);
void em_map_clip(struct map *map, uint64_t address);
bool em_map_covers(const struct map *map, uint64_t start, uint64_t end);
void em_map_remove(struct map *map, uint64_t start, uint64_t end, bool unmap);
void em_map_simplify(struct map *map, uint64_t start, uint64_t end);
bool em_map_find_space(uint64_t *address, uint64_t size, uint64_t mask, int flags, kern_return_t *result);
struct map *em_map_other_new(void);
void em_map_other_free(struct map *map);
void em_map_reap(void);
kern_return_t em_prepare(uint64_t start, uint64_t end); /* adopts what is the program's own; holes: INVALID_ADDRESS */

/* ---- fault.c */
kern_return_t em_fault(struct entry *entry, uint64_t address, bool write);
kern_return_t em_fault_range(uint64_t start, uint64_t end, bool write);

struct sigaction;
int em_fault_set_next(const struct sigaction *action, struct sigaction *old); /* the program's handler of SIGSEGV */

/* ---- extract.c: phases 1 and 2 of remap and VM_PROT_COPY */
struct extract {
    uint64_t start, size;
    bool copy, prot_copy, single;
    vm_prot_t allowed;          /* prot_copy: the new protection */
    vm_prot_t current, maximum; /* out: what all sources allow */
    vm_inherit_t inheritance;
    struct map list; /* out: new entries at their distance from `start` */
};
kern_return_t em_extract(struct extract *extract);
void em_extract_place(struct extract *extract, uint64_t target); /* phase 2: nothing of ours is there any more */
void em_extract_drop(struct extract *extract);
kern_return_t em_copyin(uint64_t start, uint64_t size, struct map *list); /* as another task takes it */
void em_make_shareable(struct entry *entry, bool true_share);
struct entry *em_copy_quickly(struct entry *source);
void em_gap(enum mach_emulation_gap gap, uint64_t start, uint64_t size);

/* ---- calls.c: each call begins and ends with these */
bool em_enter(enum mach_emulation_call call, vm_map_t target, kern_return_t *result); /* true: locked */
kern_return_t em_leave(kern_return_t result);

/* ---- adopt.c */
struct em_mapping { /* a line of /proc/self/maps */
    uint64_t start, end, inode;
    vm_prot_t protection;
    bool private, special;
};
bool em_mapping_at(uint64_t address, struct em_mapping *found); /* the first that ends above address */
kern_return_t em_adopt(uint64_t start, uint64_t end);

/* ---- calls.c, calls_copy.c: parts of calls that others need */
kern_return_t em_set_protection(uint64_t start, uint64_t end, bool maximum, vm_prot_t protection);
void em_named_drop(struct named_entry *named);
bool em_overflows(uint64_t address, uint64_t size);
/* Called with the lock held, and gives it up: the new address may lie in emulated memory. */
kern_return_t em_allocate(mach_vm_address_t *address, mach_vm_size_t size, uint64_t mask, int flags,
                          vm_prot_t protection, vm_prot_t maximum, vm_inherit_t inheritance);

/* ---- emulation.c */
kern_return_t em_wire(uint64_t start, uint64_t end, bool wired);

/* ---- fork.c */
kern_return_t em_fork_copy(struct map *child);

#endif
