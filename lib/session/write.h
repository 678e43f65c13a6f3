/* write.h - the writer: laid out takes go to the file, one after the other */
#ifndef SVP_WRITE_H
#define SVP_WRITE_H

/* The writer: ends takes in order until the session closes. */
void svp_write_run(void *argument); /* a struct savepoint */

#endif
