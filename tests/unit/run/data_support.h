// What tests of data sources share.
#pragma once

#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

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

template <class Act>
std::string error_of(Act act) {
  try {
    act();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

class DataFolder {
 public:
  DataFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "trellis-data-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~DataFolder() { std::filesystem::remove_all(path_); }
  std::string operator/(const std::string& name) const { return (path_ / name).string(); }
  std::string write(const std::string& name, std::string_view text) const {
    std::filesystem::create_directories((path_ / name).parent_path());
    write_file_atomically(path_ / name, text);
    return *this / name;
  }

 private:
  std::filesystem::path path_;
};

}  // namespace trellis::testing
