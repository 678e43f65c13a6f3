/* mach_error.h - text for results */
#ifndef MACH_EMULATION_MACH_ERROR_H
#define MACH_EMULATION_MACH_ERROR_H

#include <mach/kern_return.h>

char *mach_error_string(mach_error_t error_value);

#endif
