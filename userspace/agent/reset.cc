// SPDX-License-Identifier: Apache-2.0
#include "agent/reset.h"

#include <unistd.h>

#include <spdlog/spdlog.h>

#include "agent/instance_lock.h"
#include "agent/state_file.h"
#include "agent/vips.h"

namespace xlvs::agent {

Result<void> reset_instance(const Options& options, Host& host) {
  const auto lock = InstanceLock::acquire(options.instance_run_dir());
  if (!lock) return tl::make_unexpected(lock.error());
  const StateFile file(options.state_path());
  const auto boot_id = host.boot_id();
  if (!boot_id) return tl::make_unexpected(boot_id.error());
  const auto state = file.load(*boot_id);
  if (!state) return tl::make_unexpected(state.error());
  if (!state->warning.empty()) spdlog::warn("{}; VIPs that lvsd added may be left", state->warning);
  const State& left = state->state;
  Vips(host, {left.vip_interface, left.vips, left.vip_table, left.vip_routes}).remove_all();
  if (auto result = host.remove_pins({options.instance, options.bpffs, {}}); !result) return result;
  file.remove();
  unlink(options.socket_path().c_str());  // of an lvsd that was killed
  spdlog::info("instance {}: detached; pins, flows, counters and runtime overrides removed", options.instance);
  return {};
}

}  // namespace xlvs::agent
