// SPDX-License-Identifier: Apache-2.0
#include "core/model.h"

#include <set>

#include <gtest/gtest.h>

#include "core/check_type.h"
#include "core/scheduler.h"

namespace xlvs {
namespace {

TEST(Model, NamesAreReadBack) {
  for (const auto value : {ForwardMethod::nat, ForwardMethod::dr})
    EXPECT_EQ(parse_forward_method(to_string(value)), value);
  for (const auto value : {NoFlowPolicy::pass, NoFlowPolicy::drop})
    EXPECT_EQ(parse_no_flow_policy(to_string(value)), value);
  for (const auto value : {XdpMode::automatic, XdpMode::native, XdpMode::generic})
    EXPECT_EQ(parse_xdp_mode(to_string(value)), value);
  for (const SchedulerInfo& info : schedulers()) EXPECT_EQ(parse_scheduler(to_string(info.scheduler)), info.scheduler);
}

TEST(Model, UnknownNamesAreNotDefaults) {
  EXPECT_EQ(parse_forward_method("NAT"), std::nullopt);
  EXPECT_EQ(parse_no_flow_policy(""), std::nullopt);
  EXPECT_EQ(parse_xdp_mode("automatic"), std::nullopt);
  EXPECT_EQ(parse_scheduler("sed"), std::nullopt);
}

TEST(CheckTypes, TableIsConsistent) {
  std::set<std::string_view> types;
  for (const CheckType& type : check_types()) {
    SCOPED_TRACE(type.name);
    EXPECT_TRUE(types.insert(type.name).second);
    EXPECT_EQ(find_check_type(type.name), &type);
    std::set<std::string_view> params;
    for (const CheckParam& param : type.params) {
      SCOPED_TRACE(param.name);
      EXPECT_TRUE(params.insert(param.name).second);
      EXPECT_FALSE(param.summary.empty());
      if (!param.default_value) continue;
      const bool ranges = param.kind == CheckParamKind::exit_statuses;
      EXPECT_EQ(param.default_value->index(),
                static_cast<std::size_t>(ranges ? CheckParamKind::status_ranges : param.kind));
      EXPECT_FALSE(param.required);
    }
  }
  EXPECT_EQ(types, (std::set<std::string_view>{"none", "tcp", "http", "https", "tls", "send_expect", "udp", "dns",
                                               "icmp", "grpc", "agent", "exec"}));
  EXPECT_EQ(find_check_type("smtp"), nullptr);
}

}  // namespace
}  // namespace xlvs
