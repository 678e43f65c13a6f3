/* reaction.c - the Gray-Scott reaction: two substances that diffuse and react on a torus */
#include "reaction.h"

#include <string.h>

enum { HEADER_BYTES = 4096, SEED_COUNT = 40 };

/* Less than this is nothing. It keeps the undisturbed background exactly at its fixed point, u = 1 and v = 0,
 * bit for bit: those pages never change, and no snapshot stores them twice. */
static const double trace = 1e-6;

/* Old values around the row being computed. `here` rows have one more cell at each end: the torus. */
struct rows {
    const double *u_above, *u_here, *u_below;
    const double *v_above, *v_here, *v_below;
};

size_t reaction_bytes(uint64_t size)
{
    return HEADER_BYTES + 2 * (size_t)(size * size) * sizeof(double);
}

size_t reaction_scratch_count(uint64_t size)
{
    return 6 * (size_t)(size + 2);
}

/* A small generator of our own: the same squares on every system. */
static uint64_t draw(uint64_t *random, uint64_t limit)
{
    *random = *random * 6364136223846793005u + 1442695040888963407u;
    return (*random >> 33) % limit;
}

static void plant_square(struct reaction *reaction, uint64_t left, uint64_t top, uint64_t side)
{
    for (uint64_t y = top; y < top + side; y++) {
        for (uint64_t x = left; x < left + side; x++) {
            size_t cell = (size_t)((y % reaction->size) * reaction->size + x % reaction->size);
            reaction->u[cell] = 0.5;
            reaction->v[cell] = 0.25;
        }
    }
}

void reaction_begin(struct reaction *reaction, uint64_t size)
{
    size_t cell_count = (size_t)(size * size);
    double *grids = (double *)(void *)((char *)reaction + HEADER_BYTES);
    *reaction = (struct reaction){ .size = size,
                                   .u = grids,
                                   .v = grids + cell_count,
                                   .diffusion_u = 0.21,
                                   .diffusion_v = 0.105,
                                   .feed = 0.0325,
                                   .kill = 0.057 };
    for (size_t cell = 0; cell < cell_count; cell++) {
        reaction->u[cell] = 1.0;
        reaction->v[cell] = 0.0;
    }
    uint64_t random = 1;
    for (int seed = 0; seed < SEED_COUNT; seed++) {
        uint64_t left = draw(&random, size);
        uint64_t top = draw(&random, size);
        plant_square(reaction, left, top, 6 + draw(&random, 12));
    }
}

/* The grouping of every sum below is part of the model: with it, u = 1 and v = 0 gives exactly that again. */
static void compute_row(const struct reaction *reaction, double *u_row, double *v_row, const struct rows *old)
{
    for (size_t x = 0; x < reaction->size; x++) {
        double u = old->u_here[x + 1];
        double v = old->v_here[x + 1];
        double spread_u = (old->u_here[x] + old->u_here[x + 2]) + (old->u_above[x] + old->u_below[x]) - 4.0 * u;
        double spread_v = (old->v_here[x] + old->v_here[x + 2]) + (old->v_above[x] + old->v_below[x]) - 4.0 * v;
        double eaten = u * v * v;
        double next_u = u + (reaction->diffusion_u * spread_u - eaten + reaction->feed * (1.0 - u));
        double next_v = v + (reaction->diffusion_v * spread_v + eaten - (reaction->feed + reaction->kill) * v);
        u_row[x] = next_u > 1.0 - trace ? 1.0 : next_u;
        v_row[x] = next_v < trace ? 0.0 : next_v;
    }
}

static void copy_row(double *copy, const double *row, size_t size)
{
    memcpy(copy + 1, row, size * sizeof *row);
    copy[0] = row[size - 1];
    copy[size + 1] = row[0];
}

void reaction_step(struct reaction *reaction, double *scratch)
{
    size_t size = (size_t)reaction->size;
    size_t stride = size + 2;
    double *u_first = scratch, *u_above = scratch + stride, *u_here = scratch + 2 * stride;
    double *v_first = scratch + 3 * stride, *v_above = scratch + 4 * stride, *v_here = scratch + 5 * stride;
    copy_row(u_first, reaction->u, size);
    copy_row(v_first, reaction->v, size);
    copy_row(u_above, reaction->u + (size - 1) * size, size);
    copy_row(v_above, reaction->v + (size - 1) * size, size);
    for (size_t y = 0; y < size; y++) {
        double *u_row = reaction->u + y * size;
        double *v_row = reaction->v + y * size;
        int last = y + 1 == size;
        copy_row(u_here, u_row, size);
        copy_row(v_here, v_row, size);
        struct rows old = { .u_above = u_above + 1,
                            .u_here = u_here,
                            .u_below = last ? u_first + 1 : u_row + size,
                            .v_above = v_above + 1,
                            .v_here = v_here,
                            .v_below = last ? v_first + 1 : v_row + size };
        compute_row(reaction, u_row, v_row, &old);
        double *spare_u = u_above, *spare_v = v_above;
        u_above = u_here;
        v_above = v_here;
        u_here = spare_u;
        v_here = spare_v;
    }
    reaction->step++;
}

static uint64_t digest_bytes(uint64_t digest, const void *bytes, size_t count)
{
    const unsigned char *byte = bytes;
    for (size_t i = 0; i < count; i++) {
        digest = (digest ^ byte[i]) * 0x100000001b3u;
    }
    return digest;
}

uint64_t reaction_digest(const struct reaction *reaction)
{
    size_t grid_bytes = (size_t)(reaction->size * reaction->size) * sizeof(double);
    uint64_t digest = digest_bytes(0xcbf29ce484222325u, &reaction->step, sizeof reaction->step);
    digest = digest_bytes(digest, reaction->u, grid_bytes);
    return digest_bytes(digest, reaction->v, grid_bytes);
}
