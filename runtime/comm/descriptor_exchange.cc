#include "comm/descriptor_exchange.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>

#include "allnorm/error.h"
#include "cache/file_system.h"
#include "comm/nonce.h"
#include "comm/vote.h"

namespace allnorm {
namespace {

using std::chrono::steady_clock;

/// What comes with a descriptor: whose it is, and that its sender has heard this rank's word in the gather.
struct Letter {
  Nonce nonce;
  std::int32_t rank;
};

[[noreturn]] void fail(const std::string& message) { throw Error(ErrorCode::kPeer, message); }

/// A folder that nobody else may enter, with a socket in it; both go with the object.
class Letterbox {
 public:
  Letterbox() = default;
  Letterbox(const Letterbox&) = delete;
  Letterbox& operator=(const Letterbox&) = delete;
  ~Letterbox() {
    if (folder_.empty()) return;
    ::unlink(path().c_str());
    ::rmdir(folder_.c_str());
  }

  void open(const std::string& directory) {
    std::string reason;
    cache::FileSystem& files = cache::FileSystem::real();
    if (!files.make_private_directories(directory, reason) || !files.is_private_directory(directory, reason)) {
      fail(reason);
    }
    std::string name = directory + "/allnorm-XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) {
      fail(fmt::format("cannot make a folder in {}: {}", directory, std::generic_category().message(errno)));
    }
    folder_ = name;
    socket_ = listen_at(path());
    nonce_ = new_nonce();
  }
  std::string path() const { return folder_ + "/s"; }
  std::string address() const { return std::string(nonce_.data(), nonce_.size()) + path(); }
  const Nonce& nonce() const noexcept { return nonce_; }
  const Descriptor& socket() const noexcept { return socket_; }

 private:
  std::string folder_;
  Descriptor socket_;
  Nonce nonce_{};
};

/// Those who connect are taken in later: the sockets' buffers hold what is sent until then.
Descriptor send_to(const std::string& address, int rank, int own, Deadline deadline) {
  Letter letter{};
  if (address.size() <= letter.nonce.size()) fail("an address is too short");
  std::memcpy(letter.nonce.data(), address.data(), letter.nonce.size());
  letter.rank = rank;
  std::optional<Descriptor> socket = connect_to(address.substr(letter.nonce.size()));
  if (!socket) fail("nobody listens at " + address.substr(letter.nonce.size()));
  const std::string_view bytes(reinterpret_cast<const char*>(&letter), sizeof(letter));
  if (send_descriptor(*socket, bytes, own, deadline) != Transfer::kDone) fail("a descriptor cannot be sent");
  return std::move(*socket);
}

void receive_all(const Letterbox& box, int own_rank, Deadline deadline, std::vector<Descriptor>& received) {
  for (std::size_t left = received.size() - 1; left > 0;) {
    std::optional<Descriptor> socket = accept_from(box.socket(), deadline);
    if (!socket) fail(fmt::format("{} descriptors have not come", left));
    std::string bytes;
    Descriptor descriptor;
    Letter letter{};
    if (receive_descriptor(*socket, bytes, sizeof(letter), descriptor, deadline) != Transfer::kDone) continue;
    if (bytes.size() != sizeof(letter)) continue;
    std::memcpy(&letter, bytes.data(), sizeof(letter));
    const bool is_rank = letter.rank >= 0 && static_cast<std::size_t>(letter.rank) < received.size();
    if (letter.nonce != box.nonce() || !is_rank || letter.rank == own_rank) continue;
    Descriptor& place = received[static_cast<std::size_t>(letter.rank)];
    if (place) fail(fmt::format("rank {} has sent two descriptors", letter.rank));
    place = std::move(descriptor);
    left--;
  }
}

}  // namespace

std::vector<Descriptor> exchange_descriptors(Bootstrap& bootstrap, int own, const ExchangePlace& place) {
  Letterbox box;
  do_together(bootstrap, "make a socket for descriptors", [&] { box.open(place.directory); });
  const std::vector<std::string> addresses = bootstrap.all_gather(box.address());
  const Deadline deadline = steady_clock::now() + place.timeout;
  std::vector<Descriptor> open_until_taken;
  do_together(bootstrap, "send its descriptor", [&] {
    for (std::size_t rank = 0; rank < addresses.size(); rank++) {
      if (static_cast<int>(rank) == bootstrap.rank()) continue;
      open_until_taken.push_back(send_to(addresses[rank], bootstrap.rank(), own, deadline));
    }
  });
  std::vector<Descriptor> received(addresses.size());
  do_together(bootstrap, "receive the others' descriptors",
              [&] { receive_all(box, bootstrap.rank(), deadline, received); });
  return received;
}

}  // namespace allnorm
