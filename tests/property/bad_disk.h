/* bad_disk.h - a disk that is full or broken now and then, and never slow (link with WRAP svp_file_write svp_file_sync)
 */
#ifndef BAD_DISK_H
#define BAD_DISK_H

/* The `writes`-th write to an archive from now on fails half-way; 0: none does. */
void bad_disk_arm(int writes);
unsigned bad_disk_count(void); /* writes that failed so far */

#endif
