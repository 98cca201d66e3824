/* The history of configuration changes, as the parts of the store write it. */
#ifndef VGPU_STORE_HISTORY_H
#define VGPU_STORE_HISTORY_H

#include "store/database.h"

/* One row, inside the transaction of the change. field, old_value, new_value may be NULL. */
enum vgpu_status history_record(struct store *store, const char *action, const char *subject,
                                const char *field, const char *old_value, const char *new_value,
                                struct vgpu_error *err);

#endif
