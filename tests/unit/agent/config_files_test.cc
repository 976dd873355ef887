// SPDX-License-Identifier: Apache-2.0
#include "agent/config_files.h"

#include <gmock/gmock.h>

#include "tests/unit/agent/temporary.h"

namespace xlvs::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr const char* kOwn = "interfaces: [lan0]\nha: {}\n";
constexpr const char* kPairs = "services: []\n";

class ConfigFilesTest : public ::testing::Test {
 protected:
  ConfigFilesTest() { write_file(main_, ""); }
  [[nodiscard]] config::Source main(const std::string& text) const { return {main_, text}; }
  [[nodiscard]] config::Source part(const std::string& name, const std::string& text) const {
    return {path_of(main_, name), text};
  }
  [[nodiscard]] std::string refused(const std::vector<config::Source>& here,
                                    const std::vector<ha::ConfigFile>& pushed) const {
    const auto plan = plan_push(main_, here, pushed);
    return plan ? "taken" : plan.error().message;
  }
  static std::vector<std::string> changed(const PushPlan& plan) {
    std::vector<std::string> names;
    for (const FileChange& change : plan.changes)
      names.push_back((change.text ? "" : "-") + change.path.substr(change.path.rfind('/') + 1));
    return names;
  }

  TemporaryDirectory directory_;
  std::string main_ = directory_ / "lvs.yaml";
};

TEST_F(ConfigFilesTest, OnlyThePairsFilesArePushed) {
  const auto files = files_to_push(main_, {main(kOwn), part("10-web.yaml", kPairs), part("20-own.yaml", "limits: {}\n"),
                                           part("30-none.yaml", "# nothing yet\n"), part("40.yaml", "timeouts: {}\n")});
  ASSERT_TRUE(files);
  EXPECT_THAT(*files, ElementsAre(ha::ConfigFile{"10-web.yaml", kPairs}, ha::ConfigFile{"40.yaml", "timeouts: {}\n"}));
  std::filesystem::permissions(main_, std::filesystem::perms(0640));
  const auto with_mode = files_to_push(main_, {main(kPairs), part("own.yaml", kOwn)});
  ASSERT_TRUE(with_mode);
  EXPECT_THAT(*with_mode, ElementsAre(ha::ConfigFile{"", kPairs, 0640}));
}

TEST_F(ConfigFilesTest, AMixedFileIsNamedWithItsKeys) {
  const auto files = files_to_push(main_, {main("interfaces: [lan0]\nservices: []\n")});
  ASSERT_FALSE(files);
  EXPECT_THAT(files.error().message, HasSubstr(main_));
  EXPECT_THAT(files.error().message, HasSubstr("'interfaces'"));
  EXPECT_THAT(files.error().message, HasSubstr("'services'"));
  EXPECT_THAT(files_to_push(main_, {main(kOwn)}).error().message, HasSubstr("no file"));
  EXPECT_THAT(files_to_push("/dev/null", {{"/dev/null", kPairs}}).error().message,
              HasSubstr("/dev/null is not a file"));
}

TEST_F(ConfigFilesTest, PushedFilesTakeThePlaceOfThePairsAndLeaveTheRouters) {
  const auto plan = plan_push(main_,
                              {main(kOwn), part("10-web.yaml", "services: []\n# old\n"), part("20-dns.yaml", kPairs),
                               part("30-own.yaml", "metrics: {}\n"), part("40-same.yaml", "timeouts: {}\n")},
                              {{"10-web.yaml", kPairs}, {"15-new.yaml", kPairs}, {"40-same.yaml", "timeouts: {}\n"}});
  ASSERT_TRUE(plan) << plan.error().message;
  EXPECT_THAT(changed(*plan), ElementsAre("-20-dns.yaml", "10-web.yaml", "15-new.yaml"));
  std::vector<std::string> names;
  for (const config::Source& source : plan->sources) names.push_back(source.name.substr(source.name.rfind('/') + 1));
  EXPECT_THAT(names, ElementsAre("lvs.yaml", "10-web.yaml", "15-new.yaml", "30-own.yaml", "40-same.yaml"))
      << "as lvsd reads them";
  EXPECT_EQ(plan->sources[0].text, kOwn);
  EXPECT_EQ(plan->sources[1].text, kPairs);
}

TEST_F(ConfigFilesTest, TheMainFileMayBeThePairs) {
  const auto plan = plan_push(main_, {main("services: []\n# old\n"), part("own.yaml", kOwn)}, {{"", kPairs}});
  ASSERT_TRUE(plan);
  EXPECT_THAT(changed(*plan), ElementsAre("lvs.yaml"));
  EXPECT_THAT(plan_push(main_, {main(kPairs), part("own.yaml", kOwn)}, {{"", kPairs}})->changes, IsEmpty());
}

TEST_F(ConfigFilesTest, WhatIsTheRoutersOwnIsNotReplaced) {
  EXPECT_THAT(refused({main(kOwn), part("a.yaml", "limits: {}\n")}, {{"a.yaml", kPairs}}), HasSubstr("a.yaml"));
  EXPECT_THAT(refused({main(kOwn)}, {{"", kPairs}}), HasSubstr("lvs.yaml is this router's own"));
  EXPECT_THAT(refused({main(kOwn), part("a.yaml", "# mine\n")}, {{"a.yaml", kPairs}}), HasSubstr("a.yaml"))
      << "whose it is can not be told: rather not";
  EXPECT_THAT(refused({main(kPairs), part("own.yaml", kOwn)}, {{"a.yaml", kPairs}}), HasSubstr("the main file"));
  EXPECT_THAT(refused({main("interfaces: []\nservices: []\n")}, {{"a.yaml", kPairs}}), HasSubstr("has both"));
}

}  // namespace
}  // namespace xlvs::agent
