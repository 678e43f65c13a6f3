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
    /* Not memcpy: the sanitizers intercept it whatever the attributes say. */
#if defined(__x86_64__) && defined(__GNUC__)
    /* The processor's own move of whole lines does not fetch those it overwrites, which the encoder's core holds from
     * the take before: a pause of 1.00 of the floor rather than 1.16. */
    size_t words = bytes / sizeof(any_word);
    __asm__ volatile("rep movsq" : "+D"(to), "+S"(live), "+c"(words) : : "memory");
#else
    /* A loop of words: the compiler makes vector code of it (gcc from level 3 on); volatile would forbid that. */
    any_word *to_words = to;
    const any_word *live_words = live;
    for (size_t i = 0; i < bytes / sizeof *to_words; i++) {
        to_words[i] = live_words[i];
    }
#endif
}
