/* uffd_refused.h - why the write-watch of Linux does not work here, in words that say what to do */
#ifndef SVP_UFFD_REFUSED_H
#define SVP_UFFD_REFUSED_H

#include "savepoint.h"

/* Of what failed with this code: userfaultfd, opening /proc/self/pagemap, PAGEMAP_SCAN. NO_BACKEND, or NO_MEMORY. */
enum savepoint_status svp_uffd_refused(struct savepoint_error *error, int os_code);
enum savepoint_status svp_uffd_refused_pagemap(struct savepoint_error *error, int os_code);
enum savepoint_status svp_uffd_refused_scan(struct savepoint_error *error, int os_code);

#endif
