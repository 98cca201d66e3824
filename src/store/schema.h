/* The tables, and how a database of an older version becomes one of this version. */
#ifndef VGPU_STORE_SCHEMA_H
#define VGPU_STORE_SCHEMA_H

#include "store/database.h"

/* "VGPU" in the file's header: says whose database it is. */
#define SCHEMA_APPLICATION_ID 0x56475055

/* The version this build makes and reads (PRAGMA user_version). */
int64_t schema_version(void);

/* Looks whether the open database is empty or ours, changing nothing. VGPU_ERR_VERSION: ours, but newer.
 * VGPU_ERR_CORRUPT: somebody else's. */
enum vgpu_status schema_check(struct store *store, struct vgpu_error *err);

/* Brings a database that has been checked up to schema_version(), each step in a transaction of its own. */
enum vgpu_status schema_migrate(struct store *store, struct vgpu_error *err);

#endif
