#include "trellis/run/data_source.h"

namespace trellis {

DataSource::~DataSource() = default;

}  // namespace trellis
