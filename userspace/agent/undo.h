// SPDX-License-Identifier: Apache-2.0
// Undoes the steps of a start or a reload, last first, unless all of them succeeded.
#pragma once

#include <functional>
#include <utility>
#include <vector>

namespace xlvs::agent {

class Undo {
 public:
  Undo() = default;
  Undo(const Undo&) = delete;
  Undo& operator=(const Undo&) = delete;
  ~Undo() {
    for (auto step = steps_.rbegin(); step != steps_.rend(); ++step) (*step)();
  }
  void push(std::function<void()> step) { steps_.push_back(std::move(step)); }
  void release() { steps_.clear(); }

 private:
  std::vector<std::function<void()>> steps_;
};

}  // namespace xlvs::agent
