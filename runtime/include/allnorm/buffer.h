// Buffer and OwnedStream: memory and streams for programs that do without the CUDA runtime. They work the same on GPUs
// and on simulated ones. Memory and streams of the CUDA runtime can be mixed with these, on GPUs.
//
// Lifetime: the Context outlives both. A Buffer must live until every stream has passed the calls that use it.
// Destroying an OwnedStream waits for what it holds. Either can be moved from, and can then only be destroyed or
// assigned to.
// Order: write(), read() and fill() happen at once, and wait for no call: synchronise first with whatever uses the same
// memory. A simulated GPU runs calls when somebody synchronises, and not before.
// Threads: each object is used by one thread at a time; different ones may be used from different threads.
#ifndef ALLNORM_BUFFER_H_
#define ALLNORM_BUFFER_H_

#include <cstddef>
#include <cstdint>
#include <memory>

#include "allnorm/context.h"
#include "allnorm/types.h"

namespace allnorm {

class ALLNORM_EXPORT Buffer {
 public:
  /// Memory of a GPU; what it holds is undefined. Throws kInvalidArgument (no such GPU, no bytes), kDriver.
  Buffer(Context& context, int device, std::size_t bytes);
  ~Buffer();
  Buffer(Buffer&& other) noexcept;
  Buffer& operator=(Buffer&& other) noexcept;

  /// The address for Tensor::data; a multiple of 256.
  void* data() const noexcept;
  std::size_t bytes() const noexcept;
  int device() const noexcept;

  // Throw kInvalidArgument for what goes beyond the end or comes from or goes to nowhere, kDriver.
  void write(const void* from, std::size_t bytes, std::size_t offset = 0);
  void read(void* to, std::size_t bytes, std::size_t offset = 0) const;
  /// All of it.
  void fill(std::uint8_t byte);

  class ALLNORM_HIDDEN Impl;

 private:
  std::unique_ptr<Impl> impl_;
};

/// A non-blocking stream.
class ALLNORM_EXPORT OwnedStream {
 public:
  /// Throws kInvalidArgument (no such GPU), kDriver.
  OwnedStream(Context& context, int device);
  ~OwnedStream();
  OwnedStream(OwnedStream&& other) noexcept;
  OwnedStream& operator=(OwnedStream&& other) noexcept;

  /// What the calls take; on a GPU a cudaStream_t as any other.
  Stream get() const noexcept;
  int device() const noexcept;
  /// Waits for what it holds. Throws kDriver, kSimulation; whether a call gave up is in Workspace::status().
  void synchronize();

  class ALLNORM_HIDDEN Impl;

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace allnorm

#endif  // ALLNORM_BUFFER_H_
