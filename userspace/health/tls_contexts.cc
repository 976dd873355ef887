// SPDX-License-Identifier: Apache-2.0
#include "health/tls_contexts.h"

#include <cerrno>
#include <cstring>

namespace xlvs::health {

boost::asio::execution_context::id TlsContexts::id;

TlsContexts& TlsContexts::of(boost::asio::io_context& loop) {
  return boost::asio::use_service<TlsContexts>(loop);
}

Result<TlsContexts::ContextPtr> TlsContexts::trusting(const std::string& ca_file) {
  struct stat file{};
  if (!ca_file.empty() && stat(ca_file.c_str(), &file) != 0) {
    return fail(ErrorKind::unavailable, "{}: {}", ca_file, std::strerror(errno));
  }
  Entry& entry = entries_[ca_file];
  const bool same = entry.changed.tv_sec == file.st_mtim.tv_sec && entry.changed.tv_nsec == file.st_mtim.tv_nsec &&
                    entry.size == file.st_size;
  if (entry.context && same) return entry.context;
  auto context = std::make_shared<boost::asio::ssl::context>(boost::asio::ssl::context::tls_client);
  boost::system::error_code error;
  if (!ca_file.empty()) context->load_verify_file(ca_file, error);
  if (error) return fail(ErrorKind::invalid, "{}: {}", ca_file, error.message());
  entry = {context, file.st_mtim, file.st_size};
  return context;
}

}  // namespace xlvs::health
