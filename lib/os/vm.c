/* vm.c - where mapped regions are placed */
#include "os/vm.h"

#include <stdbool.h>
#include <stdlib.h>

uintptr_t svp_vm_map_base(void)
{
    const char *text = getenv("SAVEPOINT_MAP_BASE");
    char *end = NULL;
    unsigned long long base = text != NULL ? strtoull(text, &end, 0) : 0;
    bool usable = text != NULL && end != text && *end == '\0' && base % 65536 == 0 && text[0] != '-';
    return text == NULL ? svp_vm_usual_base() : usable ? (uintptr_t)base : 0;
}
