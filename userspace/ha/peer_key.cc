// SPDX-License-Identifier: Apache-2.0
#include "ha/peer_key.h"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace xlvs::ha {
namespace {

constexpr std::string_view kCredential = "credential:";

class File {
 public:
  // O_NONBLOCK: a FIFO that nobody writes to must not stop lvsd.
  explicit File(const std::string& path) : fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)) {}
  ~File() {
    if (fd_ >= 0) close(fd_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  [[nodiscard]] int fd() const { return fd_; }

 private:
  int fd_;
};

Result<std::string> path_of(const std::string& name) {
  if (name.starts_with('/')) return name;
  const std::string file = name.starts_with(kCredential) ? name.substr(kCredential.size()) : name;
  if (file.empty() || file == "." || file == ".." || file.find('/') != std::string::npos)
    return fail(ErrorKind::invalid, "key file {}: neither an absolute path nor the name of a credential", name);
  const char* folder = std::getenv("CREDENTIALS_DIRECTORY");  // NOLINT(concurrency-mt-unsafe): nobody sets it
  if (folder == nullptr || *folder == '\0')
    return fail(ErrorKind::invalid,
                "key file {}: lvsd has no credentials ($CREDENTIALS_DIRECTORY is not set): give the unit a "
                "LoadCredential=, or name a file by its absolute path",
                name);
  return std::string(folder) + "/" + file;
}

Result<void> check(const std::string& path, const struct stat& info) {
  if (!S_ISREG(info.st_mode)) return fail(ErrorKind::invalid, "key file {} is not a regular file", path);
  if (info.st_uid != 0 && info.st_uid != geteuid())
    return fail(ErrorKind::invalid, "key file {} belongs to user {}: chown it to root", path, info.st_uid);
  if ((info.st_mode & (S_IRWXG | S_IRWXO)) != 0)
    return fail(ErrorKind::invalid,
                "key file {} has mode {:04o}, so others may have read it: make a new key, mode 0600", path,
                info.st_mode & 07777U);
  const auto size = static_cast<std::uint64_t>(info.st_size);
  if (size < PeerKey::kLeast || size > PeerKey::kGreatest)
    return fail(ErrorKind::invalid, "key file {} has {} bytes; a key has {} to {} (openssl rand -hex 32 makes one)",
                path, size, PeerKey::kLeast, PeerKey::kGreatest);
  return {};
}

}  // namespace

Result<PeerKey> PeerKey::load(const std::string& name) {
  const auto path = path_of(name);
  if (!path) return tl::make_unexpected(path.error());
  const File file(*path);
  if (file.fd() < 0) {
    const int error = errno;
    const bool denied = error == EACCES || error == EPERM;
    const bool missing = error == ENOENT || error == ENOTDIR;
    return fail(denied ? ErrorKind::permission : (missing ? ErrorKind::not_found : ErrorKind::unavailable),
                "key file {}: {}", *path, std::strerror(error));
  }
  struct stat info{};
  if (fstat(file.fd(), &info) != 0) return fail(ErrorKind::unavailable, "key file {}: {}", *path, std::strerror(errno));
  if (auto fit = check(*path, info); !fit) return tl::make_unexpected(fit.error());
  PeerKey key(std::vector<std::uint8_t>(static_cast<std::size_t>(info.st_size)));
  const ssize_t got = read(file.fd(), key.bytes_.data(), key.bytes_.size());
  if (got < 0) return fail(ErrorKind::unavailable, "key file {}: {}", *path, std::strerror(errno));
  if (static_cast<std::size_t>(got) != key.bytes_.size())
    return fail(ErrorKind::unavailable, "key file {} became shorter while it was read", *path);
  return key;
}

PeerKey PeerKey::of(std::string_view bytes) {
  return PeerKey(std::vector<std::uint8_t>(bytes.begin(), bytes.end()));
}

PeerKey::~PeerKey() {
  OPENSSL_cleanse(bytes_.data(), bytes_.size());
}

}  // namespace xlvs::ha
