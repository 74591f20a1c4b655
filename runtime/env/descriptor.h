// Descriptor: an open file, closed with the object.
//
// Used by one thread at a time.
#ifndef ALLNORM_ENV_DESCRIPTOR_H_
#define ALLNORM_ENV_DESCRIPTOR_H_

#include <unistd.h>

#include <utility>

namespace allnorm {

class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const noexcept { return fd_; }
  explicit operator bool() const noexcept { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

}  // namespace allnorm

#endif  // ALLNORM_ENV_DESCRIPTOR_H_
