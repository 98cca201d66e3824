#include "admin/listing.h"

enum vgpu_status listing_print(const struct command_context *context, struct table *table,
                               struct vgpu_error *err)
{
    struct table_view view = {
        .width = context->width,
        .columns = arguments_text(context->arguments, OPTION_COLUMNS),
        .wide = context->output == OUTPUT_WIDE,
        .no_header = arguments_has(context->arguments, OPTION_NO_HEADER),
        .colour = context->colour,
    };
    enum vgpu_status status = table_print(table, context->out, &view, err);
    table_destroy(table);
    return status;
}
