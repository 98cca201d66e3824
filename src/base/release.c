#include "base/release.h"

__attribute__((used)) const char vgpu_release[] = RELEASE_MARK VGPU_VERSION;
