// As if another compiler had built it against other headers. Loading it would end the process.
#include <cstdlib>

extern "C" __attribute__((used, visibility("default"), section("trellis_abi")))
const char trellis_abi_1_gcc_13_2_cxx11_libstdcxx_asan_0123456789abcdef = 1;

namespace {
struct Bomb {
  Bomb() { std::abort(); }
} bomb;
}  // namespace
