// Runs a target without libFuzzer: its seeds, and inputs made of them by small changes.
//
//   fuzz_TARGET [-runs=N] [-max_total_time=SECONDS] [-seed=N] FOLDER
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

using Bytes = std::vector<std::uint8_t>;

std::string last_input;  // where the input at hand is kept: what is there after a crash is the one

void run(const Bytes& input) {
  if (!last_input.empty()) {
    std::ofstream out(last_input, std::ios::binary);
    out.write(reinterpret_cast<const char*>(input.data()), static_cast<std::streamsize>(input.size()));
  }
  LLVMFuzzerTestOneInput(input.data(), input.size());
}

class Mutator {
 public:
  Mutator(const std::vector<Bytes>& seeds, std::uint64_t seed) : seeds_(seeds), random_(seed) {}

  Bytes next() {
    Bytes bytes = seeds_[below(seeds_.size())];
    for (std::size_t changes = 1 + below(4); changes > 0; --changes) change(bytes);
    return bytes;
  }

 private:
  std::size_t below(std::size_t n) { return n == 0 ? 0 : random_() % n; }

  void change(Bytes& bytes) {
    const std::size_t at = below(bytes.size() + 1), length = below(16);
    const auto begin = bytes.begin() + static_cast<std::ptrdiff_t>(at);
    const auto end = bytes.begin() + static_cast<std::ptrdiff_t>(std::min(bytes.size(), at + length));
    static const std::vector<std::string> kWords = {"null",
                                                    "-1",
                                                    "[]",
                                                    "{}",
                                                    "\"",
                                                    "1e999",
                                                    "18446744073709551615",
                                                    "\\u0000",
                                                    "true",
                                                    "\xff\xff\xff\xff\xff\xff\xff\x7f",
                                                    std::string(8, '\0'),
                                                    "[[[[",
                                                    "(?:",
                                                    "\\p{L}*"};
    switch (below(6)) {
      case 0: if (at < bytes.size()) bytes[at] ^= static_cast<std::uint8_t>(1U << below(8)); break;
      case 1: if (at < bytes.size()) bytes[at] = static_cast<std::uint8_t>(random_()); break;
      case 2: bytes.erase(begin, end); break;
      case 3: bytes.insert(begin, length, static_cast<std::uint8_t>(random_())); break;
      case 4: bytes.resize(at); break;
      default: {
        const std::string& word = kWords[below(kWords.size())];
        bytes.insert(bytes.erase(begin, end), word.begin(), word.end());
      }
    }
  }

  const std::vector<Bytes>& seeds_;
  std::mt19937_64 random_;
};

}  // namespace

int main(int argc, char** argv) {
  std::uint64_t runs = 1000, seed = 1, seconds = 0;
  std::vector<std::filesystem::path> files;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word.starts_with("-runs=")) runs = std::stoull(word.substr(6));
    else if (word.starts_with("-seed=")) seed = std::stoull(word.substr(6));
    else if (word.starts_with("-max_total_time=")) seconds = std::stoull(word.substr(16)), runs = ~0ULL;
    else if (word.starts_with("-keep=")) last_input = word.substr(6);
    else
      for (const auto& entry : std::filesystem::directory_iterator(word)) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  std::vector<Bytes> seeds;
  for (const std::filesystem::path& path : files) {
    std::ifstream file(path, std::ios::binary);
    seeds.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  if (seeds.empty()) return std::fprintf(stderr, "no seeds\n"), 2;
  for (const Bytes& bytes : seeds) run(bytes);
  Mutator mutator(seeds, seed);
  const auto start = std::chrono::steady_clock::now();
  std::uint64_t done = 0;
  for (; done < runs; ++done) {
    if (seconds > 0 && std::chrono::steady_clock::now() - start > std::chrono::seconds(seconds)) break;
    run(mutator.next());
  }
  std::printf("%zu seeds and %llu inputs made of them: no finding\n", seeds.size(),
              static_cast<unsigned long long>(done));
}
