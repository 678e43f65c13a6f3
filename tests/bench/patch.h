/* patch.h - programs that make a patch from one file to another: peers of bench_coders */
#ifndef PATCH_H
#define PATCH_H

#include <stdbool.h>
#include <stdint.h>

enum patch_tool { PATCH_XDELTA3, PATCH_ZSTD, PATCH_TOOL_COUNT };

const char *patch_name(enum patch_tool tool);

struct patch_result {
    uint64_t bytes;
    double cpu_ms; /* of the program */
};
/* Makes the patch from `old_path` (of at most `bytes`) to `new_path` at `patch_path`. False: the tool is not there, or
 * cannot do it; `why` is a static string. */
bool patch_run(struct patch_result *result, enum patch_tool tool, const char *old_path, const char *new_path,
               const char *patch_path, uint64_t bytes, const char **why);

#endif
