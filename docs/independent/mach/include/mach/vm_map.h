/* vm_map.h - the name under which Apple ships the calls without `mach_` */
#include <mach/mach_vm.h>
