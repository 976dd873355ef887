// SPDX-License-Identifier: Apache-2.0
#include "health/agent_reply.h"
#include "tests/unit/health/servers.h"

namespace xlvs::health::test {
namespace {

using namespace std::chrono_literals;

std::optional<WeightAdvice> percent(std::uint32_t value) {
  return WeightAdvice{WeightAdvice::Unit::percent, value};
}

TEST(AgentReplyTest, Words) {
  struct Case {
    const char* line;
    std::optional<WeightAdvice> weight;
  };
  for (const Case& c : {
           Case{"75%", percent(75)},
           {"0%", percent(0)},
           {"10000%", percent(10000)},
           {"up", std::nullopt},
           {"ready", std::nullopt},
           {"UP Ready", std::nullopt},
           {"up 50%", percent(50)},
           {"drain", percent(0)},
           {"maint", percent(0)},
           {"drain 80%", percent(0)},
           {"80%,\tready , maxconn:30", percent(80)},
           {"  up # down for lunch", std::nullopt},
       }) {
    const ProbeResult result = read_agent_reply(c.line);
    EXPECT_TRUE(result.passed) << c.line << ": " << result.detail;
    EXPECT_EQ(result.reason, "ok") << c.line;
    EXPECT_EQ(result.weight, c.weight) << c.line;
  }
  for (const char* line : {"down", "fail", "failed", "stopped", "Down#lunch", "up 75% down"}) {
    const ProbeResult result = read_agent_reply(line);
    EXPECT_FALSE(result.passed) << line;
    EXPECT_EQ(result.reason, "down") << line;
    EXPECT_FALSE(result.weight) << line;
  }
  for (const char* line : {"", " ", "# up", "maxconn:5", "maxconn:", "maxconn:x", "75", "%", "-1%", "10001%",
                           "99999999999%", "7 %", "upp", "up\x01", "HTTP/1.1 400 Bad Request"}) {
    EXPECT_EQ(read_agent_reply(line).reason, "protocol") << line;
  }
  EXPECT_EQ(read_agent_reply("up 7 %").detail, "the agent says \"up 7 %\": \"7\" is no word of agents");
}

class AgentTest : public HealthTest {
 protected:
  ProbeResult ask(Server::Script script, std::map<std::string, CheckValue> params = {},
                  std::chrono::milliseconds timeout = 5s) {
    const Server server(loop_, std::move(script));
    return probe(server.endpoint(), spec("agent", std::move(params)), timeout);
  }
};

TEST_F(AgentTest, ALineEndsByItsEndOrThatOfTheConnection) {
  EXPECT_EQ(ask(say({"7", "5%\r\n"}, Afterwards::silence, 20ms)).weight, percent(75));
  EXPECT_EQ(ask(say({"75%\ngarbage"}, Afterwards::silence)).weight, percent(75));
  EXPECT_EQ(ask(say({"7", "5%"}, Afterwards::close, 20ms)).weight, percent(75));
}

TEST_F(AgentTest, WhatItIsAskedIsSent) {
  EXPECT_EQ(ask(answer_to("web\n", "up\n"), {{"send", "web\\n"}}).reason, "ok");
  EXPECT_EQ(ask(answer_to("web\n", "up\n"), {{"send", "app\\n"}}).reason, "protocol");
}

TEST_F(AgentTest, NoLineNoPass) {
  EXPECT_EQ(ask(say({})).reason, "closed");
  EXPECT_EQ(ask(say({"\n"})).reason, "protocol");
  EXPECT_EQ(ask(say({"up"}, Afterwards::reset, 20ms)).reason, "closed");
  const ProbeResult late = ask(say_endlessly("u", 20ms), {}, 300ms);
  EXPECT_EQ(late.reason, "timeout");
  EXPECT_EQ(late.detail, "connected, but no complete line within 300 ms");
  const ProbeResult large = ask(say_endlessly(std::string(65536, 'u')), {}, 15s);
  EXPECT_EQ(large.reason, "too_large");
  EXPECT_LT(large.latency, 10s);
  EXPECT_EQ(probe(closed_port(loop_), spec("agent")).reason, "refused");
}

}  // namespace
}  // namespace xlvs::health::test
