/* watch_win32.c - the write-watch of Windows under the loops of watch_loop.c: a program that bench_watch runs by Wine
 *
 * Reads jobs, the numbers of a struct watch_job on a line; answers each with a line: "ok" and the figures, or "no" and
 * the reason. */
#include <windows.h>

#include <stdio.h>

#include "watch_loop.h"

static struct watch_page *watched;
static size_t watched_bytes;

static bool arm(struct watch_page *pages, size_t count, const char **why)
{
    watched = pages;
    watched_bytes = count * sizeof *pages;
    *why = "ResetWriteWatch failed";
    return ResetWriteWatch(watched, watched_bytes) == 0;
}

/* The watch lasts as long as the memory. */
static void disarm(void)
{
}

static size_t query(bool reset, void **addresses)
{
    ULONG_PTR count = watched_bytes / sizeof *watched;
    DWORD page_bytes = 0;
    UINT failure =
        GetWriteWatch(reset ? WRITE_WATCH_FLAG_RESET : 0, watched, watched_bytes, addresses, &count, &page_bytes);
    return failure == 0 && page_bytes == sizeof *watched ? (size_t)count : SIZE_MAX;
}

static void reset(void)
{
    ResetWriteWatch(watched, watched_bytes);
}

static bool open_stage(struct watch_stage *stage, size_t count)
{
    struct watch_page *pages =
        VirtualAlloc(NULL, count * sizeof *pages, MEM_RESERVE | MEM_COMMIT | MEM_WRITE_WATCH, PAGE_READWRITE);
    if (pages == NULL) {
        return false;
    }
    memset(pages, 1, count * sizeof *pages);
    if (!watch_stage_open(stage, pages, count)) {
        VirtualFree(pages, 0, MEM_RELEASE);
        return false;
    }
    return true;
}

static void close_stage(struct watch_stage *stage)
{
    struct watch_page *pages = stage->pages;
    watch_stage_close(stage);
    VirtualFree(pages, 0, MEM_RELEASE);
}

static bool read_job(struct watch_job *job)
{
    int *numbers[] = { &job->kind,     &job->pages,  &job->amount,       &job->threads,
                       &job->delay_ms, &job->random, &job->reset_inside, &job->dirty_pages };
    for (size_t i = 0; i < WATCH_JOB_NUMBERS; i++) {
        if (scanf("%d", numbers[i]) != 1) {
            return false;
        }
    }
    return true;
}

int main(void)
{
    static const struct watch_subject subject = { "wine", arm, disarm, query, reset };
    struct watch_stage stage = { .count = 0 };
    struct watch_job job;
    while (read_job(&job)) {
        double figures[WATCH_FIGURES];
        const char *why = "VirtualAlloc with MEM_WRITE_WATCH failed";
        if (stage.count != (size_t)job.pages) {
            if (stage.count != 0) {
                close_stage(&stage);
            }
            if (!open_stage(&stage, (size_t)job.pages)) {
                stage.count = 0;
            }
        }
        if (stage.count != 0 && watch_run(&subject, &stage, &job, figures, &why)) {
            printf("ok");
            for (int i = 0; i < WATCH_FIGURES; i++) {
                printf(" %.17g", figures[i]);
            }
            printf("\n");
        } else {
            printf("no %s\n", why);
        }
        fflush(stdout);
    }
    return 0;
}
