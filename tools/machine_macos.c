/* machine_macos.c - what only macOS tells about itself */
#include "machine.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/param.h>
#include <unistd.h>

uint64_t machine_mappings_most(void)
{
    return 0; /* no limit but memory */
}

void machine_file_system(char out[MACHINE_NAME_BYTES], const char *folder)
{
    struct statfs facts;
    out[0] = '\0';
    if (statfs(folder, &facts) == 0) {
        snprintf(out, MACHINE_NAME_BYTES, "%s", facts.f_fstypename);
    }
}

/* As the library syncs: the drive's cache too, where the file system can. */
int machine_sync(int descriptor)
{
    return fcntl(descriptor, F_FULLFSYNC) != 0 && fsync(descriptor) != 0 ? errno : 0;
}
