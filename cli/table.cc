// SPDX-License-Identifier: Apache-2.0
#include "cli/table.h"

#include <algorithm>
#include <cassert>

#include "cli/text.h"

namespace xlvs::cli {
namespace {

// Code points; what lvsd names is ASCII, what servers answer may be not.
std::size_t width(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0U) != 0x80U; }));
}

void append(std::string& out, const Cell& cell, const Column& column, std::size_t columns, bool last, bool colour) {
  const std::string padding(columns - width(cell.text), ' ');
  if (column.right) out += padding;
  out += paint(cell.text, cell.colour, colour);
  if (!column.right && !last) out += padding;
}

void trim_end(std::string& text) {
  text.erase(text.find_last_not_of(' ') + 1);
}

}  // namespace

std::string paint(std::string_view text, Colour colour, bool enabled) {
  if (!enabled || colour == Colour::none || text.empty()) return std::string(text);
  const char* code = colour == Colour::good ? "32" : colour == Colour::bad ? "31" : colour == Colour::odd ? "33" : "1";
  return fmt::format("\x1b[{}m{}\x1b[0m", code, text);
}

Colour state_colour(std::string_view state) {
  if (state == "up" || state == "native" || state == "active") return Colour::good;
  return state == "down" || state == "no-route" || state == "forced-down" ? Colour::bad : Colour::odd;
}

void Table::row(std::vector<Cell> cells) {
  assert(cells.size() == columns_.size());
  for (Cell& cell : cells) cell.text = printable(cell.text, false);
  rows_.push_back({std::move(cells), {}});
}

void Table::line(std::string text) {
  rows_.push_back({{}, std::move(text)});
}

std::string Table::to_string(bool colour) const {
  std::vector<std::size_t> widths;
  for (const Column& column : columns_) widths.push_back(width(column.title));
  for (const Row& row : rows_) {
    for (std::size_t i = 0; i < row.cells.size(); ++i) widths[i] = std::max(widths[i], width(row.cells[i].text));
  }
  std::string out;
  const auto add = [&](const auto& cell_of) {
    std::string text;
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      if (i > 0) text += "  ";
      append(text, cell_of(i), columns_[i], widths[i], i + 1 == columns_.size(), colour);
    }
    trim_end(text);
    out += text + "\n";
  };
  add([&](std::size_t i) { return Cell(columns_[i].title); });
  for (const Row& row : rows_) {
    if (row.cells.empty()) {
      out += row.line + "\n";
    } else {
      add([&](std::size_t i) { return row.cells[i]; });
    }
  }
  return out;
}

}  // namespace xlvs::cli
