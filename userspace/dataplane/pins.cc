// SPDX-License-Identifier: Apache-2.0
#include "dataplane/pins.h"

#include <bpf/bpf.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <spdlog/spdlog.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "dataplane/attach.h"
#include "dataplane/egress.h"

namespace xlvs::dataplane {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kProgram = "program";
constexpr std::string_view kCheckProgram = "check_program";
constexpr std::string_view kImportProgram = "import_program";
constexpr std::string_view kLinkPrefix = "link-";
constexpr mode_t kMode = 0700;

bool starts_with(const std::string& text, std::string_view prefix) {
  return text.compare(0, prefix.size(), prefix) == 0;
}

std::string without_dots(std::string_view name) {
  std::string out(name);
  std::replace(out.begin(), out.end(), '.', ':');
  return out;
}

std::string with_dots(std::string_view name) {
  std::string out(name);
  std::replace(out.begin(), out.end(), ':', '.');
  return out;
}

std::vector<std::string> names_in(const std::string& directory) {
  std::vector<std::string> out;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(directory, error)) out.push_back(entry.path().filename().string());
  std::sort(out.begin(), out.end());
  return out;
}

tl::unexpected<Error> system_error(std::string_view action, const std::string& path) {
  const ErrorKind kind = errno == EPERM || errno == EACCES ? ErrorKind::permission : ErrorKind::unavailable;
  return fail(kind, "cannot {} {}: {}", action, path, std::strerror(errno));
}

Result<void> check_bpffs(const std::string& bpffs) {
  struct statfs info{};
  if (::statfs(bpffs.c_str(), &info) != 0)
    return fail(ErrorKind::unsupported, "no BPF file system at {}: {}; mount one: mount -t bpf bpf {}", bpffs,
                std::strerror(errno), bpffs);
  if (info.f_type != BPF_FS_MAGIC)
    return fail(ErrorKind::unsupported, "{} is not a BPF file system; mount one: mount -t bpf bpf {}", bpffs, bpffs);
  return {};
}

Result<void> check_instance(const std::string& instance) {
  const bool good = !instance.empty() && instance.size() <= 63 && instance != "." && instance != ".." &&
                    std::all_of(instance.begin(), instance.end(), [](unsigned char c) {
                      return std::isalnum(c) != 0 || c == '_' || c == '-' || c == '.';
                    });
  if (good) return {};
  return fail(ErrorKind::invalid, "instance name \"{}\" must be 1 to 63 letters, digits, dots, dashes and underscores",
              instance);
}

// Detaching is explicit: a link of which somebody still holds a descriptor would stay attached otherwise.
void remove_folder(const std::string& folder) {
  for (const std::string& name : names_in(folder)) {
    const std::string path = folder + "/" + name;
    if (starts_with(name, kLinkPrefix)) {
      const Fd link(bpf_obj_get(path.c_str()));
      if (const auto state = link.valid() ? link_state(link.get()) : LinkState{}; state && state->ifindex != 0)
        detach_egress(state->ifindex);
      if (link.valid()) bpf_link_detach(link.get());
    }
    ::unlink(path.c_str());
  }
  ::rmdir(folder.c_str());
}

// Only the names: what they stand for is pinned elsewhere, too, or of no use any more.
void unpin_folder(const std::string& folder) {
  for (const std::string& name : names_in(folder)) ::unlink((folder + "/" + name).c_str());
  ::rmdir(folder.c_str());
}

Result<void> make_folders(const std::string& parent, const std::string& root) {
  for (const std::string& folder : {parent, root})
    if (::mkdir(folder.c_str(), kMode) != 0 && errno != EEXIST) return system_error("create", folder);
  return {};
}

Result<Fd> lock_folder(const std::string& parent, const std::string& root) {
  Fd lock(::open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!lock.valid()) {
    if (errno == ENOENT) return fail(ErrorKind::not_found, "there is no {} under {}", root, parent);
    return system_error("open", root);
  }
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) == 0) return lock;
  if (errno == EWOULDBLOCK) return fail(ErrorKind::conflict, "another process is using {}", root);
  return system_error("lock", root);
}

// Objects of one kind have ids; type and id come first in what the kernel says of each kind.
std::uint32_t object_id(int fd) {
  struct {
    __u32 type;
    __u32 id;
  } info{};
  __u32 length = sizeof(info);
  return bpf_obj_get_info_by_fd(fd, &info, &length) == 0 ? info.id : 0;
}

}  // namespace

Pins::Pins(std::string parent, std::string root, Fd lock)
    : parent_(std::move(parent)),
      root_(std::move(root)),
      current_(fmt::format("v{}", LVS_LAYOUT_VERSION)),
      lock_(std::move(lock)) {}

Pins::~Pins() {
  if (!lock_.valid()) return;
  ::rmdir(root_.c_str());
  ::rmdir(parent_.c_str());
}

std::string Pins::path(const std::string& name) const {
  return root_ + "/" + current_ + "/" + name;
}

Result<Pins> Pins::open(const std::string& bpffs, const std::string& instance, bool create) {
  if (auto good = check_bpffs(bpffs); !good) return tl::make_unexpected(good.error());
  if (auto good = check_instance(instance); !good) return tl::make_unexpected(good.error());
  const std::string parent = bpffs + "/lvs";
  const std::string root = parent + "/" + without_dots(instance);
  if (create)
    if (auto made = make_folders(parent, root); !made) return tl::make_unexpected(made.error());
  auto lock = lock_folder(parent, root);
  if (!lock) return tl::make_unexpected(lock.error());
  Pins pins(parent, root, *std::move(lock));
  pins.remove_garbage();
  return pins;
}

void Pins::remove_garbage() {
  for (const std::string& name : names_in(root_)) {
    if (starts_with(name, "next-")) unpin_folder(root_ + "/" + name);
    if (!starts_with(name, "new-") && !starts_with(name, "old-")) continue;
    spdlog::warn("removing {}/{}, which an interrupted start or stop left behind", root_, name);
    remove_folder(root_ + "/" + name);
  }
  for (const std::string& name : names_in(root_ + "/" + current_))
    if (starts_with(name, "new-")) ::unlink(path(name).c_str());
}

bool Pins::exist() const {
  return ::access((root_ + "/" + current_).c_str(), F_OK) == 0;
}

std::vector<std::string> Pins::other_layouts() const {
  std::vector<std::string> out;
  for (const std::string& name : names_in(root_))
    if (starts_with(name, "v") && name != current_) out.push_back(name);
  return out;
}

Result<void> Pins::create(const std::vector<std::pair<std::string, int>>& objects) {
  const std::string folder = fmt::format("{}/new-{}", root_, ::getpid());
  if (::mkdir(folder.c_str(), kMode) != 0) return system_error("create", folder);
  for (const auto& [name, fd] : objects) {
    const std::string target = folder + "/" + name;
    if (bpf_obj_pin(fd, target.c_str()) != 0) {
      auto error = system_error("pin", target);
      remove_folder(folder);
      return error;
    }
  }
  const std::string target = root_ + "/" + current_;
  if (::rename(folder.c_str(), target.c_str()) != 0) {
    auto error = system_error("create", target);
    remove_folder(folder);
    return error;
  }
  return {};
}

Result<void> Pins::replace_all(const std::vector<std::pair<std::string, int>>& objects) {
  const std::string folder = fmt::format("{}/next-{}", root_, ::getpid());
  const std::string target = root_ + "/" + current_;
  if (::mkdir(folder.c_str(), kMode) != 0) return system_error("create", folder);
  std::vector<std::pair<std::string, int>> all = objects;
  std::vector<Fd> links;
  for (const std::string& interface : this->links()) {
    auto link = get(link_name(interface));
    if (!link) continue;
    all.emplace_back(link_name(interface), link->get());
    links.push_back(*std::move(link));
  }
  Result<void> done;
  for (const auto& [name, fd] : all)
    if (done && bpf_obj_pin(fd, (folder + "/" + name).c_str()) != 0) done = system_error("pin", folder + "/" + name);
  if (done && ::renameat2(AT_FDCWD, folder.c_str(), AT_FDCWD, target.c_str(), RENAME_EXCHANGE) != 0)
    done = system_error("replace", target);
  unpin_folder(folder);
  return done;
}

Result<Fd> Pins::get(const std::string& name) const {
  Fd fd(bpf_obj_get(path(name).c_str()));
  if (!fd.valid()) return system_error("open the pin", path(name));
  return fd;
}

Result<std::map<std::string, Fd>> Pins::maps() const {
  std::map<std::string, Fd> out;
  for (const std::string& name : names_in(root_ + "/" + current_)) {
    if (name == kProgram || name == kCheckProgram || name == kImportProgram || starts_with(name, kLinkPrefix)) continue;
    auto fd = get(name);
    if (!fd) return tl::make_unexpected(fd.error());
    out.emplace(name, *std::move(fd));
  }
  return out;
}

Result<void> Pins::replace(const std::string& name, int fd) {
  const std::string staged = path("new-" + name);
  ::unlink(staged.c_str());
  if (bpf_obj_pin(fd, staged.c_str()) != 0) return system_error("pin", staged);
  if (::rename(staged.c_str(), path(name).c_str()) != 0) {
    auto error = system_error("pin", path(name));
    ::unlink(staged.c_str());
    return error;
  }
  return {};
}

Pins::Objects Pins::lost(const Objects& objects) const {
  Objects out;
  for (const auto& [name, fd] : objects) {
    const Fd pinned(bpf_obj_get(path(name).c_str()));
    if (!pinned.valid() || object_id(pinned.get()) != object_id(fd)) out.emplace_back(name, fd);
  }
  return out;
}

// The lock goes with the folder.
Result<void> Pins::make_folder() {
  struct stat locked{}, present{};
  if (::stat(root_.c_str(), &present) == 0 && ::fstat(lock_.get(), &locked) == 0 && locked.st_dev == present.st_dev &&
      locked.st_ino == present.st_ino)
    return {};
  const std::string bpffs = fs::path(parent_).parent_path();
  if (auto good = check_bpffs(bpffs); !good) return good;
  if (auto made = make_folders(parent_, root_); !made) return made;
  auto lock = lock_folder(parent_, root_);
  if (!lock) return tl::make_unexpected(lock.error());
  lock_ = *std::move(lock);
  return {};
}

Result<void> Pins::restore(const Objects& objects, const Objects& lost_ones) {
  if (auto made = make_folder(); !made) return made;
  if (!exist()) return create(objects);
  for (const auto& [name, fd] : lost_ones)
    if (auto pinned = replace(name, fd); !pinned) return pinned;
  return {};
}

std::vector<std::string> Pins::links() const {
  std::vector<std::string> out;
  for (const std::string& name : names_in(root_ + "/" + current_))
    if (starts_with(name, kLinkPrefix)) out.push_back(with_dots(name.substr(kLinkPrefix.size())));
  return out;
}

std::string Pins::link_name(std::string_view interface) {
  return std::string(kLinkPrefix) + without_dots(interface);
}

void Pins::remove(const std::string& name) {
  ::unlink(path(name).c_str());
}

Result<void> Pins::rename(const std::string& from, const std::string& to) {
  if (::rename(path(from).c_str(), path(to).c_str()) != 0) return system_error("rename", path(from));
  return {};
}

Result<void> Pins::remove_all() {
  for (const std::string& name : names_in(root_)) {
    const std::string from = root_ + "/" + name;
    const std::string to = fmt::format("{}/old-{}-{}", root_, ::getpid(), name);
    if (::rename(from.c_str(), to.c_str()) != 0) return system_error("remove", from);
    remove_folder(to);
  }
  return {};
}

}  // namespace xlvs::dataplane
