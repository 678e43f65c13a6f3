/* torture_plain.c - the torture of the write-watch without an operating system's own disturbances */
#include "torture.h"

void torture_disturb_begin(struct torture *torture)
{
    (void)torture;
}

void torture_disturb(struct torture *torture, uint64_t random)
{
    (void)torture;
    (void)random;
}
