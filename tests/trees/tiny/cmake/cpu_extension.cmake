# As in vLLM: AVX-512 where the CPU has it, unless VLLM_CPU_DISABLE_AVX512 is `true`.
file(READ /proc/cpuinfo CPUINFO)
set(CXX_COMPILE_FLAGS -mavx2)
if(CPUINFO MATCHES "avx512f" AND NOT "$ENV{VLLM_CPU_DISABLE_AVX512}" STREQUAL "true")
  list(APPEND CXX_COMPILE_FLAGS -mavx512f)
endif()

Python_add_library(_C MODULE USE_SABI 3 WITH_SOABI
  csrc/cpu/add.cpp
  csrc/cpu/numa.cpp
  csrc/cpu/bindings.cpp)
target_compile_features(_C PRIVATE cxx_std_17)
target_compile_options(_C PRIVATE ${CXX_COMPILE_FLAGS})
target_include_directories(_C PRIVATE csrc)
target_link_libraries(_C PRIVATE torch numa)
install(TARGETS _C LIBRARY DESTINATION vllm COMPONENT _C)
