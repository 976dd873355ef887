// SPDX-License-Identifier: Apache-2.0
// lvsd's command line as a plain value, and the paths that follow from it.
#pragma once

#include <optional>
#include <string>

namespace xlvs::agent {

struct Options {
  std::string config_path = "/etc/lvs/lvs.yaml";
  std::string instance = "default";
  std::string run_dir = "/run/lvs";
  std::string state_dir = "/var/lib/lvs";
  std::string bpffs = "/sys/fs/bpf";
  bool detach_on_exit = false;
  std::optional<std::string> log_level;  // wins over the configuration's
  std::string version;

  [[nodiscard]] std::string instance_run_dir() const { return run_dir + "/" + instance; }
  [[nodiscard]] std::string socket_path() const { return instance_run_dir() + "/lvsd.sock"; }
  [[nodiscard]] std::string instance_state_dir() const { return state_dir + "/" + instance; }
  [[nodiscard]] std::string state_path() const { return instance_state_dir() + "/state.json"; }
};

}  // namespace xlvs::agent
