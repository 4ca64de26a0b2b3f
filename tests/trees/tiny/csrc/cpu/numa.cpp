#include "cpu/ops.hpp"

#include <numa.h>

int count_nodes() { return numa_available() < 0 ? 1 : numa_num_configured_nodes(); }
