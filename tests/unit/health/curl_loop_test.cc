// SPDX-License-Identifier: Apache-2.0
#include "health/curl_loop.h"

#include <unistd.h>

#include "tests/unit/health/servers.h"

namespace xlvs::health::test {
namespace {

using namespace std::chrono_literals;

class CurlLoopTest : public HealthTest {
 protected:
  // libcurl closes its sockets itself; whoever closes one before or after it hits a descriptor of somebody else.
  static int close_socket(void* failures, curl_socket_t fd) {
    if (close(fd) != 0) ++*static_cast<int*>(failures);
    return 0;
  }
  std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> transfer(const Endpoint& endpoint, int& failed_closes) {
    std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> easy(curl_easy_init(), curl_easy_cleanup);
    curl_easy_setopt(easy.get(), CURLOPT_URL, ("http://" + endpoint.to_string()).c_str());
    curl_easy_setopt(easy.get(), CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy.get(), CURLOPT_FORBID_REUSE, 1L);
    curl_easy_setopt(easy.get(), CURLOPT_CLOSESOCKETFUNCTION, &CurlLoopTest::close_socket);
    curl_easy_setopt(easy.get(), CURLOPT_CLOSESOCKETDATA, &failed_closes);
    curl_easy_setopt(easy.get(), CURLOPT_TIMEOUT_MS, 200L);
    return easy;
  }
};

TEST_F(CurlLoopTest, LeavesTheClosingOfSocketsToLibcurl) {
  const Server good(loop_, answer(ok()));
  const Server silent(loop_, never_answer());
  int failed_closes = 0;
  for (const Server* server : {&good, &silent}) {
    const auto easy = transfer(server->endpoint(), failed_closes);
    std::optional<CURLcode> result;
    CurlLoop::of(loop_).start(easy.get(), [&](CURLcode code) { result = code; });
    run_until("the end of the transfer", [&] { return result.has_value(); });
    EXPECT_EQ(*result, server == &good ? CURLE_OK : CURLE_OPERATION_TIMEDOUT);
  }
  EXPECT_EQ(failed_closes, 0);
}

TEST_F(CurlLoopTest, ACancelledTransferIsGoneAndMayBeStartedAgain) {
  const Server server(loop_, never_answer());
  int failed_closes = 0;
  const auto easy = transfer(server.endpoint(), failed_closes);
  bool cancelled_reported = false;
  CurlLoop::of(loop_).start(easy.get(), [&](CURLcode) { cancelled_reported = true; });
  run_until("connected", [&] { return server.connections() == 1; });
  CurlLoop::of(loop_).cancel(easy.get());
  CurlLoop::of(loop_).cancel(easy.get());  // nothing left to do
  std::optional<CURLcode> result;
  CurlLoop::of(loop_).start(easy.get(), [&](CURLcode code) { result = code; });
  run_until("the second transfer's end", [&] { return result.has_value(); });
  EXPECT_FALSE(cancelled_reported);
  EXPECT_EQ(server.connections(), 2);
  EXPECT_EQ(failed_closes, 0);
}

TEST(CurlLoop, GoesWithItsEventLoopThoughATransferRuns) {
  bool reported = false;
  CURL* const easy = curl_easy_init();
  {
    boost::asio::io_context loop;
    const Server server(loop, never_answer());
    curl_easy_setopt(easy, CURLOPT_URL, ("http://" + server.endpoint().to_string()).c_str());
    CurlLoop::of(loop).start(easy, [&](CURLcode) { reported = true; });
    while (server.connections() == 0) loop.run_one_for(1s);
  }
  EXPECT_FALSE(reported);
  curl_easy_cleanup(easy);
}

}  // namespace
}  // namespace xlvs::health::test
