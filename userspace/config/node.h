// SPDX-License-Identifier: Apache-2.0
// A YAML document as a tree that knows where each of its parts was written. Plain values.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace xlvs::config {

struct Position {
  std::size_t source = 0;  // index into the sources being parsed
  int line = 0;            // from 1; 0: the whole source
  int column = 0;
};

struct Key {
  std::string text;
  Position where;
};

struct Node {
  // broken: an error about it has been reported; whoever reads it says nothing more.
  enum class Kind { null, scalar, sequence, mapping, broken };

  Kind kind = Kind::null;
  Position where{};
  std::string text{};         // scalar
  bool quoted = false;        // scalar: "80" and '80' are text, 80 is a number
  std::vector<Key> keys{};    // mapping: none twice
  std::vector<Node> items{};  // sequence: its items; mapping: the values, items[i] is that of keys[i]
};

}  // namespace xlvs::config
