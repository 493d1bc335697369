// What the copies of one Options share.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "plan/base/yaml.h"
#include "trellis/plan/options.h"

namespace trellis {

struct Options::State {
  yaml::NodePtr node;  // a map
  std::string path;    // dotted, from the top
  std::string owner;
  std::vector<std::string> asked;  // in the order asked: the candidates of a suggestion
  std::set<std::string, std::less<>> was_read;
  // One state for each mapping of a key, however often it is opened.
  std::map<std::string, std::vector<std::shared_ptr<State>>, std::less<>> opened;

  State(yaml::NodePtr map, std::string dotted_path) : node(std::move(map)), path(std::move(dotted_path)) {}

  const yaml::Node* look(std::string_view key);  // null when the key is not there
  const yaml::Node* read(std::string_view key);
  std::string path_of(std::string_view key) const;
  void finish() const;
};

}  // namespace trellis
