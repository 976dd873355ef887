// SPDX-License-Identifier: Apache-2.0
// What the API server asks of the agent. Thread rule: the event loop's thread.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "control/api.h"
#include "core/desired.h"

namespace xlvs::agent {

class Agent;

class AgentOperations final : public control::Operations {
 public:
  explicit AgentOperations(Agent& agent) : agent_(agent) {}

  [[nodiscard]] control::Version version() const override;
  [[nodiscard]] control::Status status() const override;
  [[nodiscard]] std::vector<control::ServiceReport> services() const override;
  [[nodiscard]] Result<control::FlowList> flows(
      const std::vector<std::pair<std::string, std::string>>& query) const override;
  [[nodiscard]] control::StatsReport stats() const override;
  Result<control::BackendChangeResult> drain(const control::BackendChange& change) override;
  Result<control::BackendChangeResult> disable(const control::BackendChange& change) override;
  Result<control::BackendChangeResult> force(const control::BackendChange& change) override;
  Result<control::BackendChangeResult> enable(const control::BackendChange& change) override;
  Result<control::BackendChangeResult> set_weight(const control::BackendChange& change) override;
  [[nodiscard]] std::function<std::function<control::ConfigCheck()>()> begin_check(control::ConfigText text) override;
  [[nodiscard]] std::function<std::function<control::ConfigDiff()>()> begin_diff() override;
  [[nodiscard]] std::function<std::function<Result<control::ConfigApplied>()>()> begin_apply() override;
  [[nodiscard]] control::ConfigCheck check_config(const control::ConfigText& text) const override;
  [[nodiscard]] control::ConfigDiff diff_config() const override;
  Result<control::ConfigApplied> apply_config() override;
  Result<control::ConfigPush> push_config(const control::ConfigPushRequest& request) override;
  [[nodiscard]] control::ConfigPush config_push() const override;
  [[nodiscard]] Result<control::HaReport> ha() const override;
  Result<control::HaReport> release_ha() override;
  Result<control::HaReport> resume_ha() override;

 private:
  using Edit = std::function<void(Override&)>;
  // Edits the override of every backend that the change names; `done` is for the log: "drained".
  Result<control::BackendChangeResult> change_backends(const control::BackendChange& change, const Edit& edit,
                                                       const std::string& done);
  [[nodiscard]] std::vector<std::string> warnings(const std::vector<control::ServiceReport>& services,
                                                  std::uint64_t count_drift) const;

  Agent& agent_;
};

}  // namespace xlvs::agent
