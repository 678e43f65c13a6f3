/* undo.c - a lesson: undo, redo and a second thought, by going back to snapshots instead of taking edits back */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <savepoint.h>

/* What the user edits. Nothing below knows how to undo any of it. */
struct poem {
    int line_count;
    char lines[16][48];
};

static struct savepoint *session;
static struct poem *poem;
static struct savepoint_snapshot now;       /* the snapshot that the poem is at */
static struct savepoint_snapshot undone[8]; /* where redo leads to, the next one last */
static int undone_count;
static struct savepoint_error error;

static void need(enum savepoint_status status)
{
    if (status != SAVEPOINT_OK) {
        fprintf(stderr, "undo: %s: %s\n", savepoint_status_name(status), error.message);
        exit(1);
    }
}

static void show(const char *what)
{
    printf("%-7s", what);
    for (int i = 0; i < poem->line_count; i++) {
        printf("%s%s", i > 0 ? " / " : "", poem->lines[i]);
    }
    printf("\n");
}

/* The state behind one edit is the state before the next. It need not survive a power cut: nobody waits for the disk.
 */
static void edit(const char *line)
{
    struct savepoint_take_options options = SAVEPOINT_TAKE_OPTIONS_INIT;
    snprintf(poem->lines[poem->line_count++], sizeof poem->lines[0], "%s", line);
    options.label = line;
    options.durability = SAVEPOINT_NONE;
    need(savepoint_take(session, NULL, &options, &error));
    need(savepoint_wait(session, 0, &now, &error));
    undone_count = 0;
    show("write");
}

/* Only the pages that differ are written; edits that were not captured would be gone. */
static void undo(void)
{
    char parent[SAVEPOINT_ID_TEXT_BYTES];
    need(savepoint_restore(session, &now.parent, NULL, &error));
    undone[undone_count++] = now;
    savepoint_id_format(&now.parent, parent);
    need(savepoint_find(session, &now, parent, &error));
    show("undo");
}

static void redo(void)
{
    now = undone[--undone_count];
    need(savepoint_restore(session, &now.id, NULL, &error));
    show("redo");
}

int main(int count, char **arguments)
{
    const char *path = count > 1 ? arguments[1] : "undo.svp";
    void *memory;
    remove(path); /* each lesson starts with an empty archive */
    need(savepoint_open(&session, path, NULL, &error));
    need(savepoint_map(session, &memory, "poem", 65536, NULL, &error));
    poem = memory; /* zeros: an empty poem */

    edit("The sea is calm tonight");
    edit("the tide is full");
    edit("the moon lies fair");
    struct savepoint_snapshot first_thought = now;
    undo();
    undo();
    redo();
    edit("and so am I"); /* no redo from here; but what was undone is still there, on a branch of its own */
    struct savepoint_snapshot second_thought = now;

    need(savepoint_restore(session, &first_thought.id, NULL, &error));
    show("first");
    need(savepoint_restore(session, &second_thought.id, NULL, &error));
    show("second");
    printf("both are children of one parent: %s\n",
           memcmp(&first_thought.parent, &second_thought.parent, sizeof now.parent) == 0 ? "yes" : "no");
    need(savepoint_close(session, &error));
    return 0;
}
