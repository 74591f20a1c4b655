// The operations that kernels for the target `host` call: HostOps, carried out on the Machine by the thread that runs.
#ifndef ALLNORM_DEVICE_SIM_OPERATIONS_H_
#define ALLNORM_DEVICE_SIM_OPERATIONS_H_

#include <span>

#include "kernels_src/host_ops.cuh"

namespace allnorm::sim {

class Machine;
struct Thread;

/// The same for all machines: a kernel that calls one is found through CurrentThread.
const allnorm_kernel::HostOps& host_operations() noexcept;

/// What a thread does first, before its kernel: a Stall can hold it there.
void start_thread(Thread& thread);

/// Names of operations at which a Stall can hold threads.
std::span<const char* const> operation_names() noexcept;

/// For a scope: which simulated thread this thread of the host runs.
class CurrentThread {
 public:
  CurrentThread(Machine& machine, Thread& thread) noexcept;
  ~CurrentThread();
  CurrentThread(const CurrentThread&) = delete;
  CurrentThread& operator=(const CurrentThread&) = delete;
};

}  // namespace allnorm::sim

#endif  // ALLNORM_DEVICE_SIM_OPERATIONS_H_
