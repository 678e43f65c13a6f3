/* report_page.h - the page of a report, made from tools/report when the tool is built */
#ifndef TOOL_REPORT_PAGE_H
#define TOOL_REPORT_PAGE_H

#include <stddef.h>

/* The JSON of the report stands between the two. */
extern const unsigned char report_page_before[], report_page_after[];
extern const size_t report_page_before_bytes, report_page_after_bytes;

#endif
