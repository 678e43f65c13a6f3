/* error.h - the name under which Apple ships these values */
#include <mach/kern_return.h>
