// The plugins of this build, for tests.
#pragma once

#include <memory>
#include <string_view>

#include "trellis/plan/catalog.h"

namespace trellis::test {

const Catalog& plugins();
const Dimensions& dimensions();  // all that plugins/parallelism has
std::shared_ptr<const Parallelism> dimension(std::string_view name);
std::shared_ptr<const ModelFamily> family(std::string_view name);
std::shared_ptr<const SearchAlgorithm> search(std::string_view name);

}  // namespace trellis::test
