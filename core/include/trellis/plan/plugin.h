// The boundary of a plugin: one exported C symbol that returns plain data, and a fingerprint that is read from the file
// before it is loaded. Write TRELLIS_PLUGIN(name, version) { registrar.add<MyClass>(); } in one source file.
#pragma once

#include <cstdint>
#include <memory>
#include <type_traits>

#include "trellis/plan/export.h"
#include "trellis/plan/fingerprint.h"
#include "trellis/plan/model_family.h"
#include "trellis/plan/op.h"
#include "trellis/plan/parallelism.h"
#include "trellis/plan/search.h"

namespace trellis {

// What a plugin may bring; the loader implements it. Called once, on the loading thread.
class TRELLIS_API Registrar {
 public:
  virtual ~Registrar();
  virtual void add(std::shared_ptr<const Parallelism>) = 0;
  virtual void add(std::shared_ptr<const ModelFamily>) = 0;
  virtual void add(std::shared_ptr<const SearchAlgorithm>) = 0;
  virtual void add(std::shared_ptr<const OpContract>) = 0;

  template <class T, class... A>
  void add(A&&... args) {
    using Base = std::conditional_t<
        std::is_base_of_v<Parallelism, T>, Parallelism,
        std::conditional_t<std::is_base_of_v<ModelFamily, T>, ModelFamily,
                           std::conditional_t<std::is_base_of_v<SearchAlgorithm, T>, SearchAlgorithm, OpContract>>>;
    add(std::shared_ptr<const Base>(std::make_shared<const T>(std::forward<A>(args)...)));
  }
};

inline constexpr std::uint32_t kPluginAbi = 1;
struct PluginInfo {
  std::uint32_t abi;
  const char* build;     // TRELLIS_FINGERPRINT of the headers it was built with
  const char* name;
  const char* version;
  void (*enroll)(Registrar&);
};

}  // namespace trellis

#define TRELLIS_STRINGIFY_(x) #x
#define TRELLIS_STRINGIFY(x) TRELLIS_STRINGIFY_(x)
#define TRELLIS_CONCAT_(a, b) a##b
#define TRELLIS_CONCAT(a, b) TRELLIS_CONCAT_(a, b)

// The fingerprint is the *name* of a symbol in section trellis_abi, so that it can be read without loading the library.
#define TRELLIS_PLUGIN(plugin_name, plugin_version)                                                              \
  extern "C" __attribute__((used, visibility("default"), section("trellis_abi"))) const char TRELLIS_FINGERPRINT = 1; \
  static void trellis_enroll(::trellis::Registrar& registrar);                                                   \
  extern "C" __attribute__((visibility("default"))) const ::trellis::PluginInfo* trellis_plugin() {              \
    static const ::trellis::PluginInfo info{::trellis::kPluginAbi, TRELLIS_STRINGIFY(TRELLIS_FINGERPRINT), plugin_name, \
                                            plugin_version, &trellis_enroll};                                    \
    return &info;                                                                                                \
  }                                                                                                              \
  static void trellis_enroll(::trellis::Registrar& registrar)
