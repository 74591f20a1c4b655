#include "calls/fill_job.h"

#include <cstring>

#include "allnorm/types.h"
#include "reference/patterns.h"

namespace allnorm::calls {

std::size_t bytes_of(const FillJob& job) {
  const std::size_t element = job.pattern == kConstantWord ? 4 : size_of(static_cast<DataType>(job.dtype));
  return job.rows * job.columns * element;
}

void fill_on_host(const FillJob& job, void* data) {
  if (job.pattern == kConstantWord) {
    const auto word = static_cast<std::uint32_t>(job.seed);
    for (std::size_t at = 0; at < bytes_of(job); at += sizeof(word)) {
      std::memcpy(static_cast<char*>(data) + at, &word, sizeof(word));
    }
    return;
  }
  reference::fill(static_cast<reference::Pattern>(job.pattern), static_cast<DataType>(job.dtype), job.seed,
                  static_cast<int>(job.rank), data, static_cast<std::int64_t>(job.rows),
                  static_cast<std::int64_t>(job.columns), static_cast<std::int64_t>(job.first_row));
}

}  // namespace allnorm::calls
