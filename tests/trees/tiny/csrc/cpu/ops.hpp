#pragma once
#include <cstdint>

// a + b; throws c10::Error where the sum would not fit.
int64_t add(int64_t a, int64_t b);

// NUMA nodes that libnuma counts, 1 where the kernel has no NUMA.
int count_nodes();
