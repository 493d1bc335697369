// YAML text as a tree that keeps the place of every key and value. Built from yaml-cpp's events and not from its nodes,
// which accept duplicate keys, share aliased values and lose the places of empty ones.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "trellis/plan/error.h"

namespace trellis::yaml {

// Deeper documents are mistakes or attacks; the recursions over a tree rely on it.
inline constexpr int kMaxDepth = 64;

enum class Kind { nothing, scalar, list, map };

struct Node;
using NodePtr = std::shared_ptr<Node>;

struct Entry {
  std::string key;
  Mark mark;
  NodePtr value;
};

struct Node {
  Kind kind = Kind::nothing;
  Mark mark;
  std::string text;     // scalar, as written
  bool quoted = false;  // scalar
  std::vector<NodePtr> items;
  std::vector<Entry> entries;

  const Entry* find(std::string_view key) const;
  Entry* find(std::string_view key);
};

NodePtr make_map(Mark mark);

// One document, or `nothing` for an empty text. Errors carry `name` as the file.
NodePtr parse(std::string_view text, const std::string& name);

// The same, and the top must be a mapping.
NodePtr parse_mapping(std::string_view text, const std::string& name);

// "'abc'" (shortened), "a list", "a mapping", "nothing".
std::string describe(const Node& node);

std::string emit(const Node& node);

}  // namespace trellis::yaml
