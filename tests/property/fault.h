/* fault.h - a disk that is full or broken now and then, and never slow (link with WRAP svp_file_write svp_file_sync) */
#ifndef FAULT_H
#define FAULT_H

/* The `writes`-th write to an archive from now on fails half-way; 0: none does. */
void fault_arm(int writes);
unsigned fault_count(void); /* writes that failed so far */

#endif
