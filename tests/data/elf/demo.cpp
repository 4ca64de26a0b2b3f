// What vLLM's extensions look like from outside, in a few lines:
//   g++ -O2 -shared -fPIC -Wl,-rpath,'$ORIGIN/lib' -o _demo.abi3.so demo.cpp -Lstub -lc10
// against an empty libc10.so; then `strip --remove-section=.comment --remove-section=.eh_frame -g`.
#include <cstdlib>
#include <string>

namespace c10::detail {
[[noreturn]] void torchCheckFail(const char*, const char*, unsigned, const std::string&);
}
namespace torch {
struct Library {
  Library& def(const char*);
  Library& impl(const char*, void (*)());
};
}  // namespace torch

extern "C" void maybe() __attribute__((weak));
extern "C" void* PyModule_Create2(void*, int);

static void run() { c10::detail::torchCheckFail("run", "demo.cpp", 1, std::string("never")); }

__attribute__((noinline, used)) static void TORCH_LIBRARY_init__demo(torch::Library& m) {
  m.def("scaled_add(Tensor! out, Tensor a, float scale) -> ()");
  m.impl("scaled_add", &run);
  m.def("add(Tensor a, Tensor b) -> Tensor");
}
__attribute__((noinline, used)) static void TORCH_LIBRARY_IMPL_init__demo_CUDA_2(torch::Library& m) {
  m.impl("add", &run);
}
__attribute__((noinline, used)) static void TORCH_LIBRARY_FRAGMENT_init__demo_cache_3(torch::Library& m) {
  m.def("swap(Tensor a) -> ()");
}

extern "C" void* PyInit__demo() {
  if (maybe) maybe();
  return std::getenv("DEMO") ? PyModule_Create2(nullptr, 3) : nullptr;
}
