#include "worker/meeting.h"

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

bool meeting_has_membarrier;

void meeting_open(void)
{
    meeting_has_membarrier = syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0;
}

void meeting_lanes(void)
{
    if (!meeting_has_membarrier || syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) != 0)
        atomic_thread_fence(memory_order_seq_cst);
}
