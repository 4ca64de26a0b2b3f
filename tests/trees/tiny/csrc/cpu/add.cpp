#include "cpu/ops.hpp"

#include <ATen/core/Tensor.h>

int64_t add(int64_t a, int64_t b) {
  int64_t sum = 0;
  TORCH_CHECK(!__builtin_add_overflow(a, b, &sum), a, " + ", b, " does not fit");
  return at::Scalar(sum).toLong();
}
