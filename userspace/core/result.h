// SPDX-License-Identifier: Apache-2.0
// The one error style of user space: a function that the outside can make fail returns Result<T>; the message is made
// where the failure happened, names the thing, and is fit to be shown to an operator. What can not happen aborts.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <tl/expected.hpp>

namespace xlvs {

// What kind of failure, as far as a caller or an exit code may care.
enum class ErrorKind {
  invalid,      // the caller's input is wrong: bad configuration, bad argument
  not_found,    // a named service, backend or file does not exist
  conflict,     // something else already holds the resource: second lvsd, foreign XDP program
  permission,   // a capability or file permission is missing
  unsupported,  // this kernel, driver or build can not do it
  unavailable,  // the other side does not answer, a resource is exhausted, a system call failed
};

struct Error {
  ErrorKind kind = ErrorKind::unavailable;
  std::string message;

  // "context: message"; the kind stays.
  [[nodiscard]] Error in(std::string_view context) const { return {kind, fmt::format("{}: {}", context, message)}; }
};

template <typename T>
using Result = tl::expected<T, Error>;

template <typename... Args>
[[nodiscard]] tl::unexpected<Error> fail(ErrorKind kind, fmt::format_string<Args...> format, Args&&... args) {
  return tl::make_unexpected(Error{kind, fmt::format(format, std::forward<Args>(args)...)});
}

}  // namespace xlvs
