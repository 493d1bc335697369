// Whether the classes that a head was trained for are those of the data.
#pragma once

#include <string>
#include <vector>

#include "plan/weights/weight_reader.h"
#include "trellis/plan/export.h"

namespace trellis {

// id2label of a config.json, by number. Empty texts where it says no more than LABEL_0, LABEL_1 ..., or nothing.
TRELLIS_API std::vector<std::string> class_names_of(const std::string& config);

// `data` are names of classes by label, empty where the data has none. Error (bad_input) where the head has a class of
// theirs at another number: its rows would be trained for another class than the one they know, and nothing would tell.
// Else a sentence where the head's classes are others, and nothing where they are the same, or the head is new.
TRELLIS_API std::string compare_classes(const WeightReader& weights, const std::vector<std::string>& data);
TRELLIS_API std::string compare_classes(const std::vector<std::string>& head, const std::vector<std::string>& data);

}  // namespace trellis
