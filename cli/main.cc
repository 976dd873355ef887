// SPDX-License-Identifier: Apache-2.0
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>
#include <sstream>
#include <thread>

#include <unistd.h>

#include "cli/command.h"

namespace {

using xlvs::ErrorKind;
using xlvs::Result;

// Past iostreams: what can not be written must be known at once, not at exit.
class StandardOutput {
 public:
  bool write(std::string_view text) {
    while (!text.empty() && error_ == 0) {
      const ssize_t written = ::write(STDOUT_FILENO, text.data(), text.size());
      if (written >= 0) {
        text.remove_prefix(static_cast<std::size_t>(written));
      } else if (errno != EINTR) {
        error_ = errno;
      }
    }
    return error_ == 0;
  }
  // A reader that has seen enough (`lvsctl flow list | head`) is no error; a full disk is.
  [[nodiscard]] int exit_code(int code) const {
    if (error_ == 0 || error_ == EPIPE) return code;
    std::cerr << "lvsctl: can not write: " << std::strerror(error_) << "\n";
    return xlvs::cli::kFailed;
  }

 private:
  int error_ = 0;
};

Result<std::string> read_file(const std::string& path) {
  std::ostringstream text;
  if (path == "-") {
    text << std::cin.rdbuf();
    return text.str();
  }
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    const auto kind = errno == ENOENT ? ErrorKind::not_found : ErrorKind::unavailable;
    return xlvs::fail(kind, "can not read {}: {}", path, std::strerror(errno));
  }
  text << file.rdbuf();
  if (file.bad()) return xlvs::fail(ErrorKind::unavailable, "can not read {}", path);
  return text.str();
}

double now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  StandardOutput output;
  const char* no_color = std::getenv("NO_COLOR");
  xlvs::cli::Environment environment{
      .out = [&](std::string_view text) { return output.write(text); },
      .err = [](std::string_view text) { std::cerr << text; },
      .now = now,
      .sleep = [](std::chrono::milliseconds duration) { std::this_thread::sleep_for(duration); },
      .read_file = read_file,
      .colour = isatty(STDOUT_FILENO) == 1 && (no_color == nullptr || *no_color == '\0'),
  };
  return output.exit_code(xlvs::cli::run({argv + 1, argv + argc}, environment));
}
