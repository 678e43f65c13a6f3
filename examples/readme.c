/* readme.c - counts its own runs: the program printed in README.md */
#include <savepoint.h>
#include <stdio.h>

int main(void)
{
    struct savepoint *session;
    struct savepoint_error error;
    void *memory;
    if (savepoint_open(&session, "counter.svp", NULL, &error) != SAVEPOINT_OK ||
        savepoint_map(session, &memory, "counter", 65536, NULL, &error) != SAVEPOINT_OK) {
        return fprintf(stderr, "%s\n", error.message), 1;
    }
    enum savepoint_status status = savepoint_resume(session, NULL, &error);
    if (status != SAVEPOINT_OK && status != SAVEPOINT_EMPTY) { /* empty: the first run, all zero */
        return fprintf(stderr, "%s\n", error.message), 1;
    }
    long *runs = memory;
    *runs += 1; /* ordinary memory, written in the ordinary way */
    if (savepoint_take(session, NULL, NULL, &error) != SAVEPOINT_OK ||
        savepoint_wait(session, 0, NULL, &error) != SAVEPOINT_OK) { /* from here on it survives a power cut */
        return fprintf(stderr, "%s\n", error.message), 1;
    }
    printf("run number %ld\n", *runs);
    return savepoint_close(session, &error) == SAVEPOINT_OK ? 0 : 1;
}
