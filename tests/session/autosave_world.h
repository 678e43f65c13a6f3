/* autosave_world.h - autosaves under a clock and a disk that the test holds in its hands
 *
 * Time stands still but for clock_advance(). A file call on the thread that is inside autosave_tick() fails the test.
 */
#ifndef AUTOSAVE_WORLD_H
#define AUTOSAVE_WORLD_H

#include "format/body.h"
#include "tests/crash/crash_fixture.h"

#define SECOND UINT64_C(1000000000)

void clock_advance(uint64_t ns);
/* The clock moves by this much each time it is asked. */
void clock_step(uint64_t ns);

/* While stuck, no write or sync of an archive comes back. */
void disk_stick(bool stuck);
void disk_wait_stuck(void); /* until one waits */

/* A session on a new archive of that name, and its end: the archive holds the whole history. */
void autosave_open(struct world *world, const char *name, size_t pages);
void autosave_end(struct world *world);

/* savepoint_tick, which must return `wanted`. Returns the ticket, 0 for none; `error` may be NULL. */
uint64_t autosave_tick(struct savepoint *session, enum savepoint_status wanted, struct savepoint_error *error);
/* Sets the interval to a second. */
void autosave_set(struct world *world, uint32_t keep_last);
/* Lets a second pass, ticks, waits: the moment joins the history. */
struct savepoint_snapshot autosave_take(struct world *world);
struct savepoint_statistics autosave_statistics(struct savepoint *session);

/* Appends references to an archive that no session has open; `target` NULL deletes the name. */
void ref_write(const char *path, enum svp_ref_kind kind, const char *name, const struct savepoint_snapshot *target);

/* dropped[i]: moment number i is, in the archive. */
void read_dropped(const struct world *world, bool *dropped);
/* The moments that are not dropped, as letters: "ACD". */
const char *kept_moments(const struct world *world);

#endif
