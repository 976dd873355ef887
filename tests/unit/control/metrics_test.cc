// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>

#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include "control/process_metrics.h"
#include "control/server.h"
#include "tests/support/event_loop.h"
#include "tests/support/fake_operations.h"

namespace xlvs::control {
namespace {

using testing::HasSubstr;
using testing::Not;

Status status_with_ha() {
  Status status = canned_status();
  status.ha.emplace().role = "active";
  status.ha->tracks = {{"uplink", false, "eth2 is down", 60, 1.5}};
  HaInstanceReport& instance = status.ha->instances.emplace_back();
  instance.name = "outside";
  instance.priority = 150;
  instance.sent = 7;
  instance.rejected["checksum"] = 3;
  status.ha->vips = {{"198.51.100.10", true, ""}, {"2001:db8::10", false, "released"}};
  HaFlowsReport& flows = status.ha->flows.emplace();
  flows.state = "in-step";
  flows.sent = 12;
  flows.imported["created"] = 5;
  flows.refused["no_backend"] = 6;
  flows.rejected["key"] = 8;
  HaPeerReport& peer = status.ha->peer.emplace();
  peer.state = "up";
  peer.role = "active";
  peer.config = "differs";
  peer.sent = 11;
  peer.received = 10;
  peer.rejected["replay"] = 4;
  peer.pushes_sent["applied"] = 2;
  peer.pushes_received["refused"] = 1;
  status.names = {{"web.test", "ipv4", {"192.0.2.1", "192.0.2.2"}, {"192.0.2.9"}, "no server answered", 5, 2, 0}};
  return status;
}

std::string rendered() {
  return render_metrics(status_with_ha(), canned_stats());
}

TEST(Metrics, HaveTheValuesOfTheReports) {
  const std::string text = rendered();
  for (const char* line :
       {"lvs_name_up{name=\"web.test\",family=\"ipv4\"} 0\n",
        "lvs_name_addresses{name=\"web.test\",family=\"ipv4\"} 2\n",
        "lvs_name_leaving{name=\"web.test\",family=\"ipv4\"} 1\n",
        "lvs_name_resolutions_total{name=\"web.test\",family=\"ipv4\",result=\"failed\"} 2\n",
        "lvs_info{version=\"0.1.0\",instance=\"default\"} 1\n",
        "lvs_config_generation 3\n",
        "lvs_config_stale 0\n",
        "lvs_config_loaded_timestamp_seconds 1799999936\n",
        "process_start_time_seconds 1799999808\n",
        "lvs_interface_native{interface=\"lan0\"} 1\n",
        "lvs_interface_native{interface=\"wan0\"} 0\n",
        "lvs_interface_up{interface=\"lan0\"} 1\n",
        "lvs_flow_table_capacity{family=\"ipv4\"} 1048576\n",
        "lvs_flow_table_used{family=\"ipv6\"} 5\n",
        "lvs_flow_overflow_used{family=\"ipv4\"} 2\n",
        "lvs_flows_expired_total 77\n",
        "lvs_flow_count_drift 0\n",
        "lvs_reason_packets_total{reason=\"no_backend\",verdict=\"drop\"} 12\n",
        "lvs_reason_packets_total{reason=\"malformed\",verdict=\"drop\"} 0\n",
        "lvs_service_flows_total{service=\"web\"} 150\n",
        "lvs_service_in_bytes_total{service=\"web\"} 1234567890123\n",
        "lvs_backend_flows_total{service=\"web\",backend=\"10.0.0.11:8080\"} 100\n",
        "lvs_backend_in_packets_total{service=\"dns6\",backend=\"[2001:db8:1::11]:53\"} 10\n",
        "lvs_backend_up{service=\"web\",backend=\"10.0.0.11:8080\"} 1\n",
        "lvs_backend_up{service=\"web\",backend=\"10.0.0.12:8080\"} 0\n",
        "lvs_backend_up{service=\"dns6\",backend=\"[2001:db8:1::11]:53\"} 1\n",
        "lvs_backend_weight{service=\"web\",backend=\"10.0.0.13:8080\"} 0\n",
        "lvs_backend_state{service=\"web\",backend=\"10.0.0.11:8080\"} 1\n",
        "lvs_backend_state{service=\"web\",backend=\"10.0.0.12:8080\"} 0\n",
        "lvs_backend_state{service=\"web\",backend=\"10.0.0.13:8080\"} 6\n",
        "lvs_backend_state{service=\"dns6\",backend=\"[2001:db8:1::11]:53\"} 10\n",
        "lvs_check_results_total{service=\"web\",backend=\"10.0.0.12:8080\",check=\"http/health\",reason=\"status\"} "
        "4\n",
        "lvs_service_tier{service=\"web\"} -1\n",
        "lvs_service_quorum{service=\"web\"} 1\n",
        "lvs_check_lateness_seconds_bucket{le=\"0.1\"} 97\n",
        "lvs_check_lateness_seconds_count 98\n",
        "lvs_backend_drained{service=\"web\",backend=\"10.0.0.13:8080\"} 1\n",
        "lvs_backend_active_flows{service=\"web\",backend=\"10.0.0.11:8080\"} 120\n",
        "lvs_backend_inactive_flows{service=\"web\",backend=\"10.0.0.11:8080\"} 7\n",
        "lvs_backend_check_latency_seconds{service=\"web\",backend=\"10.0.0.11:8080\"} 0.0023\n",
        "lvs_backend_checks_total{service=\"web\",backend=\"10.0.0.11:8080\",result=\"passed\"} 96\n",
        "lvs_backend_checks_total{service=\"web\",backend=\"10.0.0.11:8080\",result=\"failed\"} 2\n"}) {
    EXPECT_THAT(text, HasSubstr(line));
  }
}

TEST(Metrics, ShowStaleAndDrift) {
  Status status = canned_status();
  status.config.stale = true;
  StatsReport stats = canned_stats();
  stats.count_drift = 3;
  const std::string text = render_metrics(status, stats);
  EXPECT_THAT(text, HasSubstr("lvs_config_stale 1\n"));
  EXPECT_THAT(text, HasSubstr("lvs_flow_count_drift 3\n"));
}

TEST(Metrics, TellWhenCertificatesExpire) {
  Status status = canned_status();
  const std::string one =
      "lvs_check_certificate_expiry_timestamp_seconds{service=\"web\",backend=\"10.0.0.11:8080\",check=\"https\"} "
      "1800907200\n";
  EXPECT_THAT(render_metrics(status, canned_stats()), HasSubstr(one));
  status.services[0].backends[0].health.checks[0].certificate_end.reset();
  EXPECT_THAT(render_metrics(status, canned_stats()), Not(HasSubstr("lvs_check_certificate_expiry")));
}

TEST(Metrics, WithoutServicesThereAreNoEmptyFamilies) {
  const std::string text = render_metrics(Status{}, StatsReport{});
  EXPECT_THAT(text, Not(HasSubstr("lvs_backend_")));
  EXPECT_THAT(text, Not(HasSubstr("lvs_service_")));
}

TEST(Metrics, EscapeLabels) {
  Status status;
  status.interfaces = {{"a\"b\\c\nd", 1, "native", "", 1, true}};
  EXPECT_THAT(render_metrics(status, StatsReport{}), HasSubstr(R"(lvs_interface_up{interface="a\"b\\c\nd"} 1)"));
}

std::set<std::string> names_in(const std::string& text, const std::regex& pattern) {
  std::set<std::string> names;
  for (std::sregex_iterator i(text.begin(), text.end(), pattern), end; i != end; ++i) names.insert((*i)[1]);
  return names;
}

TEST(Metrics, ThePair) {
  const std::string text = rendered();
  EXPECT_THAT(text, HasSubstr("lvs_ha_active 1\n"));
  EXPECT_THAT(text, HasSubstr("lvs_ha_track_good{track=\"uplink\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("lvs_ha_priority{vrrp=\"outside\"} 150\n"));
  EXPECT_THAT(text, HasSubstr("lvs_ha_adverts_sent_total{vrrp=\"outside\"} 7\n"));
  EXPECT_THAT(text, HasSubstr("lvs_ha_adverts_rejected_total{vrrp=\"outside\",reason=\"checksum\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("lvs_ha_vip_announced{vip=\"198.51.100.10\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("lvs_ha_vip_announced{vip=\"2001:db8::10\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("lvs_flow_sync_in_step 1\n"));
  EXPECT_THAT(text, HasSubstr("lvs_flow_sync_flows_sent_total 12\n"));
  EXPECT_THAT(text, HasSubstr("lvs_flow_sync_flows_imported_total{result=\"created\"} 5\n"));
  EXPECT_THAT(text, HasSubstr("lvs_flow_sync_flows_refused_total{reason=\"no_backend\"} 6\n"));
  EXPECT_THAT(text, HasSubstr("lvs_flow_sync_datagrams_rejected_total{reason=\"key\"} 8\n"));
  EXPECT_THAT(text, HasSubstr("lvs_peer_up 1\n"));
  EXPECT_THAT(text, HasSubstr("lvs_peer_active 1\n"));
  EXPECT_THAT(text, HasSubstr("lvs_peer_config_drift 1\n"));
  EXPECT_THAT(text, HasSubstr("lvs_peer_sent_total 11\n"));
  EXPECT_THAT(text, HasSubstr("lvs_peer_send_errors_total 0\n"));
  EXPECT_THAT(text, HasSubstr("lvs_peer_received_total 10\n"));
  EXPECT_THAT(text, HasSubstr("lvs_peer_rejected_total{reason=\"replay\"} 4\n"));
  EXPECT_THAT(text, HasSubstr("lvs_peer_config_pushes_total{direction=\"sent\",result=\"applied\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("lvs_peer_config_pushes_total{direction=\"received\",result=\"refused\"} 1\n"));
  EXPECT_THAT(render_metrics(canned_status(), canned_stats()), Not(HasSubstr("lvs_ha_")));
  EXPECT_THAT(render_metrics(canned_status(), canned_stats()), Not(HasSubstr("lvs_peer_")));
}

TEST(Metrics, AreThoseOfTheDocument) {
  std::ifstream file(XLVS_DOCS "metrics.md");
  ASSERT_TRUE(file) << XLVS_DOCS;
  std::stringstream document;
  document << file.rdbuf();
  const auto documented = names_in(document.str(), std::regex(R"(\| `((?:lvs|process)_\w+))"));
  const auto exposed = names_in(rendered() + render_process_metrics(), std::regex(R"(# TYPE (\w+))"));
  EXPECT_EQ(documented, exposed);
}

// Prometheus' own opinion of names, units, types and help texts.
TEST(Metrics, SatisfyPromtool) {
  if (std::system("command -v promtool >/dev/null") != 0) {
    GTEST_SKIP() << "promtool is not installed (scripts/setup installs it)";
  }
  const TemporaryDirectory directory;
  std::ofstream(directory.file("metrics")) << rendered() << render_process_metrics();
  const std::string command = "promtool check metrics <" + directory.file("metrics") + " 2>&1";
  FILE* promtool = popen(command.c_str(), "r");
  ASSERT_NE(promtool, nullptr);
  std::string said;
  for (int c = std::fgetc(promtool); c != EOF; c = std::fgetc(promtool)) said += static_cast<char>(c);
  EXPECT_EQ(WEXITSTATUS(pclose(promtool)), 0) << said;
  EXPECT_EQ(said, "");
}

TEST(ProcessMetrics, AreOfThisProcess) {
  const std::string text = render_process_metrics();
  std::smatch found;
  ASSERT_TRUE(std::regex_search(text, found, std::regex("\nprocess_open_fds (\\d+)\n"))) << text;
  const int before = std::stoi(found[1]);
  int pipe_ends[2];
  ASSERT_EQ(pipe(pipe_ends), 0);
  const std::string more = render_process_metrics();
  close(pipe_ends[0]);
  close(pipe_ends[1]);
  EXPECT_THAT(more, HasSubstr("\nprocess_open_fds " + std::to_string(before + 2) + "\n"));
  ASSERT_TRUE(std::regex_search(text, found, std::regex("\nprocess_resident_memory_bytes ([0-9.e+]+)\n"))) << text;
  EXPECT_GT(std::stod(found[1]), 1e6);
}

}  // namespace
}  // namespace xlvs::control
