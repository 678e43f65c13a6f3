/* check.h - one check of the self-test: a backend, what it has to show, and how far it has come */
#ifndef TOOL_CHECK_H
#define TOOL_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fail.h"
#include "savepoint.h"
#include "trial.h"

enum check_result {
    CHECK_OK,
    CHECK_FAILED,
    CHECK_TOO_LITTLE, /* not enough was done for it to prove anything */
    CHECK_IMPOSSIBLE, /* the machine has no room for it: no fault of the backend */
    CHECK_STOPPED     /* Ctrl-C */
};

struct check {
    const struct savepoint_backend *backend;
    const char *folder;           /* for the archive */
    uint64_t until_ns, latest_ns; /* of a check that repeats itself: how long it should, and may */
    struct trial trial;

    enum check_result result;
    char message[640]; /* why it is not OK */
    uint64_t writes, takes, restores, lost_stores;
};

/* The first reason stays. */
void check_fail(struct check *check, const char *format, ...) FAIL_PRINTF(2, 3);

/* For what every call on check->trial returns: the reason is in the trial. Returns true when it is OK. */
bool check_status(struct check *check, enum savepoint_status status);

/* False once the check has failed, or Ctrl-C was pressed. */
bool check_goes_on(struct check *check);

/* Compares the whole region; `what` names the two: "the snapshot differs from memory". */
bool check_same(struct check *check, const unsigned char *found, const unsigned char *expected, const char *what);

/* Numbers that look like chance and are the same every time; the state must not be 0. */
uint64_t check_random(uint64_t *state);

#endif
