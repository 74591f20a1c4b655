// Words for what the simulator finds: who, where, and who waits for what.
#ifndef ALLNORM_DEVICE_SIM_REPORT_H_
#define ALLNORM_DEVICE_SIM_REPORT_H_

#include <string>

#include "device/sim/memory.h"
#include "device/sim/threads.h"

namespace allnorm::sim {

class Report {
 public:
  /// "rank 1, CTA 0, thread 5".
  static std::string name(const Thread& thread);
  /// "protocol.cuh:95".
  static std::string line(SourceLine at);
  /// "load at protocol.cuh:95".
  static std::string where(const Thread& thread);
  /// "byte 4096 of memory of GPU 1, which holds 8192".
  static std::string place(const Allocation& allocation, Address address);
  /// A line for each group of threads that is alike, in each grid that runs; and the grids that wait.
  static std::string waits(const Machine& machine);
};

}  // namespace allnorm::sim

#endif  // ALLNORM_DEVICE_SIM_REPORT_H_
