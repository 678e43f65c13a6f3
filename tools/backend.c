/* backend.c - a write-watch as the tool tells of it */
#include "backend.h"

void backend_describe(struct backend_cells *cells, const struct savepoint_backend *backend)
{
    bool works = backend->available != 0;
    text_escape(cells->name, backend->name);
    cells->works = works ? "yes" : "no";
    cells->system_calls = !works ? "" : backend->kernel_writes_counted ? "counted" : "prepare first";
    cells->unit[0] = '\0';
    if (works) {
        text_size(cells->unit, backend->tracking_page_bytes);
    }
}

void backend_json(struct json *json, const struct savepoint_backend *backend)
{
    json_text(json, "name", backend->name);
    json_bool(json, "available", backend->available != 0);
    json_bool(json, "kernel_writes_counted", backend->kernel_writes_counted != 0);
    json_number(json, "tracking_page_bytes", backend->tracking_page_bytes);
    json_text(json, "detail", backend->detail);
}
