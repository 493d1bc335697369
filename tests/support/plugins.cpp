#include "support/plugins.h"

#include "support/paths.h"

namespace trellis::test {

const Catalog& plugins() {
  static const Catalog catalog = [] {
    const std::filesystem::path folder = testing::build_dir() / "plugins";
    return Catalog::of({&folder, 1});
  }();
  return catalog;
}

const Dimensions& dimensions() {
  static const Dimensions all = plugins().dimensions();
  return all;
}

std::shared_ptr<const Parallelism> dimension(std::string_view name) { return plugins().parallelism(name); }
std::shared_ptr<const ModelFamily> family(std::string_view name) { return plugins().family(name); }
std::shared_ptr<const SearchAlgorithm> search(std::string_view name) { return plugins().search(name); }

}  // namespace trellis::test
