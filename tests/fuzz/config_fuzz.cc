// SPDX-License-Identifier: Apache-2.0
// Any text into the configuration parser: it neither crashes nor hangs, says where and why it refuses, and what it
// accepts is a configuration that the rest may rely on.
#include <cstdlib>
#include <string>

#include "config/config.h"
#include "core/desired.h"
#include "core/scheduler.h"

namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

void check_refused(const std::vector<xlvs::config::Diagnostic>& diagnostics) {
  require(!diagnostics.empty());
  for (const xlvs::config::Diagnostic& diagnostic : diagnostics) {
    require(diagnostic.line >= 0 && diagnostic.column >= 0 && !diagnostic.message.empty());
    for (const char c : diagnostic.to_string()) require(static_cast<unsigned char>(c) >= 0x20);
  }
}

void check_accepted(const xlvs::config::Loaded& loaded) {
  require(loaded.hash.size() == 64 && !loaded.config.interfaces.empty());
  require(xlvs::config::describe_changes(loaded.config, loaded.config).empty());
  for (const xlvs::ServiceConfig& service : loaded.config.services) {
    require(!service.name.empty() && !service.listeners.empty());
    require(service.checks[0].timeout <= service.checks[0].interval);
    for (const xlvs::BackendConfig& backend : service.backends)
      require(backend.port != 0 && backend.address.family() == service.family());
  }
  for (const bool up : {true, false}) {
    const xlvs::Plan plan = xlvs::compute_plan(loaded.config, {}, [&](const auto&) { return xlvs::Fitness{.up = up}; });
    require(plan.desired.services.size() == loaded.config.services.size());
    require(plan.pools.size() == loaded.config.services.size());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // A NUL divides the input into two sources: services add up, other keys must not be repeated.
  const std::string input(reinterpret_cast<const char*>(data), size);
  const std::size_t cut = input.find('\0');
  std::vector<xlvs::config::Source> sources{{"lvs.yaml", input.substr(0, cut)}};
  if (cut != std::string::npos) sources.push_back({"conf.d/more.yaml", input.substr(cut + 1)});
  const auto loaded = xlvs::config::parse(sources);
  if (loaded)
    check_accepted(*loaded);
  else
    check_refused(loaded.error());
  return 0;
}
