// The kernels of the drift engine: bodies from bins.cuh, launches for the card, loops for the host.
//
// On the card a thread block works on one column (blockIdx.y) and one stretch of its rows (blockIdx.x). A host compiler
// makes plain functions of the same names that go through blocks and threads one after the other; the tests run the
// whole engine on them. `-DMLNB_NAME=float64 -DMLNB_VALUE=double` builds the kernels for one type of values alone,
// `-DMLNB_COMMON` those that see no values.
#include "bins.cuh"

#if defined(__CUDACC__)

#define MLNB_KERNEL(name, most, work, ...)                                                          \
    extern "C" __global__ void __launch_bounds__(most) name(__VA_ARGS__) {                          \
        extern __shared__ __align__(16) unsigned char memory[];                                     \
        const i64 column = static_cast<i64>(blockIdx.y);                                            \
        mlnb::Place at = {static_cast<i64>(blockIdx.x), static_cast<i64>(threadIdx.x),              \
                          static_cast<i64>(blockDim.x)};                                            \
        (void)column, (void)memory;                                                                 \
        work;                                                                                       \
    }

#else

#define MLNB_KERNEL(name, most, work, ...)                                                          \
    extern "C" void name(i64 grid_x, i64 grid_y, i64 threads, unsigned char* memory, __VA_ARGS__) { \
        for (i64 column = 0; column < grid_y; ++column)                                             \
            for (i64 block = 0; block < grid_x; ++block) {                                          \
                mlnb::Place at = {block, 0, threads};                                               \
                (void)memory;                                                                       \
                work;                                                                               \
            }                                                                                       \
    }

#endif

using mlnb::Draft;
using mlnb::Grid;
using mlnb::i64;
using mlnb::Job;
using mlnb::Pair;
using mlnb::Slot;
using mlnb::u32;
using mlnb::u64;
using mlnb::u8;

#define MLNB_WORDS reinterpret_cast<u32*>(memory)
#define MLNB_TYPED_(name, type)                                                                           \
    MLNB_KERNEL(count_##name, 1024, (mlnb::count_block<type>(jobs, grids, column, step, shared, at, MLNB_WORDS)), \
                const Job* jobs, const Grid* grids, i64 step, i64 shared)                                 \
    MLNB_KERNEL(gather_##name, 1024,                                                                      \
                (mlnb::again_block<mlnb::Gathering, type>(jobs, grids, column, step, at, MLNB_WORDS)),    \
                const Job* jobs, const Grid* grids, i64 step)                                             \
    MLNB_KERNEL(single_##name, 512,                                                                      \
                (mlnb::again_block<mlnb::Singling, type>(jobs, grids, column, step, at, MLNB_WORDS)),     \
                const Job* jobs, const Grid* grids, i64 step)                                             \
    MLNB_KERNEL(sample_##name, 256, (mlnb::sample_block<type>(jobs, grids, at)), const Job* jobs, const Grid* grids)
#define MLNB_TYPED(name, type) MLNB_TYPED_(name, type)

#if defined(MLNB_NAME)
MLNB_TYPED(MLNB_NAME, MLNB_VALUE)
#elif !defined(MLNB_COMMON)
MLNB_TYPED(float64, double)
MLNB_TYPED(float32, float)
MLNB_TYPED(int64, i64)
MLNB_TYPED(int32, int)
MLNB_TYPED(int16, short)
MLNB_TYPED(int8, signed char)
MLNB_TYPED(uint64, u64)
MLNB_TYPED(uint32, u32)
MLNB_TYPED(uint16, unsigned short)
MLNB_TYPED(uint8, u8)
#endif

#if !defined(MLNB_NAME)
MLNB_KERNEL(draft, 512, (mlnb::draft_block(drafts, grids, at, reinterpret_cast<u64*>(memory))),
            const Draft* drafts, Grid* grids)

MLNB_KERNEL(edges, 512, (mlnb::edges_block(pairs, grids, at, reinterpret_cast<mlnb::EdgeMemory*>(memory))),
            Pair* pairs, const Grid* grids)

MLNB_KERNEL(place, 256, MLNB_PHASE(at, mlnb::place_slot(slots, grids, count, at)), Slot* slots, const Grid* grids, i64 count)

MLNB_KERNEL(walk, 256, (mlnb::walk_block(slots, list, at, reinterpret_cast<mlnb::WalkMemory*>(memory))),
            Slot* slots, const u64* list)

#define MLNB_TURN(bytes, type)                                                                            \
    MLNB_KERNEL(turn_##bytes, 256,                                                                        \
                (mlnb::turn_block(matrix, turned, rows, columns, at.block, column, at, reinterpret_cast<type*>(memory))), \
                const type* matrix, type* turned, i64 rows, i64 columns)
MLNB_TURN(1, u8)
MLNB_TURN(2, unsigned short)
MLNB_TURN(4, u32)
MLNB_TURN(8, u64)
#endif
