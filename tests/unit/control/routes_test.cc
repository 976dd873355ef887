// SPDX-License-Identifier: Apache-2.0
#include "control/routes.h"

#include <fstream>
#include <sstream>

#include <gmock/gmock.h>

#include "control/json.h"
#include "tests/support/fake_operations.h"

namespace xlvs::control {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

class Routes : public testing::Test {
 protected:
  Response get(const std::string& target, Access access = Access::control) {
    return respond({"GET", target, ""}, fake, access);
  }
  Response post(const std::string& target, const std::string& body) {
    return respond({"POST", target, body}, fake, Access::control);
  }
  static Json body(const Response& response) { return parse_json(response.body).value(); }
  static std::string error_of(const Response& response) {
    const Json error = body(response).at("error");
    return error.at("kind").get<std::string>() + ": " + error.at("message").get<std::string>();
  }
  FakeOperations fake;
};

TEST_F(Routes, AnswerWhatOperationsSay) {
  EXPECT_EQ(body(get("/v1/version")), Json(fake.canned.version));
  EXPECT_EQ(body(get("/v1/status")), Json(fake.canned));
  EXPECT_EQ(body(get("/v1/services")), Json(fake.canned.services));
  EXPECT_EQ(body(get("/v1/services/dns6")), Json(fake.canned.services[1]));
  EXPECT_EQ(body(get("/v1/stats")), Json(fake.samples[0]));
  fake.diff = {true, {}, {"service web: added"}};
  EXPECT_EQ(body(get("/v1/config/diff")), Json(fake.diff));
  fake.applied = {4, {"service web: added"}};
  EXPECT_EQ(body(post("/v1/config/apply", "")), Json(fake.applied));
  fake.pushes[0].state = "sending";
  EXPECT_EQ(body(post("/v1/config/push", R"({"dry_run": true})")), Json(fake.pushes[0]));
  EXPECT_EQ(fake.calls.back(), "push dry");
  EXPECT_EQ(body(get("/v1/config/push")), Json(fake.pushes[0]));
}

TEST_F(Routes, AreJsonWithStatus200) {
  const auto response = get("/v1/version");
  EXPECT_EQ(response.status, 200U);
  EXPECT_EQ(response.type, "application/json");
  EXPECT_EQ(response.body.back(), '\n');
}

TEST_F(Routes, FlowsHandTheQueryOn) {
  fake.flow_list = {9, {{"tcp", "192.0.2.1:1", "198.51.100.10:80", "web", "10.0.0.11:8080", "ESTABLISHED", 5}}};
  EXPECT_EQ(body(get("/v1/flows?service=web&client=192.0.2.1%3A1")), Json(fake.flow_list));
  EXPECT_THAT(fake.query, ElementsAre(Pair("service", "web"), Pair("client", "192.0.2.1:1")));
  fake.refusal = Error{ErrorKind::invalid, "state: 'X' is no state"};
  EXPECT_EQ(get("/v1/flows?state=X").status, 400U);
  EXPECT_EQ(error_of(get("/v1/flows?state=X")), "invalid: state: 'X' is no state");
}

TEST_F(Routes, BackendChangesReachOperations) {
  EXPECT_EQ(post("/v1/backends/drain", R"({"address": "10.0.0.11:8080"})").status, 200U);
  EXPECT_EQ(post("/v1/backends/enable", R"({"address": "10.0.0.11:8080", "service": "web"})").status, 200U);
  EXPECT_EQ(post("/v1/backends/weight", R"({"address": "10.0.0.11:8080", "weight": 7})").status, 200U);
  EXPECT_THAT(fake.calls,
              ElementsAre("drain * 10.0.0.11:8080 -", "enable web 10.0.0.11:8080 -", "weight * 10.0.0.11:8080 7"));
}

TEST_F(Routes, ABadBodyReachesNobody) {
  for (const char* text :
       {"", "{", "[]", "{}", R"({"address": 5})", R"({"address": "a", "weight": -1})", R"({"address": ""})", "null"}) {
    const auto response = post("/v1/backends/weight", text);
    EXPECT_EQ(response.status, 400U) << text;
    EXPECT_THAT(error_of(response), HasSubstr("invalid: request body: ")) << text;
  }
  EXPECT_TRUE(fake.calls.empty());
}

TEST_F(Routes, CheckTakesTheText) {
  fake.check = {false, {"new.yaml:3:1: unknown key 'x'"}, {}};
  EXPECT_EQ(body(post("/v1/config/check", R"({"name": "new.yaml", "text": "x: 1\n"})")), Json(fake.check));
  EXPECT_EQ(fake.checked.name, "new.yaml");
  EXPECT_EQ(fake.checked.text, "x: 1\n");
}

TEST_F(Routes, EveryErrorKindHasItsStatus) {
  const std::pair<ErrorKind, unsigned> expected[] = {{ErrorKind::invalid, 400},     {ErrorKind::permission, 403},
                                                     {ErrorKind::not_found, 404},   {ErrorKind::conflict, 409},
                                                     {ErrorKind::unsupported, 501}, {ErrorKind::unavailable, 503}};
  for (const auto& [kind, status] : expected) {
    fake.refusal = Error{kind, "because"};
    const auto response = post("/v1/config/apply", "");
    EXPECT_EQ(response.status, status);
    EXPECT_EQ(error_of(response), std::string(to_string(kind)) + ": because");
  }
}

TEST_F(Routes, UnknownPathsAre404) {
  for (const char* target : {"/v2/status", "/v1", "/v1/status/more", "/v1/services/no", "/v1/services/web/x"}) {
    EXPECT_EQ(get(target).status, 404U) << target;
  }
  EXPECT_EQ(error_of(get("/v1/services/wbe")), "not_found: no service is named 'wbe'");
  EXPECT_EQ(get("v1/status").status, 400U);
}

TEST_F(Routes, WrongMethodsAre405AndSayWhatIsAllowed) {
  const auto response = post("/v1/status", "{}");
  EXPECT_EQ(response.status, 405U);
  EXPECT_THAT(response.headers, ElementsAre(Pair("Allow", "GET")));
  const auto drain = get("/v1/backends/drain");
  EXPECT_EQ(drain.status, 405U);
  EXPECT_THAT(drain.headers, ElementsAre(Pair("Allow", "POST")));
  EXPECT_TRUE(fake.calls.empty());
}

TEST_F(Routes, ReadOnlyAccessHasNothingThatChanges) {
  for (const char* target : {"/v1/version", "/v1/status", "/v1/services", "/v1/services/web", "/metrics", "/"}) {
    EXPECT_EQ(get(target, Access::read_only).status, 200U) << target;
  }
  EXPECT_EQ(get("/v1/flows", Access::read_only).status, 404U);
  for (const Route& route : routes()) {
    if (route.method == "GET") continue;
    const Request request{std::string(route.method), std::string(route.path), R"({"address": "10.0.0.11:8080"})"};
    EXPECT_EQ(respond(request, fake, Access::read_only).status, 404U) << route.path;
  }
  EXPECT_TRUE(fake.calls.empty());
}

TEST_F(Routes, AnExceptionIsA500) {
  fake.broken = true;
  EXPECT_EQ(get("/v1/version").status, 500U);
  EXPECT_EQ(error_of(get("/v1/version")), "unavailable: internal error: broken on purpose");
  EXPECT_EQ(get("/v1/status").status, 200U);
}

TEST_F(Routes, ThePageBringsItsPolicy) {
  const auto response = get("/", Access::read_only);
  EXPECT_EQ(response.type, "text/html; charset=utf-8");
  ASSERT_THAT(response.headers, ElementsAre(Pair("Content-Security-Policy", HasSubstr("default-src 'none'"))));
}

TEST_F(Routes, AreAllInTheDocument) {
  std::ifstream file(XLVS_DOCS "api.md");
  ASSERT_TRUE(file) << XLVS_DOCS;
  std::stringstream text;
  text << file.rdbuf();
  for (const Route& route : routes()) {
    std::string shown(route.path);
    if (shown.ends_with("*")) shown.replace(shown.size() - 1, 1, "NAME");
    EXPECT_THAT(text.str(), HasSubstr("`" + std::string(route.method) + " " + shown + "`"));
  }
}

}  // namespace
}  // namespace xlvs::control
