// SPDX-License-Identifier: Apache-2.0
#include "core/regex.h"

#include <string>

#include <gtest/gtest.h>

namespace xlvs {
namespace {

using namespace std::string_literals;

Regex::Found search(std::string_view pattern, std::string_view subject, std::uint64_t steps = 1'000'000) {
  return Regex::compile(pattern).value().search(subject, steps);
}

TEST(Regex, FindsAnywhere) {
  EXPECT_EQ(search("^220 .*ESMTP", "220 mail.example.test ESMTP\r\n"), Regex::Found::yes);
  EXPECT_EQ(search("^220", "\r\n220"), Regex::Found::no);
  EXPECT_EQ(search("(?m)^220", "1\n220"), Regex::Found::yes);
  EXPECT_EQ(search("up|ok", "all ok"), Regex::Found::yes);
}

TEST(Regex, MatchesAnyBytes) {
  EXPECT_EQ(search("\\x00\\xff.\\xfe", "a\0\xff\x80\xfe"s), Regex::Found::yes);
  EXPECT_EQ(search("(?s)^.{3}$", "\xc3\xa9\n"), Regex::Found::yes) << "a byte, not a character of UTF-8";
}

TEST(Regex, SaysWhatIsWrongAndWhere) {
  EXPECT_EQ(Regex::compile("up(").error().message,
            "regular expression: missing closing parenthesis (after 3 characters)");
  EXPECT_FALSE(Regex::compile("*"));
  EXPECT_FALSE(Regex::compile("(*UTF)x")) << "what is no UTF-8 could not be searched";
  EXPECT_FALSE(Regex::compile(std::string(Regex::kMaxPattern + 1, 'a')));
  EXPECT_FALSE(Regex::compile("((((a{999}){999}){999}){999})"));
}

// Each of these takes years, or the square of the subject, without a bound on the whole search.
TEST(Regex, GivesUpWhatTakesTooLong) {
  const std::string subject = std::string(100'000, 'a') + "!";
  for (const char* pattern : {"(a+)+[bc]$", "(a|aa)+[bc]", "(?:a?){40}a{40}[bc]$", "[^y]*+[yz]", "(.*)(.*)(.*)[xy]\\1",
                              "(?=(a+))a*b+[xz]|[^y]*+[yz]"}) {
    std::uint64_t steps = 200'000;
    EXPECT_EQ(Regex::compile(pattern).value().search(subject, steps), Regex::Found::gave_up) << pattern;
  }
}

TEST(Regex, StepsAreOneAccountForSeveralSearches) {
  const Regex regex = Regex::compile("[ab]c[de]").value();
  const std::string subject = "c" + std::string(1000, 'a') + "bca";
  std::uint64_t steps = 10'000;
  EXPECT_EQ(regex.search(subject, steps), Regex::Found::no);
  const std::uint64_t cost = 10'000 - steps;
  EXPECT_GT(cost, 1000U);
  int searches = 1;
  while (regex.search(subject, steps) == Regex::Found::no) ++searches;
  EXPECT_EQ(searches, static_cast<int>(10'000 / cost));
  EXPECT_EQ(steps, 0U);
  EXPECT_EQ(regex.search(subject, steps), Regex::Found::gave_up);
}

}  // namespace
}  // namespace xlvs
