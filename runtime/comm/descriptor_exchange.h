// Hands a file descriptor of each rank to all others, over Unix sockets of its own, whatever the Bootstrap is.
#ifndef ALLNORM_COMM_DESCRIPTOR_EXCHANGE_H_
#define ALLNORM_COMM_DESCRIPTOR_EXCHANGE_H_

#include <chrono>
#include <string>
#include <vector>

#include "allnorm/bootstrap.h"
#include "comm/unix_socket.h"

namespace allnorm {

struct ExchangePlace {
  std::string directory;  ///< Absolute, on this host; each rank makes a private folder in it, gone afterwards.
  std::chrono::milliseconds timeout = std::chrono::seconds(60);
};

/// By rank: what each has given; this rank's own place is empty. All ranks are processes of one user on one host.
/// Throws the same error on all ranks: kPeer.
std::vector<Descriptor> exchange_descriptors(Bootstrap& bootstrap, int own, const ExchangePlace& place);

}  // namespace allnorm

#endif  // ALLNORM_COMM_DESCRIPTOR_EXCHANGE_H_
