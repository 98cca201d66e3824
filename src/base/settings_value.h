/* One value of a setting: from the text a person wrote to what the program uses, and the check between. Only
 * for settings.c and its table. */
#ifndef VGPU_BASE_SETTINGS_VALUE_H
#define VGPU_BASE_SETTINGS_VALUE_H

#include "base/settings.h"

struct setting_value {
    char *written;   /* as it would be written in the file; owned */
    int64_t number;  /* INTEGER, DURATION (µs), SIZE (bytes), MODE, CHOICE (index), FLAG (0 or 1) */
    char **items;    /* LIST: NULL-terminated, pointing into item_text; owned */
    char *item_text; /* owned */
};

/* Reads text as a value of the described kind into *value, which the caller has zeroed. base_dir, where not
 * NULL, is the folder that a relative path starts from; where NULL, a path must be absolute. On error
 * *value holds nothing to free, and err's message is the complaint alone, without key or place: "'abc' is not
 * a duration; write for example 20ms". */
enum vgpu_status setting_value_read(struct setting_value *value, const struct setting_description *key,
                                    const char *text, const char *base_dir, struct vgpu_error *err);

void setting_value_fini(struct setting_value *value);

#endif
