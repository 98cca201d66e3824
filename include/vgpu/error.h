/* Errors of the vgpu library: a status and one line that says what is wrong and what to do. */
#ifndef VGPU_ERROR_H
#define VGPU_ERROR_H

#ifdef __cplusplus
extern "C" {
#endif

enum vgpu_status {
    VGPU_OK = 0,
    VGPU_ERR_USAGE,       /* the caller's words are wrong: an unknown option, a value out of range */
    VGPU_ERR_NOT_FOUND,   /* the GPU, VM or pool named does not exist */
    VGPU_ERR_EXISTS,      /* the identifier or number is taken */
    VGPU_ERR_BUSY,        /* somebody else holds it for now: a locked database, a running daemon */
    VGPU_ERR_UNAVAILABLE, /* the daemon, the driver or the hardware is not there */
    VGPU_ERR_PERMISSION,  /* not allowed for this user, or read-only */
    VGPU_ERR_CORRUPT,     /* stored or received data is not what it should be */
    VGPU_ERR_VERSION,     /* made by a newer version than this one */
    VGPU_ERR_IO,          /* the operating system refused: disk full, no file, ... */
    VGPU_ERR_MEMORY,      /* out of host memory */
    VGPU_ERR_AMBIGUOUS,   /* it can mean several: the message lists them */
};

/* Filled by the function that failed, untouched on success. The message is one line of UTF-8
 * without a newline: what was asked, what is wrong, what to do. */
struct vgpu_error {
    enum vgpu_status status;
    char message[512];
};

#ifdef __cplusplus
}
#endif
#endif
