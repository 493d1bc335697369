// Section `data` of a run file.
#pragma once

#include "trellis/plan/run_file.h"

namespace trellis {

DataSection read_data_section(const Options& document);

}  // namespace trellis
