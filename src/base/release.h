/* The version of a file of ours, to be read from outside without loading it: the text RELEASE_MARK with the
 * version behind it stands in each program and library that has release.c among its sources. */
#ifndef VGPU_BASE_RELEASE_H
#define VGPU_BASE_RELEASE_H

#define RELEASE_MARK "vgpu release: "

extern const char vgpu_release[];

#endif
