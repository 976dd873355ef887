// SPDX-License-Identifier: Apache-2.0
// yaml-cpp's events are used rather than its nodes: nodes lose repeated keys and hide anchors, aliases and tags.
#include "config/yaml.h"

#include <algorithm>
#include <exception>
#include <sstream>
#include <unordered_map>
#include <utility>

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include "config/utf8.h"

namespace xlvs::config {
namespace {

// Ends the parsing of a document whose rest can not be trusted; the reason has been reported.
struct Stop : std::exception {};

class TreeBuilder : public YAML::EventHandler {
 public:
  TreeBuilder(std::size_t source, Diagnostics& diagnostics) : source_(source), diagnostics_(diagnostics) {}
  [[nodiscard]] Node take() { return std::move(root_); }
  [[nodiscard]] Position position(const YAML::Mark& mark) const { return {source_, mark.line + 1, mark.column + 1}; }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (std::exchange(started_, true)) stop(position(mark), "a second YAML document: one per file");
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    Node node;
    node.where = position(mark);
    check(node, {}, anchor);
    finish(std::move(node));
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t /*anchor*/) override {
    Node node;
    node.where = position(mark);
    node.kind = Node::Kind::broken;
    diagnostics_.error(node.where, "aliases are not supported: write the value again");
    finish(std::move(node));
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    Node node;
    node.kind = Node::Kind::scalar;
    node.where = position(mark);
    node.text = value;
    node.quoted = tag == "!";  // how yaml-cpp marks what is not plain
    check(node, tag, anchor);
    finish(std::move(node));
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value /*style*/) override {
    start(Node::Kind::sequence, mark, tag, anchor);
  }
  void OnSequenceEnd() override { end(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value /*style*/) override {
    start(Node::Kind::mapping, mark, tag, anchor);
  }
  void OnMapEnd() override { end(); }

 private:
  struct Open {  // a sequence or mapping whose end has not come
    Node node;
    std::optional<Node> key;  // mapping: waiting for its value
    std::unordered_map<std::string, Position> seen;
  };

  [[noreturn]] void stop(const Position& where, std::string_view message) {
    diagnostics_.error(where, "{}", message);
    throw Stop();
  }

  void check(Node& node, const std::string& tag, YAML::anchor_t anchor) {
    if (anchor != YAML::NullAnchor) diagnostics_.error(node.where, "anchors are not supported");
    if (tag.empty() || tag == "?" || tag == "!") return;
    diagnostics_.error(node.where, "YAML tags are not supported: {}", quote(tag));
    node.kind = Node::Kind::broken;
  }

  void start(Node::Kind kind, const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    Open open;
    open.node.kind = kind;
    open.node.where = position(mark);
    if (open_.size() == kMaxDepth) stop(open.node.where, fmt::format("nested deeper than {} levels", kMaxDepth));
    Node tagged = open.node;
    check(tagged, tag, anchor);
    open_.push_back(std::move(open));
  }

  void end() {
    Node node = std::move(open_.back().node);
    open_.pop_back();
    finish(std::move(node));
  }

  void finish(Node node) {
    if (++values_ > kMaxValues) stop(node.where, fmt::format("more than {} values", kMaxValues));
    if (open_.empty()) {
      root_ = std::move(node);
      return;
    }
    Open& parent = open_.back();
    if (parent.node.kind == Node::Kind::sequence)
      parent.node.items.push_back(std::move(node));
    else if (!parent.key)
      parent.key = std::move(node);
    else
      add_entry(parent, std::move(node));
  }

  void add_entry(Open& parent, Node value) {
    const Node key = *std::exchange(parent.key, std::nullopt);
    if (key.kind == Node::Kind::broken) return;
    if (key.kind != Node::Kind::scalar) {
      diagnostics_.error(key.where, "a key must be a word");
      return;
    }
    if (value.kind == Node::Kind::null) value.where = key.where;  // yaml-cpp says where the next token is
    const auto [first, added] = parent.seen.emplace(key.text, key.where);
    if (!added) {
      diagnostics_.error(key.where, "key {} is repeated: it was given in line {} already", quote(key.text),
                         first->second.line);
      return;
    }
    parent.node.keys.push_back({key.text, key.where});
    parent.node.items.push_back(std::move(value));
  }

  std::size_t source_;
  Diagnostics& diagnostics_;
  std::size_t values_ = 0;
  bool started_ = false;
  std::vector<Open> open_;
  Node root_;
};

Position position_of(std::string_view text, std::size_t offset, std::size_t source) {
  const std::string_view before = text.substr(0, offset);
  const std::size_t line_start = before.rfind('\n') + 1;  // npos + 1 is 0
  return {source, static_cast<int>(std::count(before.begin(), before.end(), '\n')) + 1,
          static_cast<int>(offset - line_start) + 1};
}

// yaml-cpp keeps every bracket that might begin a key until it is closed, some 200 bytes each: a megabyte of '[' would
// take hundreds. Brackets within text count here too, hence a limit far above any sensible document's.
std::optional<std::size_t> too_many_open_brackets(std::string_view text) {
  constexpr int kMaxOpen = 4096;
  int open = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '[' || text[i] == '{') ++open;
    if ((text[i] == ']' || text[i] == '}') && open > 0) --open;
    if (open > kMaxOpen) return i;
  }
  return std::nullopt;
}

bool is_parsable(const Source& source, std::size_t index, Diagnostics& diagnostics) {
  if (const auto offset = first_non_text(source.text)) {
    diagnostics.error(position_of(source.text, *offset, index),
                      "not UTF-8 text (an invalid byte or a control character)");
    return false;
  }
  if (const auto offset = too_many_open_brackets(source.text)) {
    diagnostics.error(position_of(source.text, *offset, index), "nested deeper than {} levels", kMaxDepth);
    return false;
  }
  return true;
}

}  // namespace

Node read_yaml(const Source& source, std::size_t index, Diagnostics& diagnostics) {
  if (!is_parsable(source, index, diagnostics)) return {.kind = Node::Kind::broken};
  TreeBuilder builder(index, diagnostics);
  try {
    std::istringstream stream(source.text);
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(builder)) {
    }
    return builder.take();
  } catch (const Stop&) {
  } catch (const YAML::Exception& error) {
    diagnostics.error(builder.position(error.mark), "YAML syntax: {}", error.msg);
  } catch (const std::exception& error) {
    diagnostics.error({index, 0, 0}, "YAML syntax: {}", error.what());
  }
  return {.kind = Node::Kind::broken};
}

}  // namespace xlvs::config
