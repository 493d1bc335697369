// What tests of data sources share.
#pragma once

#include <fmt/format.h>

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "support/error_of.h"
#include "support/scratch.h"
#include "trellis/plan/error.h"
#include "trellis/plan/files.h"
#include "trellis/run/data_source.h"

namespace trellis::testing {

inline std::vector<std::int64_t> values(const at::Tensor& t) {
  return {t.data_ptr<std::int64_t>(), t.data_ptr<std::int64_t>() + t.numel()};
}

inline std::vector<std::int64_t> field(const DataSource& source, std::string name, std::int64_t step, std::int64_t row_begin,
                                       std::int64_t row_end, std::int64_t begin, std::int64_t end) {
  return values(source.field({.name = std::move(name), .step = step, .row_begin = row_begin, .row_end = row_end, .position_begin = begin, .position_end = end}));
}

using test::error_of;

class DataFolder : public test::Scratch {
 public:
  std::string operator/(const std::string& name) const { return (path() / name).string(); }
  std::string write(const std::string& name, std::string_view text) const {
    std::filesystem::create_directories((path() / name).parent_path());
    write_file_atomically(path() / name, text);
    return *this / name;
  }
};

}  // namespace trellis::testing
