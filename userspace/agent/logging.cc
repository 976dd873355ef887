// SPDX-License-Identifier: Apache-2.0
#include "agent/logging.h"

#include <memory>

#include <fmt/format.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <sstream>

namespace xlvs::agent {
namespace {

// "<6>": the syslog level by which journald files a line (sd-daemon(3)).
class JournalLevel : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm&, spdlog::memory_buf_t& out) override {
    static constexpr std::string_view kPrefixes[] = {"<7>", "<7>", "<6>", "<4>", "<3>", "<2>"};
    const auto level = static_cast<std::size_t>(message.level);
    const std::string_view prefix = level < std::size(kPrefixes) ? kPrefixes[level] : "<6>";
    out.append(prefix.data(), prefix.data() + prefix.size());
  }
  [[nodiscard]] std::unique_ptr<custom_flag_formatter> clone() const override {
    return std::make_unique<JournalLevel>();
  }
};

}  // namespace

bool stderr_is_journal() {
  const char* stream = std::getenv("JOURNAL_STREAM");
  struct stat info{};
  if (stream == nullptr || fstat(STDERR_FILENO, &info) != 0) return false;
  return fmt::format("{}:{}", info.st_dev, info.st_ino) == stream;
}

void setup_logging() {
  auto logger = std::make_shared<spdlog::logger>("lvsd", std::make_shared<spdlog::sinks::stderr_sink_mt>());
  auto formatter = std::make_unique<spdlog::pattern_formatter>();
  if (stderr_is_journal()) {
    formatter->add_flag<JournalLevel>('*').set_pattern("%*%v");
  } else {
    formatter->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %l: %v");
  }
  logger->set_formatter(std::move(formatter));
  logger->flush_on(spdlog::level::trace);
  spdlog::set_default_logger(std::move(logger));
}

void log_error(const std::string& context, const std::string& message) {
  std::istringstream lines(message);
  for (std::string line; std::getline(lines, line);)
    spdlog::error("{}{}{}", context, context.empty() ? "" : ": ", line);
}

std::string counted(std::size_t number, const std::string& noun) {
  const char* plural = noun.back() == 's' ? "es" : "s";
  return fmt::format("{} {}{}", number, noun, number == 1 ? "" : plural);
}

void set_log_level(const std::string& name) {
  spdlog::set_level(spdlog::level::from_str(name));
}

}  // namespace xlvs::agent
