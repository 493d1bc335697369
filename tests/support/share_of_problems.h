// Of many random problems sanitizers see a fifth, nine times slower; that the answers are right the other builds say.
#pragma once

namespace trellis::test {

#ifdef __SANITIZE_ADDRESS__
inline constexpr unsigned kShare = 5;
#else
inline constexpr unsigned kShare = 1;
#endif

}  // namespace trellis::test
