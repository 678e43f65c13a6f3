/* coder.c - the table of page coders and the choice among them */
#include "format/coder.h"

static const struct svp_coder *const table[] = {
    &svp_coder_zero, &svp_coder_stored,   &svp_coder_whole,        &svp_coder_xor_runs, &svp_coder_runs,
    &svp_coder_xor,  &svp_coder_shuffled, &svp_coder_xor_shuffled, &svp_coder_same,
};

const struct svp_coder *svp_coder_find(uint16_t id)
{
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (table[i]->id == id) {
            return table[i];
        }
    }
    return NULL;
}

uint64_t svp_coder_features(void)
{
    uint64_t features = SVP_FEATURE_ZSTD;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        features |= table[i]->feature;
    }
    return features;
}

const struct svp_coder *svp_coder_choose(const struct svp_changes *changes, bool base_usable, uint32_t delta_budget)
{
    const struct svp_coder *best = &svp_coder_whole;
    uint32_t best_bytes = SVP_CODER_UNSUITABLE;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        uint32_t bytes = table[i]->estimate(changes, base_usable);
        bool affordable = !table[i]->has_base || bytes <= delta_budget;
        if (affordable && bytes < best_bytes) {
            best = table[i];
            best_bytes = bytes;
        }
    }
    return best;
}
