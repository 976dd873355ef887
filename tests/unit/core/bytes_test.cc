// SPDX-License-Identifier: Apache-2.0
#include "core/bytes.h"

#include <gtest/gtest.h>

namespace xlvs {
namespace {

using namespace std::string_literals;

TEST(Unescape, KnowsTheEscapesOfNanny) {
  EXPECT_EQ(unescape("EHLO lvs\\r\\n").value(), "EHLO lvs\r\n");
  EXPECT_EQ(unescape("\\t\\\\\\'\\\"").value(), "\t\\'\"");
  EXPECT_EQ(unescape("\\x00\\xff\\x4Ax").value(), "\x00\xffJx"s);
  EXPECT_EQ(unescape("").value(), "");
}

TEST(Unescape, RefusesOthers) {
  for (const char* text : {"\\", "a\\", "\\q", "\\x", "\\x1", "\\xg0", "\\x+1", "\\0", "\\N"}) {
    EXPECT_FALSE(unescape(text)) << text;
  }
  EXPECT_EQ(unescape("\\q").error().message, "unknown escape \"\\\\q\"; there are \\n \\r \\t \\\\ \\' \\\" and \\xNN");
}

TEST(QuoteBytes, IsFitForATerminal) {
  EXPECT_EQ(quote_bytes("220 it's\r\n\x1b[31m\xff"), "\"220 it's\\r\\n\\x1b[31m\\xff\"");
  EXPECT_EQ(quote_bytes("abcdef", 4), "\"abcd\"... (6 bytes)");
  EXPECT_EQ(quote_bytes(""), "\"\"");
}

TEST(QuoteBytes, IsReadBackByUnescape) {
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all += static_cast<char>(byte);
  const std::string quoted = quote_bytes(all, all.size());
  EXPECT_EQ(unescape(quoted.substr(1, quoted.size() - 2)).value(), all);
}

}  // namespace
}  // namespace xlvs
