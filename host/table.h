// Tables on stdout.
#pragma once

#include <string>
#include <vector>

namespace trellis::host {

// Columns as wide as their widest cell: the first one to the left, the last one as it is, the others to the right.
void print_table(const std::vector<std::vector<std::string>>& rows);

}  // namespace trellis::host
