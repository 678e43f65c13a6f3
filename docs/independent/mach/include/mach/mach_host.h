/* mach_host.h - the page size of the machine */
#ifndef MACH_EMULATION_MACH_HOST_H
#define MACH_EMULATION_MACH_HOST_H

#include <mach/kern_return.h>

kern_return_t host_page_size(host_t host, vm_size_t *page_size);

#endif
