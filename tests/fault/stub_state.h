// What the files of the stub driver share (stub_driver.cc).
#ifndef ALLNORM_TESTS_FAULT_STUB_STATE_H_
#define ALLNORM_TESTS_FAULT_STUB_STATE_H_

#include <cuda.h>

#include <cstddef>

namespace stub {

int setting(const char* name, int otherwise);
/// Whether this call is the one that is to fail.
bool fails(const char* function);
/// What a handle stands for: a file in memory, which is closed with it.
struct Memory {
  int file = -1;
  std::size_t bytes = 0;
  CUdevice device = -1;  ///< On which it was made, if it was made here.
  bool bound = false;    ///< To a multicast object.
};
CUmemGenericAllocationHandle keep(int file, std::size_t bytes, CUdevice device = -1);
/// With file -1 if there is none of this handle.
Memory memory_of(CUmemGenericAllocationHandle handle);
void set_bound(int file, bool bound);
/// Whether what is behind the handle can be mapped, and accessed then: a multicast object must be complete.
CUresult check_map(CUmemGenericAllocationHandle handle);
CUresult check_access(CUmemGenericAllocationHandle handle);
/// How another process finds a file of this one.
struct FileName {
  int process;
  int file;
};
/// A descriptor of it here, or -1.
int open_file(const FileName& name);
/// Made, or with -1 given back: counted by allnorm_stub_live().
void count_live(int change);

}  // namespace stub

#define FAIL_IF_ASKED(function) \
  if (stub::fails(#function)) return CUDA_ERROR_UNKNOWN

#endif  // ALLNORM_TESTS_FAULT_STUB_STATE_H_
