#include "run/data/framed.h"

#include <algorithm>

namespace trellis::data {

Framed Framed::one(std::int64_t cls, std::span<const std::int64_t> a, std::int64_t sep) {
  Framed framed{.ids = {cls}};
  framed.ids.insert(framed.ids.end(), a.begin(), a.end());
  framed.ids.push_back(sep);
  framed.second = static_cast<std::int64_t>(framed.ids.size());
  return framed;
}

Framed Framed::two(std::int64_t cls, std::span<const std::int64_t> a, std::span<const std::int64_t> b, std::int64_t sep) {
  Framed framed = one(cls, a, sep);
  framed.ids.insert(framed.ids.end(), b.begin(), b.end());
  framed.ids.push_back(sep);
  return framed;
}

void write_framed(const Framed& framed, std::string_view field, std::int64_t begin, std::span<std::int64_t> out) {
  const auto size = static_cast<std::int64_t>(framed.ids.size());
  for (std::int64_t& value : out) {
    const std::int64_t p = begin++;
    if (field == "positions") value = p;
    else if (p >= size) value = 0;
    else value = field == "ids" ? framed.ids[static_cast<std::size_t>(p)] : field == "mask" ? 1 : p >= framed.second;
  }
}

}  // namespace trellis::data
