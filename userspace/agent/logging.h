// SPDX-License-Identifier: Apache-2.0
// Where log lines go: standard error; with the journal's level prefix when systemd reads it, else with time and level.
#pragma once

#include <cstddef>
#include <string>

namespace xlvs::agent {

// Replaces spdlog's default logger. To be called once, before the first line.
void setup_logging();
// debug, info, warning or error; config/ and the command line have checked the name.
void set_log_level(const std::string& name);
// One line per line of `message`, each with the context: "configuration rejected: lvs.yaml:3:5: ...".
void log_error(const std::string& context, const std::string& message);
// "1 service", "2 services"; plurals by -s or -es.
[[nodiscard]] std::string counted(std::size_t number, const std::string& noun);
// True when standard error is the stream that systemd named in $JOURNAL_STREAM.
[[nodiscard]] bool stderr_is_journal();

}  // namespace xlvs::agent
