// Where a value lies: key, bin and offset, and what is done with them, for the card and for the host alike.
//
// Everything here compiles with nvcc, NVRTC and any C++17 compiler; nothing is included. A kernel is a sequence of
// phases between which the threads of a block wait for each other. On the card a phase runs in all threads at once,
// on the host in one after the other, so that a machine without a card runs the same bodies.
// Integers decide everything that is counted: order, threads and device change no bit.
#pragma once

#if defined(__CUDACC__)
#define MLNB_BOTH __host__ __device__ __forceinline__
#else
#define MLNB_BOTH inline
#endif

#if defined(__CUDA_ARCH__)
#define MLNB_PHASE(at, work) \
    { work; __syncthreads(); }
#else
#define MLNB_PHASE(at, work) \
    for ((at).thread = 0; (at).thread < (at).threads; ++(at).thread) { work; }
#endif

namespace mlnb {

typedef unsigned long long u64;
typedef long long i64;
typedef unsigned int u32;
typedef unsigned char u8;
typedef unsigned short u16;
typedef signed char i8;

enum Kind { FLOAT64 = 0, FLOAT32 = 1, INT64 = 2, UINT64 = 3 };
const u64 TOP = 1ULL << 63;
const u64 ALL = ~0ULL;

// ---------------------------------------------------------------------------------------------------------- atomics
MLNB_BOTH void add(u32* cell, u32 value) {
#if defined(__CUDA_ARCH__)
    atomicAdd(cell, value);
#else
    *cell += value;
#endif
}

MLNB_BOTH u32 add_and_tell(u32* cell, u32 value) {
#if defined(__CUDA_ARCH__)
    return atomicAdd(cell, value);
#else
    u32 old = *cell;
    *cell = old + value;
    return old;
#endif
}

MLNB_BOTH void add(u64* cell, u64 value) {
#if defined(__CUDA_ARCH__)
    atomicAdd(cell, value);
#else
    *cell += value;
#endif
}

MLNB_BOTH u64 replace_if(u64* cell, u64 expected, u64 value) {
#if defined(__CUDA_ARCH__)
    return atomicCAS(cell, expected, value);
#else
    u64 old = *cell;
    if (old == expected) *cell = value;
    return old;
#endif
}

// One place in a list for each caller. All callers of a warp name the same cursor: one of them asks for all.
MLNB_BOTH u64 next_place(u64* cursor) {
#if defined(__CUDA_ARCH__)
    const u32 here = __activemask();
    const u32 lane = threadIdx.x & 31u;
    const int leader = __ffs(here) - 1;
    u64 first = 0;
    if (static_cast<int>(lane) == leader) first = atomicAdd(cursor, static_cast<u64>(__popc(here)));
    first = __shfl_sync(here, first, leader);
    return first + static_cast<u64>(__popc(here & ((1u << lane) - 1u)));
#else
    return (*cursor)++;
#endif
}

// ------------------------------------------------------------------------------------------------------------- bits
#if defined(__CUDA_ARCH__)
MLNB_BOTH u64 bits_of(double x) { return static_cast<u64>(__double_as_longlong(x)); }
MLNB_BOTH u32 bits_of(float x) { return __float_as_uint(x); }
MLNB_BOTH double double_of(u64 bits) { return __longlong_as_double(static_cast<i64>(bits)); }
MLNB_BOTH float float_of(u32 bits) { return __uint_as_float(bits); }
#else
template <class To, class From>
MLNB_BOTH To same_bits(From x) {
    To y;
    __builtin_memcpy(&y, &x, sizeof(To));
    return y;
}
MLNB_BOTH u64 bits_of(double x) { return same_bits<u64>(x); }
MLNB_BOTH u32 bits_of(float x) { return same_bits<u32>(x); }
MLNB_BOTH double double_of(u64 bits) { return same_bits<double>(bits); }
MLNB_BOTH float float_of(u32 bits) { return same_bits<float>(bits); }
#endif

MLNB_BOTH i64 bit_length(u64 x) {
#if defined(__CUDA_ARCH__)
    return 64 - __clzll(static_cast<i64>(x));
#else
    return x ? 64 - __builtin_clzll(x) : 0;
#endif
}

// 2^e, for every e of a finite double.
MLNB_BOTH double power(i64 e) {
    return e >= -1022 ? double_of(static_cast<u64>(e + 1023) << 52) : double_of(1ULL << (e + 1074));
}

// ------------------------------------------------------------------------------------------------------------- keys
// NaN is told by its bits, so that no option of a compiler can do away with it.
MLNB_BOTH bool is_missing(double x, i64) { return (bits_of(x) & (TOP - 1)) > 0x7FF0000000000000ULL; }
MLNB_BOTH bool is_missing(float x, i64) { return (bits_of(x) & 0x7FFFFFFFu) > 0x7F800000u; }
MLNB_BOTH bool is_missing(i64 x, i64 nat) { return nat && static_cast<u64>(x) == TOP; }
template <class T>
MLNB_BOTH bool is_missing(T, i64) { return false; }

template <int KIND>
struct Key;

template <>
struct Key<FLOAT64> {
    typedef double value;
    static MLNB_BOTH u64 of(double x) {
        u64 bits = bits_of(x);
        bits = (bits << 1) ? bits : 0;  // -0.0 is 0.0
        return bits ^ ((bits >> 63) ? ALL : TOP);
    }
};

template <>
struct Key<FLOAT32> {
    typedef float value;
    static MLNB_BOTH u64 of(float x) {
        u32 bits = bits_of(x);
        bits = (bits << 1) ? bits : 0;
        return bits ^ ((bits >> 31) ? 0xFFFFFFFFu : 0x80000000u);
    }
};

template <>
struct Key<INT64> {
    typedef i64 value;
    static MLNB_BOTH u64 of(i64 x) { return static_cast<u64>(x) ^ TOP; }
};

template <>
struct Key<UINT64> {
    typedef u64 value;
    static MLNB_BOTH u64 of(u64 x) { return x; }
};

// The value that a key stands for, as a double.
MLNB_BOTH double value_of(i64 kind, u64 key) {
    if (kind == FLOAT64) return double_of(key ^ ((key >> 63) ? TOP : ALL));
    if (kind == FLOAT32) {
        const u32 low = static_cast<u32>(key);
        return static_cast<double>(float_of(low ^ ((low >> 31) ? 0x80000000u : 0xFFFFFFFFu)));
    }
    return kind == INT64 ? static_cast<double>(static_cast<i64>(key ^ TOP)) : static_cast<double>(key);
}

// How far apart two keys are in values, first <= second; of integers without a detour over rounded values.
MLNB_BOTH double distance(i64 kind, u64 first, u64 second) {
    return kind >= INT64 ? static_cast<double>(second - first) : value_of(kind, second) - value_of(kind, first);
}

// ---------------------------------------------------------------------------------------------------------- binades
MLNB_BOTH i64 binades(i64 kind) { return kind == FLOAT64 ? 4096 : kind == FLOAT32 ? 512 : kind == INT64 ? 128 : 65; }

MLNB_BOTH i64 binade(i64 kind, u64 key) {
    if (kind == FLOAT64) return static_cast<i64>(key >> 52);
    if (kind == FLOAT32) return static_cast<i64>(key >> 23);
    if (kind == UINT64) return bit_length(key);
    return (key >> 63) ? 64 + bit_length(key ^ TOP) : 63 - bit_length(key ^ (TOP - 1));
}

// log2 of the number of keys in a binade.
MLNB_BOTH i64 binade_width(i64 kind, i64 number) {
    if (kind == FLOAT64) return 52;
    if (kind == FLOAT32) return 23;
    const i64 length = kind == UINT64 ? number : number >= 64 ? number - 64 : 63 - number;
    return length > 0 ? length - 1 : 0;
}

MLNB_BOTH u64 binade_start(i64 kind, i64 number) {
    const i64 width = binade_width(kind, number);
    if (kind == FLOAT64 || kind == FLOAT32) return static_cast<u64>(number) << width;
    const u64 size = 1ULL << width;
    if (kind == UINT64) return number > 0 ? size : 0;
    if (number >= 64) return number > 64 ? TOP + size : TOP;
    return TOP - (number == 63 ? 1 : 2 * size);
}

// ------------------------------------------------------------------------------------------------------------ grids
struct Grid {
    u64 low, span;  // first key of the cells; last one less `low`
    i64 shift;      // log2 of the number of keys in a cell
    i64 cells;
    i64 low_outer;  // outer bins below the cells
    i64 high_base;  // bin of a key above the cells, less its binade
    i64 size;       // bins
    i64 kind;
    i64 hot;           // bin that is expected to be full, -1 where there is none
    const u32* table;  // a cell: its first bin, and its level from bit 16 on
};

struct Spot {
    u32 bin, offset;
};

template <int KIND>
MLNB_BOTH Spot spot(u64 key, const Grid& grid, const u32* table) {
    const u64 d = key - grid.low;
    Spot found;
    u64 place = key;  // hulls of outer bins start at multiples of their width
    i64 width;
    if (d <= grid.span) {
        const u32 entry = table[d >> grid.shift];
        width = grid.shift - static_cast<i64>(entry >> 16);
        found.bin = (entry & 0xFFFFu) + static_cast<u32>((d & ((1ULL << grid.shift) - 1)) >> width);
        place = d;
    } else {
        const i64 number = binade(KIND, key);
        width = binade_width(KIND, number);
        found.bin = static_cast<u32>(key < grid.low ? number : number + grid.high_base);
    }
    found.offset = static_cast<u32>(((place << (63 - width)) << 1) >> 32);
    return found;
}

struct Bin {
    u64 start, end, hull;  // first key, first key after it (0: after the last one), and from where offsets count
    i64 width;             // log2 of the number of keys that offsets cover
};

MLNB_BOTH Bin bin_at(const Grid& grid, i64 b) {
    Bin found;
    const i64 above = binade(grid.kind, grid.low + grid.span + 1) + grid.high_base;  // only where there are any above
    if (b < grid.low_outer) {
        found.start = found.hull = binade_start(grid.kind, b);
        found.width = binade_width(grid.kind, b);
        found.end = b + 1 < grid.low_outer ? binade_start(grid.kind, b + 1) : grid.low;
        return found;
    }
    i64 low = 0, high = grid.cells;  // the last cell whose first bin is not past b
    while (high - low > 1) {
        const i64 middle = (low + high) / 2;
        if (static_cast<i64>(grid.table[middle] & 0xFFFFu) <= b) low = middle;
        else high = middle;
    }
    const u32 entry = grid.table[low];
    const i64 within = b - static_cast<i64>(entry & 0xFFFFu), level = static_cast<i64>(entry >> 16);
    if (within < (1LL << level)) {
        found.width = grid.shift - level;
        found.start = found.hull = grid.low + (static_cast<u64>(low) << grid.shift) + (static_cast<u64>(within) << found.width);
        found.end = found.start + (1ULL << found.width);
        return found;
    }
    const i64 number = b - grid.high_base;
    found.hull = binade_start(grid.kind, number);
    found.width = binade_width(grid.kind, number);
    found.start = b == above ? grid.low + grid.span + 1 : found.hull;
    found.end = number + 1 < binades(grid.kind) ? binade_start(grid.kind, number + 1) : grid.kind == FLOAT32 ? 0xFFFFFFFFULL : ALL;
    return found;
}

// Width of one key in the binade of `key`, as a power of two.
MLNB_BOTH i64 unit(i64 kind, u64 key) {
    if (kind >= INT64) return 0;
    if (kind == FLOAT64) {
        const i64 e = static_cast<i64>(((key >> 63) ? key : ~key) >> 52 & 0x7FF);
        return (e > 0 ? e : 1) - 1075;
    }
    const i64 e = static_cast<i64>(((key >> 31) ? key : ~key) >> 23 & 0xFF);
    return (e > 0 ? e : 1) - 150;
}

MLNB_BOTH u64 key_of_infinity(i64 kind) { return kind == FLOAT64 ? 4095ULL << 52 : kind == FLOAT32 ? 511ULL << 23 : ALL; }
// First key after that of minus infinity; 0 where there is none.
MLNB_BOTH u64 first_finite(i64 kind) { return kind == FLOAT64 ? 1ULL << 52 : kind == FLOAT32 ? 1ULL << 23 : 0; }

// --------------------------------------------------------------------------------------------------- reading values
struct Place {
    i64 block, thread, threads;
};

struct Job {  // one column of one side
    const void* values;
    const u8* mask;  // 1: missing; may be null
    i64 rows;
    i64 nat;   // the smallest integer means missing
    i64 grid;  // its number
    u64 *counts, *sums, *missing;  // pass 1; sums may be null
    const u32* open;               // pass 2: a bit a bin
    const u64* base;               // what makes a key of an open bin its number in the list; null: the key itself
    u64 *list, *cursor;            // where the open values go, and how many there are
    u64 limit;                     // how many fit
    i64 side;                      // last bit of a number in the list
};

template <class T>
struct alignas(sizeof(T) >= 4 ? 16 : 4 * sizeof(T)) Pack {
    T of[sizeof(T) >= 4 ? 16 / sizeof(T) : 4];
};

// Calls take(value, row) for this thread's rows of first ... last - 1: 16 bytes a load where a value has four or eight,
// and four loads on their way.
template <class T, class Take>
MLNB_BOTH void each_value(const T* values, i64 first, i64 last, const Place& at, Take& take) {
    const i64 wide = static_cast<i64>(sizeof(Pack<T>) / sizeof(T)), deep = sizeof(T) >= 4 ? 4 : 2;
    i64 tail = first;
    if ((reinterpret_cast<u64>(values + first) & (sizeof(Pack<T>) - 1)) == 0) {
        const Pack<T>* packs = reinterpret_cast<const Pack<T>*>(values + first);
        const i64 count = (last - first) / wide, step = at.threads;
        i64 i = at.thread;
        for (; i + (deep - 1) * step < count; i += deep * step) {
            Pack<T> held[deep];
#if defined(__CUDA_ARCH__)
#pragma unroll
#endif
            for (i64 k = 0; k < deep; ++k) held[k] = packs[i + k * step];
#if defined(__CUDA_ARCH__)
#pragma unroll
#endif
            for (i64 k = 0; k < deep; ++k)
                for (i64 w = 0; w < wide; ++w) take(held[k].of[w], first + (i + k * step) * wide + w);
        }
        for (; i < count; i += step) {
            const Pack<T> held = packs[i];
            for (i64 w = 0; w < wide; ++w) take(held.of[w], first + i * wide + w);
        }
        tail = first + count * wide;
    }
    for (i64 row = tail + at.thread; row < last; row += at.threads) take(values[row], row);
}

MLNB_BOTH void copy_table(const Grid& grid, u32* table, const Place& at) {
    for (i64 c = at.thread; c < grid.cells; c += at.threads) table[c] = grid.table[c];
}

// ------------------------------------------------------------------------------------------------- K1: count in bins
// Shared memory: the table, then counts, and the halves of the sums. Without room for them the counters are global.
template <class T, int KIND, bool SHARED>
struct Counting {
    const Job& job;
    const Grid& grid;
    const u32* table;
    u32 *counts, *low, *high;  // SHARED
    u64 missing, hot, hot_sum;

    MLNB_BOTH void operator()(T value, i64 row) {
        if (is_missing(value, job.nat) || (job.mask && job.mask[row])) {
            ++missing;
            return;
        }
        const Spot s = spot<KIND>(Key<KIND>::of(static_cast<typename Key<KIND>::value>(value)), grid, table);
        if (static_cast<i64>(s.bin) == grid.hot) {  // many equal values would queue for one counter
            ++hot;
            hot_sum += s.offset;
        } else if (SHARED) {
            add(counts + s.bin, 1u);
            if (job.sums && s.offset && add_and_tell(low + s.bin, s.offset) > ~s.offset) add(high + s.bin, 1u);
        } else {
            add(job.counts + s.bin, 1ULL);
            if (job.sums && s.offset) add(job.sums + s.bin, static_cast<u64>(s.offset));
        }
    }

    MLNB_BOTH void finish() {
        if (missing) add(job.missing, missing);
        if (hot) add(job.counts + grid.hot, hot);
        if (hot_sum && job.sums) add(job.sums + grid.hot, hot_sum);
    }
};

template <class T, int KIND, bool SHARED>
MLNB_BOTH void count_rows(const Job& job, const Grid& grid, i64 first, i64 last, const Place& at, u32* memory) {
    Counting<T, KIND, SHARED> take = {job, grid, memory, memory + grid.cells, memory + grid.cells + grid.size,
                                      memory + grid.cells + 2 * grid.size, 0, 0, 0};
    each_value(static_cast<const T*>(job.values), first, last, at, take);
    take.finish();
}

MLNB_BOTH void clear(u32* memory, i64 size, const Place& at) {
    for (i64 i = at.thread; i < size; i += at.threads) memory[i] = 0;
}

MLNB_BOTH void flush_counts(const Job& job, const Grid& grid, const Place& at, const u32* memory) {
    const u32 *counts = memory + grid.cells, *low = counts + grid.size, *high = low + grid.size;
    for (i64 b = at.thread; b < grid.size; b += at.threads) {
        if (!counts[b]) continue;
        add(job.counts + b, static_cast<u64>(counts[b]));
        if (job.sums) add(job.sums + b, (static_cast<u64>(high[b]) << 32) + low[b]);
    }
}

// The kinds in which values of a type can be compared: their own one, or with another type as FLOAT64, or INT64.
template <class T> struct Own { static const int kind = INT64; };
template <> struct Own<double> { static const int kind = FLOAT64; };
template <> struct Own<float> { static const int kind = FLOAT32; };
template <> struct Own<u64> { static const int kind = UINT64; };

template <class T, bool SHARED>
MLNB_BOTH void count_any(const Job& job, const Grid& grid, i64 first, i64 last, const Place& at, u32* memory) {
    if (grid.kind == Own<T>::kind) count_rows<T, Own<T>::kind, SHARED>(job, grid, first, last, at, memory);
    else if (grid.kind == FLOAT64) count_rows<T, FLOAT64, SHARED>(job, grid, first, last, at, memory);
    else if (sizeof(T) == 8 && grid.kind == INT64) count_rows<T, INT64, SHARED>(job, grid, first, last, at, memory);
}

template <class T>
MLNB_BOTH void count_block(const Job* jobs, const Grid* grids, i64 column, i64 step, i64 shared, Place at, u32* memory) {
    const Job job = jobs[column];  // a copy: atomics between would make the card read it again for every value
    const Grid grid = grids[job.grid];
    const i64 first = at.block * step, last = first + step < job.rows ? first + step : job.rows;
    if (first >= last) return;
    const i64 counters = shared ? grid.size * (job.sums ? 3 : 1) : 0;
    MLNB_PHASE(at, copy_table(grid, memory, at); clear(memory + grid.cells, counters, at))
    if (shared) {
        MLNB_PHASE(at, (count_any<T, true>(job, grid, first, last, at, memory)))
        MLNB_PHASE(at, flush_counts(job, grid, at, memory))
    } else {
        MLNB_PHASE(at, (count_any<T, false>(job, grid, first, last, at, memory)))
    }
}

// ---------------------------------------------------------------------------------- K3: read again, take what is open
template <class T, int KIND>
struct Gathering {
    const Job& job;
    const Grid& grid;
    const u32 *table, *open;

    MLNB_BOTH void operator()(T value, i64 row) {
        if (is_missing(value, job.nat) || (job.mask && job.mask[row])) return;
        const u64 key = Key<KIND>::of(static_cast<typename Key<KIND>::value>(value));
        const u32 b = spot<KIND>(key, grid, table).bin;
        if (!(open[b >> 5] >> (b & 31) & 1u)) return;
        const u64 at = next_place(job.cursor);
        if (at < job.limit) job.list[at] = job.base ? ((job.base[b] + key) << 1) | static_cast<u64>(job.side) : key;
    }
};

// Whether all values of an open bin are equal: `list` has one key a bin, `limit` marks it as unset, `base` the marks.
template <class T, int KIND>
struct Singling {
    const Job& job;
    const Grid& grid;
    const u32 *table, *open;

    MLNB_BOTH void operator()(T value, i64 row) {
        if (is_missing(value, job.nat) || (job.mask && job.mask[row])) return;
        const u64 key = Key<KIND>::of(static_cast<typename Key<KIND>::value>(value));
        const u32 b = spot<KIND>(key, grid, table).bin;
        if (!(open[b >> 5] >> (b & 31) & 1u)) return;
        u64 held = job.list[b];
        if (held == ALL) held = replace_if(job.list + b, ALL, key);
        if ((held != ALL && held != key) || key == ALL) job.cursor[b] = 1;  // all who write, write the same
    }
};

template <template <class, int> class Work, class T>
MLNB_BOTH void again_any(const Job& job, const Grid& grid, i64 first, i64 last, const Place& at, const u32* memory) {
    const T* values = static_cast<const T*>(job.values);
    if (grid.kind == Own<T>::kind) {
        Work<T, Own<T>::kind> take = {job, grid, memory, memory + grid.cells};
        each_value(values, first, last, at, take);
    } else if (grid.kind == FLOAT64) {
        Work<T, FLOAT64> take = {job, grid, memory, memory + grid.cells};
        each_value(values, first, last, at, take);
    } else if (sizeof(T) == 8 && grid.kind == INT64) {
        Work<T, INT64> take = {job, grid, memory, memory + grid.cells};
        each_value(values, first, last, at, take);
    }
}

MLNB_BOTH void copy_open(const Job& job, const Grid& grid, u32* open, const Place& at) {
    for (i64 i = at.thread; i < (grid.size + 31) / 32; i += at.threads) open[i] = job.open[i];
}

template <template <class, int> class Work, class T>
MLNB_BOTH void again_block(const Job* jobs, const Grid* grids, i64 column, i64 step, Place at, u32* memory) {
    const Job job = jobs[column];  // a copy: atomics between would make the card read it again for every value
    const Grid grid = grids[job.grid];
    const i64 first = at.block * step, last = first + step < job.rows ? first + step : job.rows;
    if (first >= last) return;
    MLNB_PHASE(at, copy_table(grid, memory, at); copy_open(job, grid, memory + grid.cells, at))
    MLNB_PHASE(at, (again_any<Work, T>(job, grid, first, last, at, memory)))
}

// --------------------------------------------------------------------------------------- K2: edges, a column a block
struct Pair {  // one column of both sides
    const u64 *counts[2], *sums[2];
    i64 total[2];   // values of the sides
    i64 grid;       // its number
    i64 transport;  // whether Wasserstein-1 is wanted
    u8* flags;      // a bin: 1 open for KS, 2 open for Wasserstein-1, 4 sign plus, 8 sign minus
    i64* ends;      // i*m - j*n at the end of each bin
    i64 reach;      // largest |i*m - j*n| at the ends
    i64 kept[2];    // values of the sides in open bins
    double limit;   // most that rounded offsets may cost a bin; it is opened otherwise
    double closed;  // integral of |F - G| over the bins that are not open
    double mean[2];
};

struct EdgeMemory {  // a thread
    i64 d, best, kept[2];
    double closed, mean[2];
};

MLNB_BOTH i64 change(const Pair& pair, i64 b) {
    return static_cast<i64>(pair.counts[0][b]) * pair.total[1] - static_cast<i64>(pair.counts[1][b]) * pair.total[0];
}

MLNB_BOTH void edges_sum(const Pair& pair, const Grid& grid, const Place& at, EdgeMemory* memory) {
    const i64 first = grid.size * at.thread / at.threads, last = grid.size * (at.thread + 1) / at.threads;
    i64 d = 0;
    for (i64 b = first; b < last; ++b) d += change(pair, b);
    memory[at.thread].d = d;
}

MLNB_BOTH void edges_scan(const Place& at, EdgeMemory* memory) {
    if (at.thread) return;
    i64 d = 0;
    for (i64 t = 0; t < at.threads; ++t) {
        const i64 own = memory[t].d;
        memory[t].d = d;
        d += own;
    }
}

MLNB_BOTH void edges_reach(const Pair& pair, const Grid& grid, const Place& at, EdgeMemory* memory) {
    const i64 first = grid.size * at.thread / at.threads, last = grid.size * (at.thread + 1) / at.threads;
    i64 d = memory[at.thread].d, best = 0;
    for (i64 b = first; b < last; ++b) {
        d += change(pair, b);
        pair.ends[b] = d;
        const i64 size = d < 0 ? -d : d;
        best = size > best ? size : best;
    }
    memory[at.thread].best = best;
}

MLNB_BOTH void edges_best(Pair& pair, const Place& at, const EdgeMemory* memory) {
    if (at.thread) return;
    i64 best = 0;
    for (i64 t = 0; t < at.threads; ++t) best = memory[t].best > best ? memory[t].best : best;
    pair.reach = best;
}

// Integral of (F - G) over a bin in which it keeps its sign, from counts and sums of offsets alone.
MLNB_BOTH double closed_integral(const Pair& pair, i64 kind, const Bin& bin, i64 b, i64 d_end) {
    const double n = static_cast<double>(pair.total[0]), m = static_cast<double>(pair.total[1]);
    const double wide = power(bin.width + unit(kind, bin.hull));
    const double before = static_cast<double>(bin.start - bin.hull) * power(unit(kind, bin.hull));
    double integral = d_end ? static_cast<double>(d_end) / n / m * distance(kind, bin.start, bin.end) : 0.0;
    for (int side = 0; side < 2; ++side) {
        const double share = side ? m : n, count = static_cast<double>(pair.counts[side][b]) / share;
        if (!pair.counts[side][b]) continue;
        const double inside = static_cast<double>(pair.sums[side][b]) / 4294967296.0 / share * wide - count * before;
        integral += side ? inside : -inside;
    }
    return integral;
}

// What offsets rounded to 32 bits can cost: nothing in bins of up to 2^32 keys.
MLNB_BOTH double blur(const Pair& pair, i64 kind, const Bin& bin, i64 b) {
    if (bin.width <= 32) return 0.0;
    const double x = static_cast<double>(pair.counts[0][b]) / static_cast<double>(pair.total[0]);
    const double y = static_cast<double>(pair.counts[1][b]) / static_cast<double>(pair.total[1]);
    return power(bin.width + unit(kind, bin.hull)) / 4294967296.0 * (x > y ? x : y);
}

MLNB_BOTH void edges_flag(const Pair& pair, const Grid& grid, const Place& at, EdgeMemory* memory) {
    const i64 first = grid.size * at.thread / at.threads, last = grid.size * (at.thread + 1) / at.threads;
    i64 d = memory[at.thread].d, kept[2] = {0, 0};
    double closed = 0.0, mean[2] = {0.0, 0.0};
    for (i64 b = first; b < last; ++b) {
        const i64 x = static_cast<i64>(pair.counts[0][b]), y = static_cast<i64>(pair.counts[1][b]);
        const i64 high = d + x * pair.total[1], low = d - y * pair.total[0], end = pair.ends[b];
        u8 flag = 0;
        if (x || y || (d && pair.transport)) {
            const Bin bin = bin_at(grid, b);
            const bool floats = grid.kind < INT64, minus = floats && bin.end <= first_finite(grid.kind);
            const bool plus = floats && bin.start >= key_of_infinity(grid.kind);
            if (bin.width > 0 && !minus && !plus) {
                const i64 most = high > -low ? high : -low;
                if (x && y && most > pair.reach) flag = 1;
                if (pair.transport && low < 0 && high > 0) flag |= 2;
                if (pair.transport && (x || y) && blur(pair, grid.kind, bin, b) > pair.limit) flag |= 2;
            }
            if (pair.transport && !(flag & 2)) {
                flag |= low >= 0 ? 4 : 8;
                double part = 0.0;
                if (minus) part = end ? power(1023) * 4.0 : 0.0;  // a difference that reaches to infinity
                else if (plus) part = d ? power(1023) * 4.0 : 0.0;
                else part = closed_integral(pair, grid.kind, bin, b, end);
                closed += part < 0 ? -part : part;
            }
            for (int side = 0; side < 2 && pair.sums[side]; ++side) {
                const i64 count = side ? y : x;
                if (!count) continue;
                const double share = static_cast<double>(pair.total[side]);
                if (minus || plus) mean[side] += value_of(grid.kind, plus ? bin.start : bin.end - 1);
                else {
                    const double wide = power(bin.width + unit(grid.kind, bin.hull));
                    mean[side] += value_of(grid.kind, bin.hull) / share * static_cast<double>(count);
                    mean[side] += static_cast<double>(pair.sums[side][b]) / 4294967296.0 / share * wide;
                }
            }
            if (flag & 3) {
                kept[0] += x;
                kept[1] += y;
            }
        }
        pair.flags[b] = flag;
        d = end;
    }
    memory[at.thread].kept[0] = kept[0];
    memory[at.thread].kept[1] = kept[1];
    memory[at.thread].closed = closed;
    memory[at.thread].mean[0] = mean[0];
    memory[at.thread].mean[1] = mean[1];
}

MLNB_BOTH void edges_total(Pair& pair, const Place& at, const EdgeMemory* memory) {
    if (at.thread) return;
    pair.kept[0] = pair.kept[1] = 0;
    pair.closed = pair.mean[0] = pair.mean[1] = 0.0;
    for (i64 t = 0; t < at.threads; ++t) {  // in one order, so that the last digit is always the same
        pair.kept[0] += memory[t].kept[0];
        pair.kept[1] += memory[t].kept[1];
        pair.closed += memory[t].closed;
        pair.mean[0] += memory[t].mean[0];
        pair.mean[1] += memory[t].mean[1];
    }
}

MLNB_BOTH void edges_block(Pair* pairs, const Grid* grids, Place at, EdgeMemory* memory) {
    Pair& pair = pairs[at.block];
    const Grid grid = grids[pair.grid];
    MLNB_PHASE(at, edges_sum(pair, grid, at, memory))
    MLNB_PHASE(at, edges_scan(at, memory))
    MLNB_PHASE(at, edges_reach(pair, grid, at, memory))
    MLNB_PHASE(at, edges_best(pair, at, memory))
    MLNB_PHASE(at, edges_flag(pair, grid, at, memory))
    MLNB_PHASE(at, edges_total(pair, at, memory))
}

// --------------------------------------------------------------------------- K5: walk the sorted values of an open bin
struct Slot {
    i64 first, last;  // its part of the sorted list
    u64 base;         // what the list has added to the keys
    u64 start, end;   // keys of the bin
    i64 d;            // i*m - j*n where it begins
    i64 n, m;
    i64 flag, kind;
    i64 reach;        // largest |i*m - j*n| at values inside
    double integral;  // of |F - G| over the bin
};

// Where an open bin begins and ends: `first` holds its number, `last` the number
// of its grid; `base` gets the start of its hull, `reach` its width.
MLNB_BOTH void place_slot(Slot* slots, const Grid* grids, i64 count, const Place& at) {
    const i64 i = at.block * at.threads + at.thread;
    if (i >= count) return;
    const Grid grid = grids[slots[i].last];
    const Bin bin = bin_at(grid, slots[i].first);
    slots[i].kind = grid.kind;
    slots[i].start = bin.start;
    slots[i].end = bin.end;
    slots[i].base = bin.hull;
    slots[i].reach = bin.width;
}

struct WalkMemory {
    i64 d, best;
    double integral;
};

MLNB_BOTH void walk_sum(const Slot& slot, const u64* list, const Place& at, WalkMemory* memory) {
    const i64 size = slot.last - slot.first;
    const i64 first = slot.first + size * at.thread / at.threads, last = slot.first + size * (at.thread + 1) / at.threads;
    i64 d = 0;
    for (i64 i = first; i < last; ++i) d += (list[i] & 1) ? -slot.n : slot.m;
    memory[at.thread].d = d;
}

MLNB_BOTH void walk_scan(const Slot& slot, const Place& at, WalkMemory* memory) {
    if (at.thread) return;
    i64 d = slot.d;
    for (i64 t = 0; t < at.threads; ++t) {
        const i64 own = memory[t].d;
        memory[t].d = d;
        d += own;
    }
}

MLNB_BOTH double height(const Slot& slot, i64 d) {
    return static_cast<double>(d < 0 ? -d : d) / static_cast<double>(slot.n) / static_cast<double>(slot.m);
}

MLNB_BOTH void walk_steps(const Slot& slot, const u64* list, const Place& at, WalkMemory* memory) {
    const i64 size = slot.last - slot.first;
    const i64 first = slot.first + size * at.thread / at.threads, last = slot.first + size * (at.thread + 1) / at.threads;
    i64 d = memory[at.thread].d, best = 0;
    double integral = 0.0;
    for (i64 i = first; i < last; ++i) {
        const u64 key = (list[i] >> 1) - slot.base;
        if (i == slot.first && d && (slot.flag & 2)) integral += height(slot, d) * distance(slot.kind, slot.start, key);
        d += (list[i] & 1) ? -slot.n : slot.m;
        const bool ends = i + 1 == slot.last;
        const u64 next = ends ? slot.end : (list[i + 1] >> 1) - slot.base;
        if (next == key && !ends) continue;
        const i64 tall = d < 0 ? -d : d;
        best = tall > best ? tall : best;
        if (d && (slot.flag & 2)) integral += height(slot, d) * distance(slot.kind, key, next);
    }
    memory[at.thread].best = best;
    memory[at.thread].integral = integral;
}

MLNB_BOTH void walk_total(Slot& slot, const Place& at, const WalkMemory* memory) {
    if (at.thread) return;
    slot.reach = 0;
    slot.integral = 0.0;
    for (i64 t = 0; t < at.threads; ++t) {
        slot.reach = memory[t].best > slot.reach ? memory[t].best : slot.reach;
        slot.integral += memory[t].integral;
    }
}

MLNB_BOTH void walk_block(Slot* slots, const u64* list, Place at, WalkMemory* memory) {
    Slot& slot = slots[at.block];
    MLNB_PHASE(at, walk_sum(slot, list, at, memory))
    MLNB_PHASE(at, walk_scan(slot, at, memory))
    MLNB_PHASE(at, walk_steps(slot, list, at, memory))
    MLNB_PHASE(at, walk_total(slot, at, memory))
}

// ------------------------------------------------------------------------------------------- K0: a sample and its grid
// The sampled rows of a column, as keys in any order: `base` has the rows, `limit` says how many.
template <class T, int KIND>
MLNB_BOTH void sample_rows(const Job& job, const Place& at) {
    const T* values = static_cast<const T*>(job.values);
    for (i64 i = at.thread; i < static_cast<i64>(job.limit); i += at.threads) {
        const i64 row = static_cast<i64>(job.base[i]);
        const T value = values[row];
        if (is_missing(value, job.nat) || (job.mask && job.mask[row])) continue;
        const u64 key = Key<KIND>::of(static_cast<typename Key<KIND>::value>(value));
        if (KIND < INT64 && (key < first_finite(KIND) || key >= key_of_infinity(KIND))) continue;  // have their own bins
        job.list[next_place(job.cursor)] = key;
    }
}

template <class T>
MLNB_BOTH void sample_block(const Job* jobs, const Grid* grids, Place at) {
    const Job& job = jobs[at.block];
    const i64 kind = grids[job.grid].kind;
    if (kind == Own<T>::kind) { MLNB_PHASE(at, (sample_rows<T, Own<T>::kind>(job, at))) }
    else if (kind == FLOAT64) { MLNB_PHASE(at, (sample_rows<T, FLOAT64>(job, at))) }
    else if (sizeof(T) == 8 && kind == INT64) { MLNB_PHASE(at, (sample_rows<T, INT64>(job, at))) }
}

const i64 CELLS = 8192;

struct Draft {
    const u64 *keys, *taken;  // the sample in any order, and its size
    u32* table;               // of the grid to come, CELLS long
    i64 bins;                 // about how many
    i64 room;                 // a power of two, not below the size
};

struct DraftState {
    i64 first, last;      // the part of the sorted sample that decides
    i64 shift, cells;
    u64 low;
    u32 changes[2][65];   // how often neighbours differ first in each bit: in all, and without the ends
    u32 hot;
    i64 sums[512];
};

MLNB_BOTH void draft_load(const Draft& draft, const Place& at, u64* keys, DraftState& state) {
    const i64 size = static_cast<i64>(*draft.taken);
    for (i64 i = at.thread; i < draft.room; i += at.threads) keys[i] = i < size ? draft.keys[i] : ALL;
    for (i64 i = at.thread; i < 130; i += at.threads) state.changes[i / 65][i % 65] = 0;
    if (at.thread == 0) state.hot = 0xFFFFFFFFu;
}

MLNB_BOTH void draft_sort(const Draft& draft, i64 run, i64 apart, const Place& at, u64* keys) {
    for (i64 i = at.thread; i < draft.room; i += at.threads) {
        const i64 other = i ^ apart;
        if (other <= i) continue;
        const u64 a = keys[i], b = keys[other];
        if ((a > b) == ((i & run) == 0)) {
            keys[i] = b;
            keys[other] = a;
        }
    }
}

MLNB_BOTH void draft_changes(i64 size, const Place& at, const u64* keys, DraftState& state) {
    const i64 ends = size / 64;
    for (i64 i = 1 + at.thread; i < size; i += at.threads) {
        const i64 bit = bit_length(keys[i] ^ keys[i - 1]);
        if (!bit) continue;
        add(&state.changes[0][bit], 1u);
        if (i > ends && i < size - ends) add(&state.changes[1][bit], 1u);
    }
}

MLNB_BOTH i64 cell_shift(const u64* keys, i64 first, i64 last, const u32* changes, i64 widest) {
    const i64 size = last - first, least = size / 32 > 8 ? size / 32 : 8;
    i64 taken = 1, wanted = 0;
    for (i64 bit = 64; bit > 0; --bit) {  // cells in use at width 2^(bit - 1)
        taken += changes[bit];
        if (bit - 1 <= widest && taken >= least) {
            wanted = bit - 1;
            break;
        }
    }
    while (wanted < widest && (keys[last - 1] >> wanted) - (keys[first] >> wanted) >= static_cast<u64>(CELLS)) ++wanted;
    return keys[first] == keys[last - 1] ? 0 : wanted;
}

MLNB_BOTH void draft_cells(const Grid& grid, i64 size, const Place& at, const u64* keys, DraftState& state) {
    if (at.thread) return;
    const i64 widest = grid.kind == FLOAT64 ? 52 : grid.kind == FLOAT32 ? 23 : 63, ends = size / 64;
    state.first = 0;
    state.last = size;
    state.shift = size ? cell_shift(keys, 0, size, state.changes[0], widest) : 0;
    if (widest == 63 && ends && (keys[size - 1] - keys[0]) >> state.shift > static_cast<u64>(CELLS / 4)) {
        const i64 inner = cell_shift(keys, ends, size - ends, state.changes[1], widest);
        if (inner < state.shift) {  // far integers are left to the outer bins, which widen with them
            state.first = ends;
            state.last = size - ends;
            state.shift = inner;
        }
    }
    const u64 none = grid.kind == FLOAT32 ? 1ULL << 31 : grid.kind == UINT64 ? 0 : TOP;  // the key of 0
    const u64 low = size ? keys[state.first] >> state.shift : none;
    state.cells = size ? static_cast<i64>((keys[state.last - 1] >> state.shift) - low) + 1 : 1;
    state.low = low << state.shift;
}

MLNB_BOTH void draft_hold(i64 size, const Place& at, const u64* keys, DraftState& state, u32* held) {
    for (i64 i = state.first + at.thread; i < state.last; i += at.threads)
        add(held + ((keys[i] - state.low) >> state.shift), 1u);
    for (i64 i = at.thread; i + size / 8 < size && size >= 64; i += at.threads)  // an eighth of the sample is one value
        if (keys[i] == keys[i + size / 8]) {
#if defined(__CUDA_ARCH__)
            atomicMin(&state.hot, static_cast<u32>(i));
#else
            state.hot = static_cast<u32>(i) < state.hot ? static_cast<u32>(i) : state.hot;
#endif
        }
}

MLNB_BOTH void draft_levels(const Draft& draft, const Place& at, DraftState& state, u32* held) {
    const i64 first = state.cells * at.thread / at.threads, last = state.cells * (at.thread + 1) / at.threads;
    const i64 size = state.last - state.first;
    i64 sum = 0;
    for (i64 c = first; c < last; ++c) {
        const i64 share = size ? static_cast<i64>(held[c]) * draft.bins / size : 0;
        i64 level = bit_length(static_cast<u64>(share > 1 ? share : 1)) - 1;
        level = level < state.shift ? level : state.shift;
        held[c] = static_cast<u32>(level);
        sum += 1LL << level;
    }
    state.sums[at.thread] = sum;
}

MLNB_BOTH void draft_scan(Grid& grid, const Place& at, DraftState& state) {
    if (at.thread) return;
    grid.low = state.low;
    grid.shift = state.shift;
    grid.cells = state.cells;
    grid.span = (static_cast<u64>(state.cells) << state.shift) - 1;
    grid.low_outer = state.low ? binade(grid.kind, state.low - 1) + 1 : 0;
    i64 bins = grid.low_outer;
    for (i64 t = 0; t < at.threads; ++t) {
        const i64 own = state.sums[t];
        state.sums[t] = bins;
        bins += own;
    }
    const u64 end = grid.low + grid.span + 1;
    const i64 all = binades(grid.kind), number = end ? binade(grid.kind, end) : all;
    grid.high_base = bins - (number < all ? number : all);
    grid.size = grid.high_base + all;
}

MLNB_BOTH void draft_table(const Draft& draft, const Place& at, const DraftState& state, const u32* held) {
    const i64 first = state.cells * at.thread / at.threads, last = state.cells * (at.thread + 1) / at.threads;
    i64 bin = state.sums[at.thread];
    for (i64 c = first; c < last; ++c) {
        draft.table[c] = static_cast<u32>(bin) | (held[c] << 16);
        bin += 1LL << held[c];
    }
}

MLNB_BOTH void draft_hot(const Draft& draft, Grid& grid, const Place& at, const u64* keys, const DraftState& state) {
    if (at.thread) return;
    grid.hot = -1;
    if (state.hot == 0xFFFFFFFFu) return;
    const u64 key = keys[state.hot], d = key - grid.low;
    if (d <= grid.span) {
        const u32 entry = draft.table[d >> grid.shift];
        const i64 width = grid.shift - static_cast<i64>(entry >> 16);
        grid.hot = static_cast<i64>(entry & 0xFFFFu) + static_cast<i64>((d & ((1ULL << grid.shift) - 1)) >> width);
    } else {
        grid.hot = binade(grid.kind, key) + (key < grid.low ? 0 : grid.high_base);
    }
}

MLNB_BOTH void draft_block(const Draft* drafts, Grid* grids, Place at, u64* keys) {
    const Draft& draft = drafts[at.block];
    Grid& grid = grids[at.block];
    u32* held = reinterpret_cast<u32*>(keys + draft.room);
    DraftState& state = *reinterpret_cast<DraftState*>(held + CELLS);
    const i64 size = static_cast<i64>(*draft.taken);
    MLNB_PHASE(at, draft_load(draft, at, keys, state); clear(held, CELLS, at))
    for (i64 run = 2; run <= draft.room; run *= 2)
        for (i64 apart = run / 2; apart > 0; apart /= 2) MLNB_PHASE(at, draft_sort(draft, run, apart, at, keys))
    MLNB_PHASE(at, draft_changes(size, at, keys, state))
    MLNB_PHASE(at, draft_cells(grid, size, at, keys, state))
    MLNB_PHASE(at, draft_hold(size, at, keys, state, held))
    MLNB_PHASE(at, draft_levels(draft, at, state, held))
    MLNB_PHASE(at, draft_scan(grid, at, state))
    MLNB_PHASE(at, draft_table(draft, at, state, held))
    MLNB_PHASE(at, draft_hot(draft, grid, at, keys, state))
}

// --------------------------------------------------------------------------------------------- K6: rows into columns
// A tile of 32 x 32, read along the rows and written along the columns.
template <class T>
MLNB_BOTH void tile_in(const T* matrix, i64 rows, i64 columns, i64 row, i64 column, const Place& at, T* tile) {
    const i64 c = at.thread % 32;
    for (i64 r = at.thread / 32; r < 32; r += at.threads / 32)
        if (row + r < rows && column + c < columns) tile[r * 33 + c] = matrix[(row + r) * columns + column + c];
}

template <class T>
MLNB_BOTH void tile_out(T* turned, i64 rows, i64 columns, i64 row, i64 column, const Place& at, const T* tile) {
    const i64 r = at.thread % 32;
    for (i64 c = at.thread / 32; c < 32; c += at.threads / 32)
        if (row + r < rows && column + c < columns) turned[(column + c) * rows + row + r] = tile[r * 33 + c];
}

template <class T>
MLNB_BOTH void turn_block(const T* matrix, T* turned, i64 rows, i64 columns, i64 tile_row, i64 tile_column, Place at, T* tile) {
    MLNB_PHASE(at, tile_in(matrix, rows, columns, tile_row * 32, tile_column * 32, at, tile))
    MLNB_PHASE(at, tile_out(turned, rows, columns, tile_row * 32, tile_column * 32, at, tile))
}

}  // namespace mlnb
