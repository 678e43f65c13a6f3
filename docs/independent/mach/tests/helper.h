/* helper.h - what all tests of the emulation need */
#ifndef HELPER_H
#define HELPER_H

#include "check.h"
#include "emulation.h"

#define CHECK_KR(expression, wanted) CHECK_STR(mach_error_string(expression), mach_error_string(wanted))
#define CHECK_MACH(expression) CHECK_KR(expression, KERN_SUCCESS)
#define CHECK_MODEL() CHECK_STR(broken_or_fine(), "fine")

typedef volatile unsigned char byte; /* stores and loads of tests happen, one by one */

const char *broken_or_fine(void);

/* Starts a test: everything forgotten, these options (NULL: defaults). */
void fresh(const struct mach_emulation_options *options);
void fresh_kernel(enum mach_emulation_kernel kernel);

byte *allocate(size_t pages);             /* mach_vm_allocate */
byte *page_of(byte *memory, size_t page); /* in units of vm_page_size */
mach_vm_address_t address_of(const volatile void *memory);

struct vm_region_extended_info extended_info(const volatile void *memory);
int share_mode(const volatile void *memory);
int top_share_mode(const volatile void *memory);
int recurse_share_mode(const volatile void *memory);
unsigned chain_length(const volatile void *memory);
size_t region_bytes(const volatile void *memory);

/* The seed's way to watch one page: VM_PROT_COPY, then a memory entry that is dropped at once. */
void seed_reset(byte *page);
void seed_watch(byte *page);

byte *snapshot(byte *memory, size_t pages);                /* remap, copy */
void share_once(byte *memory, size_t pages);               /* remap, not copy, given back */
void query(byte *memory, size_t pages, int *dispositions); /* mach_vm_page_range_query */
void give_back(byte *memory, size_t pages);

struct mach_emulation_counters counters(void);

#endif
