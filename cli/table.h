// SPDX-License-Identifier: Apache-2.0
// Aligned columns with a header row; nothing is ever cut short. Cells are made printable. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace xlvs::cli {

enum class Colour { none, good, bad, odd, strong };
[[nodiscard]] std::string paint(std::string_view text, Colour colour, bool enabled);
[[nodiscard]] Colour state_colour(std::string_view state);  // of a backend, an interface mode, ...

struct Cell {
  Cell(std::string_view content, Colour look = Colour::none) : text(content), colour(look) {}
  Cell(const std::string& content, Colour look = Colour::none) : text(content), colour(look) {}
  Cell(const char* content) : text(content) {}
  Cell(std::uint64_t number) : text(std::to_string(number)) {}
  Cell(std::uint32_t number) : text(std::to_string(number)) {}
  std::string text;
  Colour colour = Colour::none;
};

struct Column {
  const char* title;
  bool right = false;  // numbers
};
constexpr Column left(const char* title) {
  return {title, false};
}
constexpr Column right(const char* title) {
  return {title, true};
}

class Table {
 public:
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

  void row(std::vector<Cell> cells);  // as many as columns
  void line(std::string text);        // a line of its own, whatever the columns
  [[nodiscard]] bool empty() const { return rows_.empty(); }
  [[nodiscard]] std::string to_string(bool colour) const;

 private:
  struct Row {
    std::vector<Cell> cells;
    std::string line;  // when there are no cells
  };
  std::vector<Column> columns_;
  std::vector<Row> rows_;
};

}  // namespace xlvs::cli
