/* gate.c - who may be inside a public watch at once: many collects, or one change of its ranges */
#include "gate.h"

#include "os/thread.h"

bool svp_gate_open(struct svp_gate *gate)
{
    *gate = (struct svp_gate){ .mutex = svp_mutex_open(), .changed = svp_condition_open() };
    if (gate->mutex != NULL && gate->changed != NULL) {
        return true;
    }
    svp_gate_close(gate);
    return false;
}

void svp_gate_close(struct svp_gate *gate)
{
    svp_mutex_close(gate->mutex);
    svp_condition_close(gate->changed);
}

void svp_gate_enter(struct svp_gate *gate, bool alone)
{
    svp_mutex_lock(gate->mutex);
    if (alone) {
        gate->waiting++;
        while (gate->alone || gate->inside > 0) {
            svp_condition_wait(gate->changed, gate->mutex);
        }
        gate->waiting--;
        gate->alone = true;
    } else {
        while (gate->alone || gate->waiting > 0) {
            svp_condition_wait(gate->changed, gate->mutex);
        }
        gate->inside++;
    }
    svp_mutex_unlock(gate->mutex);
}

void svp_gate_leave(struct svp_gate *gate, bool alone)
{
    svp_mutex_lock(gate->mutex);
    if (alone) {
        gate->alone = false;
    } else {
        gate->inside--;
    }
    if (gate->inside == 0) {
        svp_condition_wake_all(gate->changed);
    }
    svp_mutex_unlock(gate->mutex);
}
