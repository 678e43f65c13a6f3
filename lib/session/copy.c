/* copy.c - the one place that reads live memory */
#include "session/copy.h"

#include <stdint.h>

#if defined(__clang__)
#define UNCHECKED __attribute__((no_sanitize("address", "thread", "undefined"), noinline))
#elif defined(__GNUC__)
#define UNCHECKED                                                                                                      \
    __attribute__((no_sanitize("address"), no_sanitize("thread"), noinline,                                            \
                   optimize("O3", "no-tree-loop-distribute-patterns")))
#else
#define UNCHECKED
#endif

#if defined(__GNUC__)
typedef uint64_t __attribute__((may_alias)) any_word; /* the memory holds objects of any type */
#else
typedef uint64_t any_word;
#endif

UNCHECKED void svp_copy_live(void *to, const void *live, size_t bytes)
{
    /* A loop of words, not memcpy: the sanitizers intercept memcpy whatever the attributes say. The compiler makes
     * vector code of it (gcc from level 3 on); volatile would forbid that. */
    any_word *to_words = to;
    const any_word *live_words = live;
    for (size_t i = 0; i < bytes / sizeof *to_words; i++) {
        to_words[i] = live_words[i];
    }
}
