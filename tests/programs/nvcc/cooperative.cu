/* prints: the grid met: 511 0
 * prints: tiles of 8: 28 */
#include <cooperative_groups.h>
#include <cooperative_groups/reduce.h>

#include "check.h"

namespace groups = cooperative_groups;

/* The second half needs what other blocks have written in the first. */
__global__ void turn_round(int *values, int count)
{
    groups::grid_group grid = groups::this_grid();
    int i = (int)grid.thread_rank();
    values[i] = i;
    grid.sync();
    int other = values[count - 1 - i];
    grid.sync();
    values[i] = other;
}

__global__ void sum_of_tile(int *sum)
{
    auto tile = groups::tiled_partition<8>(groups::this_thread_block());
    int total = groups::reduce(tile, (int)tile.thread_rank(), groups::plus<int>());
    if (groups::this_thread_block().thread_rank() == 0)
        *sum = total;
}

int main()
{
    int count = 512, *values;
    CHECK(cudaMalloc(&values, count * sizeof *values));
    void *arguments[] = {&values, &count};
    CHECK(cudaLaunchCooperativeKernel((void *)turn_round, dim3(2), dim3(256), arguments, 0, 0));
    printf("the grid met: %d %d\n", first_of(values), first_of(values + count - 1));
    sum_of_tile<<<1, 32>>>(values);
    printf("tiles of 8: %d\n", first_of(values));
    return 0;
}
