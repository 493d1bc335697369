#include "plan/base/yaml.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <sstream>
#include <unordered_map>

#include "plan/base/utf8.h"

namespace trellis::yaml {
namespace {

// A short file can name an anchor so often that it expands without end; no honest one comes near this.
constexpr std::size_t kMaxAliasedNodes = 100'000;

class TreeBuilder final : public YAML::EventHandler {
 public:
  explicit TreeBuilder(const std::string& name) : name_(name) {}

  NodePtr take() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override { add(make(Kind::nothing, mark), anchor); }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    refuse_tag(tag, mark);
    NodePtr node = make(Kind::scalar, mark);
    node->text = value;
    node->quoted = tag == "!";
    if (is_key_next()) begin_entry(value, tag == "?", node->mark);
    else add(std::move(node), anchor);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const Mark place = at(mark);
    for (const Open& open : open_)
      if (open.anchor == anchor) fail(place, "an alias inside the value that it stands for");
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end()) fail(place, "an alias without an anchor");
    add(copy(*found->second, static_cast<int>(open_.size()), place), 0);
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    begin(Kind::list, mark, tag, anchor);
  }
  void OnSequenceEnd() override { end(); }

  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    begin(Kind::map, mark, tag, anchor);
  }
  void OnMapEnd() override { end(); }

 private:
  struct Open {
    NodePtr node;
    YAML::anchor_t anchor;
    std::unordered_map<std::string, Mark> keys;
    bool has_key = false;  // the last entry waits for its value
  };

  Mark at(const YAML::Mark& mark) const { return {name_, mark.line + 1, mark.column + 1}; }

  NodePtr make(Kind kind, const YAML::Mark& mark) const {
    auto node = std::make_shared<Node>();
    node->kind = kind;
    node->mark = at(mark);
    return node;
  }

  bool is_key_next() const { return !open_.empty() && open_.back().node->kind == Kind::map && !open_.back().has_key; }

  void begin_entry(const std::string& key, bool is_plain, const Mark& mark) {
    if (is_plain && key == "<<")
      throw Error(ExitCode::bad_input, "merge keys ('<<') are not supported", "a run file composes others with 'base:'",
                  mark);
    Open& map = open_.back();
    const auto [first, is_new] = map.keys.emplace(key, mark);
    if (!is_new) {
      throw Error(ExitCode::bad_input, fmt::format("the key '{}' is written twice", key),
                  fmt::format("first at {}", format(first->second)), mark);
    }
    map.node->entries.push_back({key, mark, nullptr});
    map.has_key = true;
  }

  void begin(Kind kind, const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    refuse_tag(tag, mark);
    if (is_key_next())
      // yaml-cpp takes a bracket that is never closed for the start of such a key.
      throw Error(ExitCode::bad_input,
                  fmt::format("expected a plain key, found {}", kind == Kind::map ? "a mapping" : "a list"),
                  "is a bracket left open?", at(mark));
    check_depth(static_cast<int>(open_.size()) + 1, at(mark));
    open_.push_back({make(kind, mark), anchor, {}, false});
  }

  void end() {
    Open closed = std::move(open_.back());
    open_.pop_back();
    add(std::move(closed.node), closed.anchor);
  }

  void add(NodePtr node, YAML::anchor_t anchor) {
    if (is_key_next()) fail(node->mark, "expected a plain key, found {}", describe(*node));
    if (anchor != 0) anchors_[anchor] = node;
    if (open_.empty()) {
      root_ = std::move(node);
    } else if (Open& parent = open_.back(); parent.node->kind == Kind::list) {
      parent.node->items.push_back(std::move(node));
    } else {
      Entry& entry = parent.node->entries.back();
      // yaml-cpp places a missing value at whatever comes next.
      if (node->kind == Kind::nothing) node->mark = entry.mark;
      entry.value = std::move(node);
      parent.has_key = false;
    }
  }

  // A copy for each use: what was read of it, and what is laid over it, belongs to one place only.
  NodePtr copy(const Node& node, int depth, const Mark& place) {
    if (++num_aliased_ > kMaxAliasedNodes) fail(place, "the anchors expand to more than {} values", kMaxAliasedNodes);
    auto result = std::make_shared<Node>(node);
    if (node.kind == Kind::list || node.kind == Kind::map) check_depth(depth + 1, place);
    for (NodePtr& item : result->items) item = copy(*item, depth + 1, place);
    for (Entry& entry : result->entries) entry.value = copy(*entry.value, depth + 1, place);
    return result;
  }

  static void check_depth(int depth, const Mark& place) {
    if (depth > kMaxDepth) fail(place, "nested deeper than {} levels", kMaxDepth);
  }

  // "?" is a plain scalar, "!" a quoted one; anything else was written by the user.
  void refuse_tag(const std::string& tag, const YAML::Mark& mark) const {
    if (tag.empty() || tag == "?" || tag == "!") return;
    throw Error(ExitCode::bad_input, fmt::format("YAML tags are not supported, found '{}'", tag),
                "a text that begins with '!' stands in quotes", at(mark));
  }

  const std::string& name_;
  NodePtr root_;
  std::vector<Open> open_;
  std::unordered_map<YAML::anchor_t, NodePtr> anchors_;
  std::size_t num_aliased_ = 0;
};

// Line 1 is the first; empty where there is none of that number.
std::string_view line_of(std::string_view text, int line) {
  for (int i = 1; i < line; ++i) {
    const std::size_t newline = text.find('\n');
    if (newline == std::string_view::npos) return {};
    text.remove_prefix(newline + 1);
  }
  return text.substr(0, text.find('\n'));
}

bool is_indented_with_tab(std::string_view text, int line) {
  text = line_of(text, line);
  return text.substr(0, text.find_first_not_of(" \t")).find('\t') != std::string_view::npos;
}

// A value that YAML takes for an alias or the like, because of the character at a place or before it; empty: there is none.
std::string_view value_to_quote(std::string_view text, const Mark& mark) {
  text = line_of(text, mark.line);
  const auto at = static_cast<std::size_t>(mark.column - 1);
  if (at > text.size()) return {};  // yaml-cpp counts no columns in some errors
  const std::size_t first = at > 0 && text[at - 1] == '*' ? at - 1 : at;
  if (first == text.size() || std::string_view("*@`%").find(text[first]) == std::string_view::npos) return {};
  text.remove_prefix(first);
  return text.substr(0, text.find_first_of(" \t\r,]}"));
}

// yaml-cpp reports some tabs at the line after.
std::string syntax_hint(std::string_view text, const Mark& mark) {
  const bool has_tab = is_indented_with_tab(text, mark.line) || (mark.line > 1 && is_indented_with_tab(text, mark.line - 1));
  if (has_tab) return "YAML is indented with spaces: replace the tab";
  const std::string_view value = value_to_quote(text, mark);
  if (value.empty()) return {};
  return fmt::format("a text that begins with '{}' stands in quotes: \"{}\"", value.front(), value);
}

void emit(YAML::Emitter& out, const Node& node) {
  switch (node.kind) {
    case Kind::nothing:
      out << YAML::Null;
      return;
    case Kind::scalar:
      if (node.quoted) out << YAML::DoubleQuoted;
      out << node.text;
      return;
    case Kind::list: {
      bool is_flat = true;
      for (const NodePtr& item : node.items) is_flat = is_flat && item->kind != Kind::map;
      out << (is_flat ? YAML::Flow : YAML::Block) << YAML::BeginSeq;
      for (const NodePtr& item : node.items) emit(out, *item);
      out << YAML::EndSeq;
      return;
    }
    case Kind::map:
      out << (node.entries.empty() ? YAML::Flow : YAML::Block) << YAML::BeginMap;
      for (const Entry& entry : node.entries) {
        out << YAML::Key << entry.key << YAML::Value;
        emit(out, *entry.value);
      }
      out << YAML::EndMap;
      return;
  }
}

}  // namespace

const Entry* Node::find(std::string_view key) const {
  for (const Entry& entry : entries)
    if (entry.key == key) return &entry;
  return nullptr;
}

Entry* Node::find(std::string_view key) { return const_cast<Entry*>(std::as_const(*this).find(key)); }

NodePtr make_map(Mark mark) {
  auto node = std::make_shared<Node>();
  node->kind = Kind::map;
  node->mark = std::move(mark);
  return node;
}

NodePtr parse(std::string_view text, const std::string& name) {
  check_text(text, name);
  TreeBuilder builder(name);
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    if (!parser.HandleNextDocument(builder)) {
      auto nothing = std::make_shared<Node>();
      nothing->mark = {name, 0, 0};
      return nothing;
    }
    NodePtr root = builder.take();
    TreeBuilder rest(name);
    if (parser.HandleNextDocument(rest)) {
      const NodePtr second = rest.take();
      fail(second ? second->mark : Mark{name, 0, 0}, "expected one YAML document, found a second");
    }
    return root;
  } catch (const YAML::Exception& error) {
    const Mark mark = {name, error.mark.line + 1, error.mark.column + 1};
    throw Error(ExitCode::bad_input, "this is not YAML: " + error.msg, syntax_hint(text, mark), mark);
  }
}

NodePtr parse_mapping(std::string_view text, const std::string& name) {
  NodePtr root = parse(text, name);
  if (root->kind == Kind::map) return root;
  const std::string hint = "options are written 'key: value', one a line";
  if (root->kind == Kind::nothing) throw Error(ExitCode::bad_input, "the file is empty", hint, {name, 0, 0});
  throw Error(ExitCode::bad_input, "expected a mapping of options, found " + describe(*root), hint, root->mark);
}

std::string describe(const Node& node) {
  switch (node.kind) {
    case Kind::nothing:
      return "nothing";
    case Kind::scalar:
      return "'" + shortened(node.text, 60) + "'";
    case Kind::list:
      return "a list";
    case Kind::map:
      break;
  }
  return "a mapping";
}

std::string emit(const Node& node) {
  YAML::Emitter out;
  emit(out, node);
  return std::string(out.c_str()) + "\n";
}

}  // namespace trellis::yaml
