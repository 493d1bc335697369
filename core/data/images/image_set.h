// Images with labels, wherever they are.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "data/images/image.h"

namespace trellis::data {

// Thread-safe.
class TRELLIS_API ImageSet {
 public:
  virtual ~ImageSet();
  virtual std::int64_t size() const = 0;
  virtual std::int64_t label(std::int64_t image) const = 0;
  virtual std::string name(std::int64_t image) const = 0;
  virtual ImageHeader header(std::int64_t image) const = 0;  // Error as read_image_header, or io
  virtual Image decode(std::int64_t image) const = 0;        // Error as decode_image, or io
  virtual std::int64_t files() const = 0;
  const std::vector<std::string>& classes() const { return classes_; }  // by label

 protected:
  std::vector<std::string> classes_;
};
using ImageSetPointer = std::shared_ptr<const ImageSet>;

// A folder of class folders, whose names in byte order are the labels 0, 1, ... Images are all files below a class
// folder, hidden ones left out. With `classes`: labels are in their order, and a folder may be missing, none be new. Error where there is
// no image, a class without one, a file that is called an image beside the class folders.
TRELLIS_API ImageSetPointer open_class_folders(const std::filesystem::path& folder,
                                               const std::vector<std::string>& classes = {});

// The format of MNIST, not compressed: gray images of unsigned bytes (magic 0x803), labels of unsigned bytes (0x801).
// Classes are 0 to the largest label. Error for all else, and where the two files do not fit together.
TRELLIS_API ImageSetPointer open_idx(const std::filesystem::path& images, const std::filesystem::path& labels);

}  // namespace trellis::data
