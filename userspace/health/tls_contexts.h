// SPDX-License-Identifier: Apache-2.0
// OpenSSL's contexts, shared by all checks that trust the same CAs: the system's take a MiB and many milliseconds to
// read. One set per io_context. Private to health/. Thread rule: the event loop's thread.
#pragma once

#include <sys/stat.h>

#include <map>
#include <memory>
#include <string>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ssl/context.hpp>

#include "core/result.h"

namespace xlvs::health {

class TlsContexts : public boost::asio::execution_context::service {
 public:
  using key_type = TlsContexts;
  static boost::asio::execution_context::id id;

  // The one of this io_context, made at the first call.
  static TlsContexts& of(boost::asio::io_context& loop);
  explicit TlsContexts(boost::asio::execution_context& context) : service(context) {}

  using ContextPtr = std::shared_ptr<boost::asio::ssl::context>;
  // Trusts the CAs in the PEM file, as it is now; "": nobody.
  Result<ContextPtr> trusting(const std::string& ca_file);

 private:
  struct Entry {
    ContextPtr context;
    struct timespec changed{};
    off_t size = 0;
  };

  void shutdown() override { entries_.clear(); }

  std::map<std::string, Entry> entries_;
};

}  // namespace xlvs::health
