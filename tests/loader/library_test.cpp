#include "plan/plugin/library.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include "loader/temporary_folder.h"
#include "plan/plugin/elf.h"
#include "plan/plugin/enroll.h"
#include "plan/plugin/sha256.h"
#include "trellis/plan/files.h"
#include "trellis/plan/plugin.h"

namespace trellis::plugin {
namespace {

namespace fs = std::filesystem;
using testing::error_of;
using testing::TemporaryFolder;

Error refusal(const fs::path& library, const std::string& sha256 = {}) {
  const Error error = error_of([&] { enroll(library, sha256); });
  CHECK(error.code() == ExitCode::plugin);
  CHECK(error.mark().file == library.string());
  return error;
}

Error refusal_of_fake(const std::string& fake) {
  const TemporaryFolder folder;
  return refusal(folder.copy_fake(fake, "fake.so"));
}

TEST_CASE("a good plugin registers what it brings") {
  const TemporaryFolder folder;
  const Enrolled enrolled = enroll(folder.copy_fake("good", "fake.so"));
  CHECK(enrolled.name == "good");
  CHECK(enrolled.version == "1.0.0");
  CHECK(enrolled.searches.size() == 1);
  CHECK(type_of(enrolled) == PluginType::search);
}

TEST_CASE("objects of a plugin work and die after its file is gone and every handle is closed") {
  Enrolled enrolled;
  {
    const TemporaryFolder folder;
    enrolled = enroll(folder.copy_fake("good", "fake.so"));
  }
  SearchLog log;
  struct NoOracle final : CostOracle {
    LayerCost layer(int, const Candidate&, const Where&) const override { return {}; }
    EdgeCost edge(int, const Candidate&, const Candidate&, const Where&) const override { return {}; }
    EdgeCost stage_edge(int, const Candidate&, const Candidate&, const Where&) const override { return {}; }
    TieCost tie(int, const Candidate&, int, const Candidate&, bool, const Where&) const override { return {}; }
    Picoseconds step_overhead(const GlobalChoice&) const override { return {}; }
    int alike(const GlobalChoice&, int) const override { return 0; }
    LeastBusy least_busy(int, const GlobalChoice&) const override { return {}; }
    Slowdown slowdown() const override { return {}; }
    const PipelineSchedule& schedule(const GlobalChoice&) const override { fail("no schedules"); }
    PlanCost step(const Plan&) const override { return {}; }
  };
  CHECK(!enrolled.searches.front()->solve({}, NoOracle{}, Options::empty(), log));
}

TEST_CASE("a library that is not there is named") {
  const Error error = refusal("/nowhere/fake.so");
  CHECK(error.message() == "there is no such library");
}

TEST_CASE("a folder or a pipe is not a library") {
  const TemporaryFolder folder;
  fs::create_directory(folder.path() / "fake.so");
  CHECK(refusal(folder.path() / "fake.so").message() ==
        "expected a library, found something that is not a regular file");
}

TEST_CASE("a file that is not ELF is refused") {
  const TemporaryFolder folder;
  CHECK(refusal(folder.write("fake.so", "#!/bin/sh\n")).message() == "this is not a shared library (not an ELF file)");
  CHECK(refusal(folder.write("empty.so", "")).message() == "this is not a shared library (not an ELF file)");
}

TEST_CASE("an ELF file that is no shared library, or of another processor, is refused") {
  const TemporaryFolder folder;
  std::string bytes = read_file(folder.copy_fake("good", "good.so"));
  bytes[16] = 2;  // e_type: executable
  CHECK(refusal(folder.write("program.so", bytes)).message() == "this is an ELF file, but not a shared library");
  bytes[16] = 3;
  bytes[18] = '\xf3';  // e_machine: RISC-V
  CHECK(refusal(folder.write("riscv.so", bytes))
            .message()
            .starts_with("this library is for another processor (ELF machine 243"));
}

TEST_CASE("a file cut short anywhere is refused before it is loaded") {
  const TemporaryFolder folder;
  const std::string bytes = read_file(folder.copy_fake("good", "good.so"));
  for (std::size_t size : {std::size_t{5}, std::size_t{63}, std::size_t{64}, bytes.size() / 2, bytes.size() - 1}) {
    const Error error = refusal(folder.write("fake.so", bytes.substr(0, size)));
    CHECK(error.message().starts_with("the file is cut short or damaged"));
  }
}

TEST_CASE("no damaged byte of the ELF tables crashes the reader") {
  const TemporaryFolder folder;
  std::string bytes = read_file(folder.copy_fake("good", "good.so"));
  const std::size_t tables = bytes.size() - std::min<std::size_t>(bytes.size(), 4096);
  int refused = 0;
  for (std::size_t i = 0; i < bytes.size(); i = i == 63 ? tables : i + 1) {
    const char right = bytes[i];
    for (char damage : {'\xff', '\x7f', '\x00'}) {
      bytes[i] = damage;
      try {
        symbols_in_section(bytes, "trellis_abi");
      } catch (const Error&) {
        ++refused;
      }
    }
    bytes[i] = right;
  }
  CHECK(refused > 0);
}

TEST_CASE("a library built by another compiler is refused unloaded, with the parts that differ") {
  const Error error = refusal_of_fake("other_compiler");
  CHECK(error.message().starts_with("built for another Trellis: "));
  CHECK(error.message().find("compiler gcc 13.2 (expected gcc ") != std::string::npos);
  CHECK(error.message().find("SDK headers 0123456789abcdef (expected ") != std::string::npos);
  CHECK(error.message().find("C++ ABI") == std::string::npos);
}

TEST_CASE("the difference of two fingerprints names parts") {
  const std::string ours = "trellis_abi_1_gcc_12_2_cxx11_libstdcxx_nosan_00aa";
  CHECK(fingerprint_difference("trellis_abi_2_gcc_12_2_cxx98_libstdcxx_nosan_00aa", ours) ==
        "plugin ABI 2 (expected 1), C++ ABI cxx98 (expected cxx11)");
  CHECK(fingerprint_difference("trellis_abi_1_clang_14_0_libcpp_libcxx_asan_00ab", ours) ==
        "compiler clang 14.0 (expected gcc 12.2), C++ ABI libcpp (expected cxx11), standard library libcxx (expected "
        "libstdcxx), sanitizer asan (expected nosan), SDK headers 00ab (expected 00aa)");
  CHECK(fingerprint_difference("trellis_run_abi_1_gcc_12_2_cxx11_libstdcxx_nosan_torch_2_10_0_00aa",
                               "trellis_run_abi_1_gcc_12_2_cxx11_libstdcxx_nosan_torch_2_11_0_00aa") ==
        "torch 2.10.0 (expected 2.11.0)");
  CHECK(fingerprint_difference("something", ours) == "fingerprint something (expected " + ours + ")");
}

TEST_CASE("a library without fingerprint or entry point is no plugin") {
  CHECK(refusal_of_fake("no_fingerprint").message() ==
        "this library is not a Trellis plugin: it has no build fingerprint");
  CHECK(refusal_of_fake("no_entry_point").message() ==
        "this library is not a Trellis plugin: it has no function 'trellis_plugin'");
}

TEST_CASE("a library that needs a function which this core lacks is refused with the function's name") {
  const Error error = refusal_of_fake("missing_symbol");
  CHECK(error.message().starts_with("cannot be loaded: "));
  CHECK(error.message().find("function_of_a_later_version") != std::string::npos);
}

TEST_CASE("a plugin that throws while it registers is named, whatever it throws") {
  CHECK(refusal_of_fake("throws").message() == "the plugin failed to register: no license");
  CHECK(refusal_of_fake("throws_error").message() == "the plugin failed to register: its table is missing");
  CHECK(refusal_of_fake("throws_number").message() ==
        "the plugin failed to register: it threw something that is not a std::exception");
  CHECK(refusal_of_fake("null_object").message() == "the plugin failed to register: it registered a null pointer");
}

TEST_CASE("a plugin of another ABI number is refused") {
  CHECK(refusal_of_fake("older_abi").message() == "its plugin ABI is 0, expected 1");
}

TEST_CASE("a library with another hash than its manifest's is refused") {
  const TemporaryFolder folder;
  const fs::path library = folder.copy_fake("good", "fake.so");
  const std::string hash = sha256(read_file(library));
  CHECK(enroll(library, hash).name == "good");
  const Error error = refusal(library, std::string(64, '0'));
  CHECK(error.message() == "its sha256 is " + hash + ", expected " + std::string(64, '0'));
}

TEST_CASE("a library that others can write, or whose folder they can, is refused") {
  const TemporaryFolder folder;
  const fs::path library = folder.copy_fake("good", "plugin/fake.so");
  fs::permissions(library, fs::perms(0646));
  CHECK(refusal(library).message() == "the library can be written by everyone");
  CHECK(refusal(library).hint() == "chmod o-w " + library.string());
  fs::permissions(library, fs::perms(0644));
  fs::permissions(library.parent_path(), fs::perms(0777));
  CHECK(refusal(library).message() == "the library's folder can be written by everyone");
  fs::permissions(library.parent_path(), fs::perms(0755));
  CHECK(enroll(library).name == "good");
}

TEST_CASE("a library whose manifest others can write is refused") {
  const TemporaryFolder folder;
  const fs::path library = folder.copy_fake("good", "plugin/fake.so");
  const fs::path manifest = folder.write("plugin/plugin.yaml", "");
  fs::permissions(manifest, fs::perms(0646));
  const Error error = error_of([&] { enroll(library, {}, manifest); });
  CHECK(error.code() == ExitCode::plugin);
  CHECK(error.message() == "its manifest can be written by everyone");
  CHECK(error.hint() == "chmod o-w " + manifest.string());
  fs::permissions(manifest, fs::perms(0644));
  CHECK(enroll(library, {}, manifest).name == "good");
}

TEST_CASE("a library of another user or group is refused") {
  if (geteuid() != 0) return;  // only root can give files away
  const TemporaryFolder folder;
  const fs::path library = folder.copy_fake("good", "plugin/fake.so");
  REQUIRE(chown(library.c_str(), 12345, 12345) == 0);
  CHECK(refusal(library).message() ==
        "the library belongs to user 12345, expected user 0 or root: its code would run as you");
  REQUIRE(chown(library.c_str(), 0, 12345) == 0);
  fs::permissions(library, fs::perms(0664));
  CHECK(refusal(library).message() == "the library can be written by its group");
}

}  // namespace
}  // namespace trellis::plugin
