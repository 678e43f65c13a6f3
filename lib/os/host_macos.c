/* host_macos.c - randomness and identity on macOS */
#include "os/host.h"

#include <mach-o/dyld.h>
#include <mach-o/loader.h>
#include <pthread/qos.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void svp_host_random(void *to, size_t bytes)
{
    arc4random_buf(to, bytes);
}

unsigned svp_host_cores(void)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    return cores > 0 ? (unsigned)cores : 1;
}

void svp_host_work_behind(void)
{
    (void)pthread_set_qos_class_self_np(QOS_CLASS_UTILITY, 0);
}

const char *svp_host_abi(void)
{
#if defined(__x86_64__)
    return "macos-x86_64";
#elif defined(__aarch64__)
    return "macos-arm64";
#else
    return "macos-other";
#endif
}

/* The linker gives every program a UUID: a load command of the first image, which is the program itself. */
size_t svp_host_build_id(uint8_t *to, size_t capacity)
{
    const struct mach_header *program = _dyld_get_image_header(0);
    if (program == NULL || program->magic != MH_MAGIC_64) {
        return 0;
    }
    const char *at = (const char *)program + sizeof(struct mach_header_64);
    for (uint32_t i = 0; i < program->ncmds; i++) {
        struct load_command command;
        memcpy(&command, at, sizeof command);
        if (command.cmd == LC_UUID) {
            struct uuid_command found;
            memcpy(&found, at, sizeof found);
            size_t bytes = sizeof found.uuid <= capacity ? sizeof found.uuid : 0;
            memcpy(to, found.uuid, bytes);
            return bytes;
        }
        at += command.cmdsize;
    }
    return 0;
}
