/* pages_cache.h - recently used PAGES records of a reader */
#ifndef SVP_PAGES_CACHE_H
#define SVP_PAGES_CACHE_H

#include "archive/reader.h"

/* Reads and parses the record at `offset` into `cached` (start with all zero), whose memory is used again. */
enum savepoint_status svp_pages_cache_load(const struct svp_source *source, struct svp_cached_pages *cached,
                                           uint64_t offset, struct savepoint_error *error);
/* Unpacks its payload, unless it is. */
enum savepoint_status
svp_pages_cache_unpack(const struct svp_source *source, struct svp_cached_pages *cached, struct savepoint_error *error);
/* Frees what it holds, not itself; NULL does nothing. */
void svp_pages_cache_clear(struct svp_cached_pages *cached);

/* The record at `offset`, parsed; valid until the next call. */
enum savepoint_status svp_pages_cache_get(struct svp_reader *reader, const struct svp_cached_pages **cached,
                                          uint64_t offset, struct savepoint_error *error);
/* Gives up the record at a place of the cache. */
void svp_pages_cache_drop(struct svp_reader *reader, size_t place);
/* The same, with its payload unpacked. */
enum savepoint_status svp_pages_cache_unpacked(struct svp_reader *reader, const struct svp_cached_pages **cached,
                                               uint64_t offset, struct savepoint_error *error);

#endif
