/* crew.c - one piece of work on several threads at once */
#include "archive/crew.h"

#include <stddef.h>

#include "os/thread.h"

struct crew {
    void (*work)(void *context, bool own);
    void *context;
};

static void run_beside(void *argument)
{
    const struct crew *crew = argument;
    crew->work(crew->context, false);
}

void svp_crew_run(unsigned workers, void (*work)(void *context, bool own), void *context)
{
    struct crew crew = { work, context };
    struct svp_thread *threads[SVP_CREW_MAX];
    unsigned started = 0;
    while (started + 1 < workers && started < SVP_CREW_MAX) {
        threads[started] = svp_thread_start(run_beside, &crew);
        if (threads[started] == NULL) {
            break;
        }
        started++;
    }
    work(context, true);
    while (started > 0) {
        svp_thread_join(threads[--started]);
    }
}
