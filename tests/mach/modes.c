/* modes.c - the emulated kernel that a program runs on, as the environment says */
#define _GNU_SOURCE
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "emulation.h"

/* Long enough for other threads to store to whatever is half done. */
static void nap_in_gap(enum mach_emulation_gap gap, mach_vm_address_t address, mach_vm_size_t size, void *context)
{
    const struct timespec pause = { .tv_nsec = 20000 };
    (void)gap;
    (void)address;
    (void)size;
    (void)context;
    nanosleep(&pause, NULL);
}

static const struct {
    const char *text;
    enum mach_emulation_kernel kernel;
} kernels[] = { { "kernel:15", MACH_EMULATION_KERNEL_15 },
                { "kernel:range", MACH_EMULATION_KERNEL_RANGE },
                { "kernel:27", MACH_EMULATION_KERNEL_27 } };

static const struct {
    const char *text;
    enum mach_emulation_collapse collapse;
} collapses[] = { { "collapse:always", MACH_EMULATION_COLLAPSE_ALWAYS },
                  { "collapse:never", MACH_EMULATION_COLLAPSE_NEVER },
                  { "collapse:random", MACH_EMULATION_COLLAPSE_RANDOM } };

static bool set_kernel(struct mach_emulation_options *options, const char *word)
{
    for (size_t i = 0; i < sizeof kernels / sizeof kernels[0]; i++) {
        if (strcmp(word, kernels[i].text) == 0) {
            options->kernel = kernels[i].kernel;
            return true;
        }
    }
    return false;
}

static bool set_collapse(struct mach_emulation_options *options, const char *word)
{
    for (size_t i = 0; i < sizeof collapses / sizeof collapses[0]; i++) {
        if (strcmp(word, collapses[i].text) == 0) {
            options->collapse = collapses[i].collapse;
            return true;
        }
    }
    return false;
}

/* Refused remaps leave the write-watch only its way of page by page. */
static bool set_other(struct mach_emulation_options *options, const char *word, bool *remap_refused)
{
    unsigned long long seed = 0;
    if (sscanf(word, "seed:%llu", &seed) == 1) {
        options->seed = seed;
    } else if (strcmp(word, "gap:nap") == 0) {
        options->gap_hook = nap_in_gap;
    } else if (strcmp(word, "remap:refused") == 0) {
        *remap_refused = true;
    } else {
        return false;
    }
    return true;
}

/* MACH_EMULATION=kernel:27,collapse:random,seed:7: what is not named is as all zero options have it. */
__attribute__((constructor)) static void set_mode(void)
{
    struct mach_emulation_options options = { .seed = 1 };
    const char *mode = getenv("MACH_EMULATION");
    bool remap_refused = false;
    char words[256];
    char *rest = words;
    if (mode == NULL) {
        return;
    }
    snprintf(words, sizeof words, "%s", mode);
    for (const char *word; (word = strsep(&rest, ",")) != NULL;) {
        if (!set_kernel(&options, word) && !set_collapse(&options, word) &&
            !set_other(&options, word, &remap_refused)) {
            fprintf(stderr, "MACH_EMULATION: unknown '%s'\n", word);
            _Exit(2);
        }
    }
    mach_emulation_reset(&options);
    if (remap_refused) {
        mach_emulation_fail(MACH_EMULATION_REMAP, 1, UINT_MAX, KERN_NOT_SUPPORTED);
    }
}
