/* gate.h - who may be inside a public watch at once: many collects, or one change of its ranges */
#ifndef SVP_GATE_H
#define SVP_GATE_H

#include <stdbool.h>
#include <stddef.h>

struct svp_gate {
    struct svp_mutex *mutex; /* guards the rest, and is held for moments only */
    struct svp_condition *changed;
    size_t inside;  /* threads that share */
    size_t waiting; /* threads that want to be alone: nobody else gets in before them */
    bool alone;
};

bool svp_gate_open(struct svp_gate *gate); /* false: no memory, and nothing to close */
void svp_gate_close(struct svp_gate *gate);

/* alone: waits until nobody is inside. Leave as entered. */
void svp_gate_enter(struct svp_gate *gate, bool alone);
void svp_gate_leave(struct svp_gate *gate, bool alone);

#endif
