// SPDX-License-Identifier: Apache-2.0
// What commands ask of lvsd, how they fail, and with which exit code.
#include "tests/unit/cli/cli_fixture.h"

namespace xlvs::cli {
namespace {

using control::Json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;
using testing::StartsWith;

// ---- output formats -------------------------------------------------------------------------------------------------

TEST_F(CliTest, JsonIsWhatTheApiAnswers) {
  EXPECT_EQ(Json::parse(run({"-o", "json", "status"}).out), Json(lvsd.canned));
  EXPECT_EQ(Json::parse(run({"service", "list", "-o", "json"}).out), Json(lvsd.canned.services));
  EXPECT_EQ(Json::parse(run({"service", "show", "web", "--output", "json"}).out), Json(lvsd.canned.services[0]));
  EXPECT_EQ(Json::parse(run({"-o", "json", "stats"}).out), Json(lvsd.samples[0]));
}

TEST_F(CliTest, JsonOfBackendListIsFlat) {
  Json all = Json::array();
  for (const auto& service : lvsd.canned.services) {
    for (const auto& backend : service.backends) all.push_back(backend);
  }
  EXPECT_EQ(Json::parse(run({"-o", "json", "backend", "list"}).out), all);
  EXPECT_EQ(Json::parse(run({"-o", "json", "backend", "list", "--service", "dns6"}).out), Json::array({all.back()}));
}

TEST_F(CliTest, ColourOnlyWhereItIsWanted) {
  EXPECT_EQ(run({"status"}).out.find('\x1b'), std::string::npos);
  colour = true;
  const std::string out = run({"status"}).out;
  EXPECT_THAT(out, HasSubstr("\x1b[32mup\x1b[0m"));
  EXPECT_THAT(out, HasSubstr("\x1b[31mdown\x1b[0m"));
  EXPECT_EQ(run({"--no-color", "status"}).out.find('\x1b'), std::string::npos);
}

TEST_F(CliTest, WhatServersAnsweredCanNotSteerTheTerminal) {
  lvsd.canned.services[0].backends[1].health.detail = "bad\x1b[2J\nfake line";
  lvsd.canned.warnings = {"odd\x1b]0;title\x07"};
  for (const auto& command : {std::vector<std::string>{"status"}, {"backend", "list"}, {"service", "show", "web"}}) {
    const std::string out = run(command).out;
    EXPECT_EQ(out.find('\x1b'), std::string::npos);
    EXPECT_THAT(out, HasSubstr("bad\\x1b[2J\\x0afake line"));
  }
}

TEST_F(CliTest, AlignmentDoesNotDependOnColour) {
  const std::string plain = run({"backend", "list"}).out;
  colour = true;
  std::string painted = run({"backend", "list"}).out;
  for (const char* code : {"\x1b[31m", "\x1b[32m", "\x1b[33m", "\x1b[0m"}) {
    for (std::size_t at = painted.find(code); at != std::string::npos; at = painted.find(code)) {
      painted.erase(at, std::string(code).size());
    }
  }
  EXPECT_EQ(painted, plain);
}

// ---- backends -------------------------------------------------------------------------------------------------------

TEST_F(CliTest, ChangesSayWhatTheyAsk) {
  EXPECT_EQ(run({"backend", "drain", "10.0.0.11:8080"}).code, kOk);
  EXPECT_EQ(run({"backend", "enable", "10.0.0.13:8080", "--service", "web"}).code, kOk);
  EXPECT_EQ(run({"backend", "weight", "10.0.0.11:8080", "65535"}).code, kOk);
  EXPECT_EQ(run({"backend", "weight", "10.0.0.11:8080", "--clear"}).code, kOk);
  EXPECT_EQ(run({"backend", "weight", "10.0.0.11:8080", "0", "--service", "web"}).code, kOk);
  EXPECT_THAT(lvsd.calls,
              ElementsAre("drain * 10.0.0.11:8080 -", "enable web 10.0.0.13:8080 -", "weight * 10.0.0.11:8080 65535",
                          "weight * 10.0.0.11:8080 -", "weight web 10.0.0.11:8080 0"));
}

TEST_F(CliTest, ChangesSayWhatTheyDid) {
  EXPECT_EQ(run({"backend", "drain", "10.0.0.11:8080"}).out,
            "web 10.0.0.11:8080: drained: no new flows; 120 active and 7 inactive go on\n");
  EXPECT_EQ(run({"backend", "enable", "10.0.0.11:8080"}).out, "web 10.0.0.11:8080: enabled: weight 3, state up\n");
  EXPECT_EQ(run({"backend", "weight", "10.0.0.11:8080", "--clear"}).out,
            "web 10.0.0.11:8080: weight 3 (as configured)\n");
  EXPECT_EQ(run({"backend", "weight", "10.0.0.13:8080", "5"}).out,
            "web 10.0.0.13:8080: weight 5 (set by override, configured 1), but drained\n");
  lvsd.changed = false;
  EXPECT_THAT(run({"backend", "drain", "10.0.0.11:8080"}).out, StartsWith("Nothing changed; it was so already.\n"));
}

TEST_F(CliTest, ReasonsAndForcedStatesReachLvsd) {
  EXPECT_EQ(run({"backend", "disable", "10.0.0.11:8080", "--reason", "new disk"}).out,
            "web 10.0.0.11:8080: disabled: as if it had failed; 120 active and 7 inactive flows\n");
  EXPECT_EQ(run({"backend", "force", "down", "10.0.0.11:8080", "--reason", "burns"}).code, kOk);
  EXPECT_EQ(run({"backend", "force", "clear", "10.0.0.11:8080"}).out,
            "web 10.0.0.11:8080: left to its checks: state up\n");
  EXPECT_EQ(run({"backend", "force", "sideways", "10.0.0.11:8080"}).code, kUsage);
  EXPECT_THAT(lvsd.calls, ElementsAre("disable * 10.0.0.11:8080 - (new disk)", "force * 10.0.0.11:8080 - down (burns)",
                                      "force * 10.0.0.11:8080 -"));
}

TEST_F(CliTest, DrainWaitsUntilNothingIsEstablished) {
  lvsd.canned.services[0].backends[0].active = 0;
  EXPECT_EQ(run({"backend", "drain", "10.0.0.11:8080", "--wait"}).code, kOk);
  EXPECT_TRUE(slept.empty());
  lvsd.canned.services[0].backends[0].active = 1;
  const auto late = run({"backend", "drain", "10.0.0.11:8080", "--wait", "--timeout", "1s"}, 0.4);
  EXPECT_EQ(late.code, kFailed);
  EXPECT_EQ(late.err, "lvsctl: 1 flow still established\n");
  EXPECT_EQ(slept.size(), 2U) << "after 0.4 and 0.8 s";
  EXPECT_EQ(run({"backend", "drain", "10.0.0.11:8080", "--timeout", "1s"}).code, kUsage) << "without --wait";
  EXPECT_EQ(run({"backend", "drain", "10.0.0.11:8080", "--wait", "--timeout", "soon"}).code, kUsage);
}

TEST_F(CliTest, ShowNamesOneBackend) {
  EXPECT_EQ(run({"backend", "show", "web", "10.0.0.12"}).out, run({"backend", "show", "web", "10.0.0.12:8080"}).out);
  EXPECT_EQ(Json::parse(run({"-o", "json", "backend", "show", "web", "10.0.0.12"}).out)["address"], "10.0.0.12:8080");
  const auto unknown = run({"backend", "show", "web", "10.0.0.19:8080"});
  EXPECT_EQ(unknown.code, kNotFound);
  EXPECT_THAT(unknown.err, HasSubstr("did you mean 10.0.0.11:8080"));
  EXPECT_THAT(run({"backend", "show", "wbe", "10.0.0.11"}).err, HasSubstr("did you mean web?"));
  lvsd.canned.services[0].backends[1].address = "10.0.0.11:8081";
  const auto two = run({"backend", "show", "web", "10.0.0.11"});
  EXPECT_EQ(two.code, kFailed);
  EXPECT_THAT(two.err, HasSubstr("2 backends 10.0.0.11: name the port, too"));
}

TEST_F(CliTest, AnUnknownBackendIsExit5WithCloseOnes) {
  const auto outcome = run({"backend", "drain", "10.0.0.11:8081"});
  EXPECT_EQ(outcome.code, kNotFound);
  EXPECT_EQ(outcome.out, "");
  EXPECT_EQ(outcome.err,
            "lvsctl: no backend has the address 10.0.0.11:8081; did you mean 10.0.0.11:8080, 10.0.0.12:8080, "
            "10.0.0.13:8080?\n");
}

TEST_F(CliTest, CloseOnesAreWrittenAsTheUnknownOne) {
  EXPECT_THAT(run({"backend", "drain", "10.0.0.19"}).err, HasSubstr("; did you mean 10.0.0.11, 10.0.0.12, 10.0.0.13?"));
  EXPECT_THAT(run({"backend", "drain", "2001:db8:1::12"}).err, HasSubstr("; did you mean 2001:db8:1::11?"));
  EXPECT_THAT(run({"backend", "drain", "[2001:db8:1::12]:53"}).err, HasSubstr("did you mean [2001:db8:1::11]:53?"));
}

TEST_F(CliTest, AnUnknownServiceIsExit5WithCloseOnes) {
  const auto outcome = run({"service", "show", "wbe"});
  EXPECT_EQ(outcome.code, kNotFound);
  EXPECT_EQ(outcome.err, "lvsctl: no service is named 'wbe'; did you mean web?\n");
  EXPECT_EQ(run({"backend", "list", "--service", "wbe"}).code, kNotFound);
  EXPECT_EQ(run({"service", "show", "a/b?c"}).err, "lvsctl: no service is named 'a/b?c'\n");
}

// ---- flows ----------------------------------------------------------------------------------------------------------

TEST_F(CliTest, FlowFiltersReachLvsd) {
  EXPECT_EQ(run({"flow", "list", "--client", "[2001:db8::7]:80", "--state", "A&B", "--protocol", "tcp", "--service",
                 "web", "--backend", "10.0.0.11", "--limit", "5"})
                .code,
            kOk);
  EXPECT_THAT(lvsd.query, testing::UnorderedElementsAre(Pair("client", "[2001:db8::7]:80"), Pair("state", "A&B"),
                                                        Pair("protocol", "tcp"), Pair("service", "web"),
                                                        Pair("backend", "10.0.0.11"), Pair("limit", "5")));
  (void)run({"flow", "list"});
  EXPECT_TRUE(lvsd.query.empty());
}

TEST_F(CliTest, WhatLvsdRefusesIsExit1) {
  lvsd.refusal = Error{ErrorKind::invalid, "state 'X' is not one of ..."};
  const auto outcome = run({"flow", "list", "--state", "X"});
  EXPECT_EQ(outcome.code, kFailed);
  EXPECT_EQ(outcome.err, "lvsctl: state 'X' is not one of ...\n");
}

// ---- stats ----------------------------------------------------------------------------------------------------------

TEST_F(CliTest, RatesUseLvsdsClockAndSleepTheInterval) {
  auto second = control::canned_stats();
  second.at += 4;  // it took longer than asked for
  second.services[0].traffic.flows += 10;
  lvsd.samples.push_back(second);
  const Json rates = Json::parse(run({"-o", "json", "stats", "--rate", "--interval", "2500ms"}).out);
  EXPECT_THAT(slept, ElementsAre(std::chrono::milliseconds(2500)));
  EXPECT_EQ(rates["seconds"], 4.0);
  EXPECT_EQ(rates["services"][0]["per_second"]["flows"], 2.5);
  EXPECT_EQ(rates["services"][0]["per_second"]["in_packets"], 0.0);
}

TEST_F(CliTest, RepeatedRatesSampleOncePerLine) {
  for (int i = 1; i < 4; ++i) {
    auto next = lvsd.samples.back();
    next.at += 1;
    next.services[0].traffic.flows += static_cast<std::uint64_t>(i);
    lvsd.samples.push_back(next);
  }
  const auto outcome = run({"stats", "--rate", "--count", "3"});
  EXPECT_EQ(outcome.code, kOk);
  EXPECT_EQ(slept.size(), 3U);
  for (const char* rate : {"1.0", "2.0", "3.0"}) {
    EXPECT_THAT(outcome.out, HasSubstr("\nweb" + std::string(27, ' ') + rate + " "));
  }
}

TEST_F(CliTest, RepeatingStopsWhenTheReaderLeaves) {
  reader_leaves_at = 100;
  EXPECT_EQ(run({"stats", "--count", "0"}).code, kOk);
  EXPECT_LE(slept.size(), 1U);
}

TEST_F(CliTest, AClockThatStandsStillIsAnError) {
  const auto outcome = run({"stats", "--rate"});  // the same sample twice
  EXPECT_EQ(outcome.code, kFailed);
  EXPECT_THAT(outcome.err, HasSubstr("clock did not advance"));
}

// ---- configuration --------------------------------------------------------------------------------------------------

TEST_F(CliTest, CheckSendsTheText) {
  files["new.yaml"] = "services: []\n";
  lvsd.check = {true, {}, {"service web: removed"}};
  const auto outcome = run({"config", "check", "new.yaml"});
  EXPECT_EQ(outcome.code, kOk);
  EXPECT_EQ(lvsd.checked.name, "new.yaml");
  EXPECT_EQ(lvsd.checked.text, "services: []\n");
  EXPECT_EQ(outcome.out, "new.yaml is valid; applying it changes:\n  service web: removed\n");
}

TEST_F(CliTest, AnInvalidConfigurationIsExit3WithEveryError) {
  files["new.yaml"] = "x";
  lvsd.check = {false, {"new.yaml:1:1: unknown key 'x'", "new.yaml:2:3: bad address"}, {}};
  const auto outcome = run({"config", "check", "new.yaml"});
  EXPECT_EQ(outcome.code, kConfigInvalid);
  EXPECT_EQ(outcome.out, "");
  EXPECT_EQ(outcome.err,
            "lvsctl: new.yaml is not valid, 2 errors:\nnew.yaml:1:1: unknown key 'x'\nnew.yaml:2:3: bad address\n");
  const auto json = run({"-o", "json", "config", "check", "new.yaml"});
  EXPECT_EQ(json.code, kConfigInvalid);
  EXPECT_EQ(Json::parse(json.out), Json(lvsd.check));
}

TEST_F(CliTest, CheckOfAMissingFileIsExit5) {
  const auto outcome = run({"config", "check", "no.yaml"});
  EXPECT_EQ(outcome.code, kNotFound);
  EXPECT_EQ(outcome.err, "lvsctl: can not read no.yaml: No such file or directory\n");
}

TEST_F(CliTest, DiffShowsChangesOrErrors) {
  lvsd.diff = {true, {}, {}};
  EXPECT_EQ(run({"config", "diff"}).out, "the configuration on disk is valid; it is what runs\n");
  lvsd.diff = {true, {}, {"service web: scheduler wrr -> mh"}};
  EXPECT_THAT(run({"config", "diff"}).out, HasSubstr("changes:\n  service web: scheduler wrr -> mh\n"));
  lvsd.diff = {false, {"lvs.yaml:1:1: bad"}, {}};
  EXPECT_EQ(run({"config", "diff"}).code, kConfigInvalid);
}

TEST_F(CliTest, ApplySaysWhatChanged) {
  lvsd.applied = {4, {"service web: backend 10.0.0.14:8080 added"}};
  EXPECT_EQ(run({"config", "apply"}).out, "Generation 4 runs; changed:\n  service web: backend 10.0.0.14:8080 added\n");
  lvsd.applied = {5, {}};
  EXPECT_EQ(run({"config", "apply"}).out, "Generation 5 runs; nothing changed\n");
}

TEST_F(CliTest, ApplyOfAnInvalidConfigurationIsExit3) {
  lvsd.refusal = Error{ErrorKind::invalid, "lvs.yaml:1:1: bad"};
  const auto outcome = run({"config", "apply"});
  EXPECT_EQ(outcome.code, kConfigInvalid);
  EXPECT_EQ(outcome.err, "lvsctl: lvs.yaml:1:1: bad\nNothing was changed.\n");
  lvsd.refusal = Error{ErrorKind::unavailable, "out of memory"};
  EXPECT_EQ(run({"config", "apply"}).code, kFailed);
}

TEST_F(CliTest, PushWaitsForThePeer) {
  control::ConfigPush push;
  push.state = "sending";
  push.peer = "192.168.7.2";
  control::ConfigPush done = push;
  done.state = "done";
  done.generation = 5;
  done.changes = {"service web: added"};
  lvsd.pushes = {push, push, done};
  EXPECT_EQ(run({"config", "push"}).out,
            "Generation 5 runs at the peer 192.168.7.2; changed there:\n  service web: added\n");
  EXPECT_EQ(slept.size(), 3U);
  EXPECT_THAT(lvsd.calls, ElementsAre("push"));
  done.changes = {};
  lvsd.pushes = {done};
  EXPECT_EQ(run({"config", "push"}).out, "Generation 5 runs at the peer 192.168.7.2; nothing changed there\n");
  EXPECT_EQ(Json::parse(run({"config", "push", "-o", "json"}).out), Json(done));
  done.dry_run = true;
  lvsd.pushes = {done};
  EXPECT_EQ(run({"config", "push", "--dry-run"}).out,
            "Valid at the peer 192.168.7.2; pushing it changes nothing there\n");
  EXPECT_EQ(lvsd.calls.back(), "push dry");
}

TEST_F(CliTest, PushThatFailsSaysWhy) {
  control::ConfigPush push;
  push.state = "failed";
  push.peer = "192.168.7.2";
  push.error_kind = "invalid";
  push.errors = {"lvs.yaml:1:1: bad", "lvs.yaml:2:1: worse"};
  lvsd.pushes = {push};
  auto outcome = run({"config", "push"});
  EXPECT_EQ(outcome.code, kConfigInvalid);
  EXPECT_EQ(outcome.err,
            "lvsctl: not valid as the configuration of the peer 192.168.7.2:\n"
            "lvs.yaml:1:1: bad\nlvs.yaml:2:1: worse\n");
  lvsd.pushes[0].error_kind = "permission";
  outcome = run({"config", "push"});
  EXPECT_EQ(outcome.code, kFailed);
  EXPECT_THAT(outcome.err, StartsWith("lvsctl: not taken by the peer 192.168.7.2:\n"));
  lvsd.refusal = Error{ErrorKind::not_found, "the configuration has no `ha.peer`"};
  EXPECT_EQ(run({"config", "push"}).code, kNotFound);
}

// ---- lvsd is not there ----------------------------------------------------------------------------------------------

TEST_F(CliTest, WithoutLvsdEveryCommandIsExit4AndSaysSo) {
  files["new.yaml"] = "x";
  for (const auto& command : std::vector<std::vector<std::string>>{{"status"},
                                                                   {"service", "list"},
                                                                   {"service", "show", "web"},
                                                                   {"backend", "list"},
                                                                   {"backend", "drain", "10.0.0.1"},
                                                                   {"flow", "list"},
                                                                   {"stats"},
                                                                   {"stats", "--rate"},
                                                                   {"config", "check", "new.yaml"},
                                                                   {"config", "diff"},
                                                                   {"config", "apply"},
                                                                   {"config", "push"},
                                                                   {"version"}}) {
    const auto outcome = run_alone(command);
    EXPECT_EQ(outcome.code, kUnreachable) << command.front();
    EXPECT_THAT(outcome.err, StartsWith("lvsctl: lvsd is not running: nobody listens on " + socket)) << command.front();
  }
  EXPECT_THAT(run_alone({"config", "check", "new.yaml"}).err, HasSubstr("lvsd --check --config new.yaml"));
}

TEST_F(CliTest, VersionTellsItsOwnWithoutLvsd) {
  EXPECT_EQ(run_alone({"version"}).out, "lvsctl " XLVS_VERSION "\n");
  EXPECT_EQ(run({"version"}).out, "lvsctl " XLVS_VERSION "\nlvsd   0.1.0 (instance default, pid 4242)\n");
  EXPECT_EQ(Json::parse(run({"version", "-o", "json"}).out)["lvsd"]["pid"], 4242);
}

// ---- the command line -----------------------------------------------------------------------------------------------

TEST_F(CliTest, MistakesAreExit2AndAskLvsdNothing) {
  for (const auto& arguments : std::vector<std::vector<std::string>>{{},
                                                                     {"stauts"},
                                                                     {"status", "extra"},
                                                                     {"service"},
                                                                     {"service", "show"},
                                                                     {"backend", "drain"},
                                                                     {"backend", "weight", "10.0.0.1"},
                                                                     {"backend", "weight", "10.0.0.1", "65536"},
                                                                     {"backend", "weight", "10.0.0.1", "-1"},
                                                                     {"backend", "weight", "10.0.0.1", "x"},
                                                                     {"backend", "weight", "10.0.0.1", "1", "--clear"},
                                                                     {"flow", "list", "--protocol", "icmp"},
                                                                     {"flow", "list", "--limit", "0"},
                                                                     {"stats", "--interval", "1"},
                                                                     {"stats", "--interval", "1ms"},
                                                                     {"-o", "xml", "status"},
                                                                     {"--bogus", "status"}}) {
    const auto outcome = run(arguments);
    EXPECT_EQ(outcome.code, kUsage) << testing::PrintToString(arguments);
    EXPECT_THAT(outcome.err, StartsWith("lvsctl: ")) << testing::PrintToString(arguments);
    EXPECT_THAT(outcome.err, HasSubstr("--help")) << testing::PrintToString(arguments);
    EXPECT_EQ(outcome.out, "") << testing::PrintToString(arguments);
  }
  EXPECT_TRUE(lvsd.calls.empty());
}

TEST_F(CliTest, HelpIsOnStandardOutput) {
  const auto outcome = run_alone({"--help"});
  EXPECT_EQ(outcome.code, kOk);
  EXPECT_EQ(outcome.err, "");
  for (const Command& command : commands()) EXPECT_THAT(outcome.out, HasSubstr(command.summary));
  EXPECT_THAT(outcome.out, HasSubstr("Exit codes: "));
  EXPECT_THAT(run_alone({"backend", "weight", "--help"}).out, HasSubstr("--clear"));
  EXPECT_EQ(run_alone({"--version"}).out, "lvsctl " XLVS_VERSION "\n");
}

TEST_F(CliTest, WithoutServicesStatusSaysSo) {
  lvsd.canned.services.clear();
  EXPECT_THAT(run({"status"}).out, HasSubstr("No virtual services are configured."));
}

}  // namespace
}  // namespace xlvs::cli
