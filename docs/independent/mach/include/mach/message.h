/* message.h - the name under which Apple ships these types */
#include <mach/mach_types.h>
